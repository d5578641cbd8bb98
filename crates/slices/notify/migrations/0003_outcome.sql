-- How the last attempt ended, and how often the receiver never said whether it took the message.
ALTER TABLE message ADD COLUMN outcome TEXT NOT NULL DEFAULT '';
ALTER TABLE message ADD COLUMN unknowns BIGINT NOT NULL DEFAULT 0;
