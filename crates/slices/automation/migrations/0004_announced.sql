-- Whether people have been told that the run waits for them.
ALTER TABLE run ADD COLUMN is_announced BIGINT NOT NULL DEFAULT 1;

CREATE INDEX run_of_alert ON run (alert_id);
