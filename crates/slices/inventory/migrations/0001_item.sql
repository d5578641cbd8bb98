CREATE TABLE item (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    parent TEXT NOT NULL,
    name TEXT NOT NULL,
    name_is_manual BIGINT NOT NULL,
    state TEXT NOT NULL,
    own_team TEXT,
    own_tags TEXT NOT NULL,
    team TEXT,
    tags TEXT NOT NULL,
    owner TEXT,
    source TEXT NOT NULL,
    attributes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    observed_at BIGINT NOT NULL,
    retired_at BIGINT,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX item_key ON item (kind, parent, key);
CREATE UNIQUE INDEX item_host_name ON item (name) WHERE kind = 'host' AND state = 'active';
CREATE INDEX item_name ON item (kind, name, id);
CREATE INDEX item_listed ON item (name, id);
CREATE INDEX item_parent ON item (parent);

CREATE TABLE item_identity (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    item TEXT NOT NULL,
    PRIMARY KEY (kind, value, item)
);
CREATE INDEX item_identity_item ON item_identity (item);

CREATE TABLE item_conflict (
    item TEXT NOT NULL,
    other TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (item, other, kind)
);

CREATE TABLE item_relation (
    from_item TEXT NOT NULL,
    kind TEXT NOT NULL,
    to_item TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (from_item, kind, to_item, source)
);
CREATE INDEX item_relation_to ON item_relation (to_item, kind);
CREATE INDEX item_relation_expires ON item_relation (expires, seen_at);

CREATE TABLE item_package (
    item TEXT NOT NULL,
    name TEXT NOT NULL,
    architecture TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (item, name, architecture, version)
);
CREATE INDEX item_package_name ON item_package (name);

CREATE TABLE item_address (
    address TEXT NOT NULL,
    host TEXT NOT NULL,
    PRIMARY KEY (address, host)
);
CREATE INDEX item_address_host ON item_address (host);

CREATE TABLE item_listener (
    host TEXT NOT NULL,
    protocol TEXT NOT NULL,
    port BIGINT NOT NULL,
    address TEXT NOT NULL,
    service TEXT NOT NULL,
    PRIMARY KEY (host, protocol, port, address)
);

CREATE TABLE item_peer (
    host TEXT NOT NULL,
    item TEXT NOT NULL,
    address TEXT NOT NULL,
    port BIGINT NOT NULL,
    target TEXT NOT NULL,
    source TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (host, item, address, port)
);
CREATE INDEX item_peer_address ON item_peer (address);
CREATE INDEX item_peer_seen ON item_peer (seen_at);
