CREATE INDEX message_created ON message (created_at);
