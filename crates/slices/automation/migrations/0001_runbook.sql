CREATE TABLE runbook (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL,
    is_enabled BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    updated_by_name TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE runbook_version (
    runbook_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    text TEXT NOT NULL,
    updated_by_name TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (runbook_id, version)
);

CREATE TABLE runbook_schedule (
    runbook_id TEXT NOT NULL,
    place BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (runbook_id, place)
);

CREATE TABLE run (
    id TEXT NOT NULL PRIMARY KEY,
    runbook_id TEXT NOT NULL,
    runbook_name TEXT NOT NULL,
    runbook_version BIGINT NOT NULL,
    text TEXT NOT NULL,
    inputs TEXT NOT NULL,
    targets TEXT NOT NULL,
    waves TEXT NOT NULL,
    state TEXT NOT NULL,
    wave BIGINT NOT NULL,
    step BIGINT NOT NULL,
    is_dry BIGINT NOT NULL,
    source TEXT NOT NULL,
    incident_id TEXT,
    alert_id TEXT,
    alert_fingerprint TEXT,
    change_id TEXT,
    plan_hash TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requested_by_name TEXT NOT NULL,
    requested_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    note TEXT,
    event_seq BIGINT
);
CREATE INDEX run_state ON run (state);
CREATE INDEX run_requested ON run (requested_at, id);
CREATE INDEX run_runbook ON run (runbook_id, requested_at);
CREATE INDEX run_incident ON run (incident_id);

CREATE TABLE run_task (
    run_id TEXT NOT NULL,
    step BIGINT NOT NULL,
    item_id TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    state TEXT NOT NULL,
    command_id TEXT,
    exit_code BIGINT,
    note TEXT,
    started_at BIGINT,
    finished_at BIGINT,
    next_at BIGINT,
    PRIMARY KEY (run_id, step, item_id)
);
CREATE INDEX run_task_command ON run_task (command_id);

CREATE TABLE target_lock (
    item_id TEXT NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL,
    since BIGINT NOT NULL
);
