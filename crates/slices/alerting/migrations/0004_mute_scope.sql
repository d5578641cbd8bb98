-- Where a mute holds: the reach of who made it, as a list of scopes; an empty list is everywhere.
ALTER TABLE silence ADD COLUMN scopes TEXT NOT NULL DEFAULT '[]';
ALTER TABLE maintenance ADD COLUMN scopes TEXT NOT NULL DEFAULT '[]';
