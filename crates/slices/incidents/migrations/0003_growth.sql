-- An incident that comes back has a second beginning.
ALTER TABLE incident ADD COLUMN reopened_at BIGINT;
-- When people are notified of the alerts that joined, and when they last were.
ALTER TABLE incident ADD COLUMN announce_at BIGINT;
ALTER TABLE incident ADD COLUMN announced_at BIGINT;
CREATE INDEX incident_announce ON incident (announce_at) WHERE announce_at IS NOT NULL;
-- What evaluates the alert, for floods of one rule.
ALTER TABLE incident_alert ADD COLUMN rule TEXT NOT NULL DEFAULT '';
ALTER TABLE incident_alert ADD COLUMN is_announced BIGINT NOT NULL DEFAULT 1;
CREATE INDEX incident_alert_rule ON incident_alert (rule, fired_at);
-- Two incidents that may be one; a person decides.
CREATE TABLE incident_candidate (
    incident TEXT NOT NULL,
    other TEXT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL,
    at BIGINT NOT NULL,
    decided_at BIGINT,
    decided_by_name TEXT,
    PRIMARY KEY (incident, other)
);
CREATE INDEX incident_candidate_other ON incident_candidate (other);
