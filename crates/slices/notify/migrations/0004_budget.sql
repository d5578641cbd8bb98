-- What produced a message, how urgent it is, and the message that it was bundled into.
ALTER TABLE message ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE message ADD COLUMN urgency BIGINT NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN bundle TEXT;
CREATE INDEX message_bundle ON message (bundle) WHERE bundle IS NOT NULL;
