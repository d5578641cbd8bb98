CREATE TABLE incident (
    id TEXT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    title_is_manual BIGINT NOT NULL,
    summary TEXT NOT NULL,
    state TEXT NOT NULL,
    severity TEXT NOT NULL,
    worst_seen TEXT NOT NULL,
    team TEXT,
    item TEXT,
    root_alert TEXT,
    is_declared BIGINT NOT NULL,
    lead TEXT,
    lead_name TEXT,
    opened_at BIGINT NOT NULL,
    acknowledged_at BIGINT,
    acknowledged_by TEXT,
    acknowledged_by_name TEXT,
    mitigated_at BIGINT,
    resolved_at BIGINT,
    resolved_by TEXT,
    resolved_by_name TEXT,
    resolution TEXT,
    closed_at BIGINT,
    reopened BIGINT NOT NULL,
    merged_into TEXT,
    resolve_at BIGINT,
    remind_at BIGINT,
    reminded BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX incident_state ON incident (state, id);
CREATE INDEX incident_opened ON incident (opened_at);
CREATE INDEX incident_resolve ON incident (resolve_at) WHERE resolve_at IS NOT NULL;
CREATE INDEX incident_remind ON incident (remind_at) WHERE remind_at IS NOT NULL;
CREATE INDEX incident_merged ON incident (merged_into) WHERE merged_into IS NOT NULL;

-- An alert is in one incident: the alert is the key.
CREATE TABLE incident_alert (
    alert TEXT NOT NULL PRIMARY KEY,
    incident TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    name TEXT NOT NULL,
    summary TEXT NOT NULL,
    severity TEXT NOT NULL,
    item TEXT,
    place TEXT NOT NULL,
    host TEXT,
    is_down BIGINT NOT NULL,
    is_muted BIGINT NOT NULL,
    is_flapping BIGINT NOT NULL,
    role TEXT NOT NULL,
    reason TEXT NOT NULL,
    path TEXT NOT NULL,
    runbook TEXT,
    fired_at BIGINT NOT NULL,
    resolved_at BIGINT,
    joined_at BIGINT NOT NULL
);
CREATE INDEX incident_alert_incident ON incident_alert (incident, fired_at);
CREATE INDEX incident_alert_place ON incident_alert (place);
CREATE INDEX incident_alert_host ON incident_alert (host);
CREATE INDEX incident_alert_fingerprint ON incident_alert (fingerprint, fired_at);

CREATE TABLE incident_event (
    incident TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (incident, seq)
);
CREATE INDEX incident_event_seq ON incident_event (seq);

-- Writers take turns on this row; it also gives out the numbers.
CREATE TABLE incident_gate (
    id BIGINT NOT NULL PRIMARY KEY,
    turns BIGINT NOT NULL,
    last_number BIGINT NOT NULL
);
INSERT INTO incident_gate (id, turns, last_number) VALUES (1, 0, 0);
