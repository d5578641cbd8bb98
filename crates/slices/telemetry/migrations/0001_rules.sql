CREATE TABLE rule_file (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL,
    is_enabled BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE rule_pack (
    name TEXT NOT NULL PRIMARY KEY,
    is_enabled BIGINT NOT NULL
);
