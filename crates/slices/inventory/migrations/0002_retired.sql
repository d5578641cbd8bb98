CREATE INDEX item_retired ON item (retired_at);
