-- The order of lives: counted, for ids follow the wall clock, which can step.
ALTER TABLE alert ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE alert_gate ADD COLUMN last_seq BIGINT NOT NULL DEFAULT 0;
UPDATE alert SET seq = counted.place FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS place FROM alert) counted
    WHERE counted.id = alert.id;
UPDATE alert_gate SET last_seq = (SELECT COALESCE(MAX(seq), 0) FROM alert);
CREATE INDEX alert_fingerprint_seq ON alert (fingerprint, seq);
CREATE INDEX alert_state_seq ON alert (state, seq);
