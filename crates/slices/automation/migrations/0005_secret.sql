-- Secrets that runbooks name.
CREATE TABLE runbook_secret (
    name TEXT NOT NULL PRIMARY KEY,
    sealed {{blob}} NOT NULL,
    updated_by_name TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Inputs of the type secret, as they were given for one run.
CREATE TABLE run_secret (
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    sealed {{blob}} NOT NULL,
    PRIMARY KEY (run_id, name)
);
