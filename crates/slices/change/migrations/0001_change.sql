CREATE TABLE change (
    id TEXT NOT NULL PRIMARY KEY,
    title TEXT NOT NULL,
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    risk TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    plan_hash TEXT NOT NULL,
    plan_summary TEXT NOT NULL,
    targets TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requested_by_name TEXT NOT NULL,
    requested_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    decided_by TEXT,
    decided_by_name TEXT,
    decided_at BIGINT,
    decision_note TEXT,
    started_at BIGINT,
    finished_at BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX change_state ON change (state, requested_at);
CREATE INDEX change_requested ON change (requested_at, id);

CREATE TABLE change_target (
    change_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    PRIMARY KEY (change_id, item_id)
);
CREATE INDEX change_target_item ON change_target (item_id);

CREATE TABLE change_freeze (
    id TEXT NOT NULL PRIMARY KEY,
    title TEXT NOT NULL,
    tags TEXT NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    allows_remediation BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX freeze_ends ON change_freeze (ends_at);

CREATE TABLE change_window (
    id TEXT NOT NULL PRIMARY KEY,
    title TEXT NOT NULL,
    tags TEXT NOT NULL,
    days TEXT NOT NULL,
    start_minute BIGINT NOT NULL,
    end_minute BIGINT NOT NULL,
    time_zone TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
