CREATE INDEX command_ended ON command (ended_at);
