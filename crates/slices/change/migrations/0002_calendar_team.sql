-- Freezes and windows may be for the items of a team.
ALTER TABLE change_freeze ADD COLUMN team TEXT;
ALTER TABLE change_window ADD COLUMN team TEXT;
