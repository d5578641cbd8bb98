-- The same alert on the same service of several hosts is of one kin.
ALTER TABLE incident_alert ADD COLUMN kin TEXT;
CREATE INDEX incident_alert_kin ON incident_alert (kin, fired_at);
