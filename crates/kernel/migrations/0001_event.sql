CREATE TABLE event (
    seq {{serial}},
    at BIGINT NOT NULL,
    topic TEXT NOT NULL,
    subject TEXT NOT NULL,
    actor TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    cause BIGINT,
    data TEXT NOT NULL
);
CREATE INDEX event_subject ON event (subject, seq);
CREATE INDEX event_topic ON event (topic, seq);
CREATE INDEX event_cause ON event (cause);
CREATE INDEX event_at ON event (at);

CREATE TABLE consumer_cursor (
    name TEXT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL
);

CREATE TABLE event_parked (
    consumer TEXT NOT NULL,
    seq BIGINT NOT NULL,
    error TEXT NOT NULL,
    parked_at BIGINT NOT NULL,
    PRIMARY KEY (consumer, seq)
);
