CREATE INDEX event_actor ON event (actor, seq);
