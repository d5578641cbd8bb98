CREATE TABLE join_request (
    id TEXT NOT NULL PRIMARY KEY,
    token TEXT NOT NULL,
    item TEXT NOT NULL,
    claim TEXT NOT NULL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL,
    hostname TEXT NOT NULL,
    address TEXT NOT NULL,
    version TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    decided_at BIGINT,
    decided_by TEXT
);
CREATE UNIQUE INDEX join_request_claim ON join_request (token, item, claim);
CREATE INDEX join_request_state ON join_request (state, id);
CREATE INDEX join_request_seen ON join_request (seen_at);
