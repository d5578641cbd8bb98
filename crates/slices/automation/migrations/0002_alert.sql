-- The alert that started a run, as its templates see it.
ALTER TABLE run ADD COLUMN alert TEXT;

CREATE INDEX run_alert ON run (runbook_id, alert_fingerprint);
