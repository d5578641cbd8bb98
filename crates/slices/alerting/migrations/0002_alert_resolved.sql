CREATE INDEX alert_resolved ON alert (resolved_at) WHERE resolved_at IS NOT NULL;
