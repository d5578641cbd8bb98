CREATE TABLE channel (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    config TEXT NOT NULL,
    secrets {{blob}} NOT NULL,
    is_enabled BIGINT NOT NULL,
    subscription TEXT NOT NULL,
    title_template TEXT NOT NULL,
    text_template TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    sent_at BIGINT,
    failed_at BIGINT,
    error TEXT
);

CREATE TABLE message (
    seq {{serial}},
    id TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL,
    target TEXT NOT NULL,
    dedup_key TEXT NOT NULL,
    thread TEXT NOT NULL,
    page TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    lease_owner TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    sent_at BIGINT,
    error TEXT,
    cause BIGINT,
    UNIQUE (channel, target, dedup_key)
);
CREATE INDEX message_due ON message (state, next_attempt_at);
CREATE INDEX message_channel ON message (channel, state, seq);
CREATE INDEX message_thread ON message (thread, channel);
