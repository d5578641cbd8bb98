CREATE TABLE fleet_authority (
    id BIGINT NOT NULL PRIMARY KEY,
    certificate_pem TEXT NOT NULL,
    sealed_key {{blob}} NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE join_token (
    id TEXT NOT NULL PRIMARY KEY,
    secret_hash TEXT NOT NULL,
    note TEXT NOT NULL,
    team TEXT,
    tags TEXT NOT NULL,
    uses BIGINT NOT NULL,
    used BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX join_token_secret ON join_token (secret_hash);

CREATE TABLE agent (
    id TEXT NOT NULL PRIMARY KEY,
    item TEXT NOT NULL,
    state TEXT NOT NULL,
    presence TEXT NOT NULL,
    version TEXT NOT NULL,
    address TEXT NOT NULL,
    identity TEXT NOT NULL,
    config TEXT,
    join_token TEXT NOT NULL,
    joined_at BIGINT NOT NULL,
    presence_at BIGINT NOT NULL,
    heard_at BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    seq_at_ms BIGINT NOT NULL,
    certificate_expires_at BIGINT NOT NULL
);
CREATE INDEX agent_item ON agent (item);
CREATE INDEX agent_presence ON agent (state, presence);

CREATE TABLE command (
    id TEXT NOT NULL PRIMARY KEY,
    agent TEXT NOT NULL,
    item TEXT NOT NULL,
    reference TEXT NOT NULL,
    action TEXT NOT NULL,
    timeout_ms BIGINT NOT NULL,
    output_cap_bytes BIGINT NOT NULL,
    idempotent BIGINT NOT NULL,
    state TEXT NOT NULL,
    result TEXT,
    cancel_requested BIGINT NOT NULL,
    actor TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    cause BIGINT,
    created_at BIGINT NOT NULL,
    sent_at BIGINT,
    started_at BIGINT,
    ended_at BIGINT,
    give_up_at BIGINT NOT NULL
);
CREATE INDEX command_agent ON command (agent, state);
CREATE INDEX command_open ON command (state, give_up_at);
CREATE INDEX command_reference ON command (reference);

CREATE TABLE command_output (
    seq {{serial}},
    command TEXT NOT NULL,
    stream TEXT NOT NULL,
    start_byte BIGINT NOT NULL,
    length BIGINT NOT NULL,
    data {{blob}} NOT NULL
);
CREATE UNIQUE INDEX command_output_place ON command_output (command, stream, start_byte);
CREATE INDEX command_output_read ON command_output (command, seq);
