CREATE TABLE alert (
    id TEXT NOT NULL PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    name TEXT NOT NULL,
    severity TEXT NOT NULL,
    labels TEXT NOT NULL,
    annotations TEXT NOT NULL,
    item TEXT,
    value DOUBLE PRECISION,
    state TEXT NOT NULL,
    active_since BIGINT NOT NULL,
    fired_at BIGINT,
    inactive_since BIGINT,
    resolved_at BIGINT,
    due_at BIGINT,
    for_us BIGINT NOT NULL,
    keep_us BIGINT NOT NULL,
    sources TEXT NOT NULL,
    silenced_by TEXT,
    suppressed_by TEXT,
    announced BIGINT NOT NULL,
    flapping BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX alert_live ON alert (fingerprint) WHERE state <> 'resolved';
CREATE INDEX alert_fingerprint ON alert (fingerprint, id);
CREATE INDEX alert_due ON alert (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX alert_state ON alert (state, id);
CREATE INDEX alert_item ON alert (item, id);
CREATE INDEX alert_fired ON alert (fired_at) WHERE fired_at IS NOT NULL;

CREATE TABLE silence (
    id TEXT NOT NULL PRIMARY KEY,
    matchers TEXT NOT NULL,
    comment TEXT NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    phase TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_by_name TEXT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX silence_phase ON silence (phase, starts_at, ends_at);

CREATE TABLE maintenance (
    id TEXT NOT NULL PRIMARY KEY,
    title TEXT NOT NULL,
    items TEXT NOT NULL,
    selector TEXT,
    with_dependents BIGINT NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    phase TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_by_name TEXT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX maintenance_phase ON maintenance (phase, starts_at, ends_at);

-- Writers of alerts take their turn on this row, so that two never begin the same alert.
CREATE TABLE alert_gate (
    id BIGINT NOT NULL PRIMARY KEY,
    turns BIGINT NOT NULL
);
INSERT INTO alert_gate (id, turns) VALUES (1, 0);
