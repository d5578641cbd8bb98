CREATE TABLE rule_tuning (
    id TEXT NOT NULL PRIMARY KEY,
    rule TEXT NOT NULL,
    body TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
