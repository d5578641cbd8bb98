-- Who made a service account or a token of it, and so can act through it. Kept when the event log is trimmed.
CREATE TABLE account_holder (
    account TEXT NOT NULL,
    actor TEXT NOT NULL,
    PRIMARY KEY (account, actor)
);

INSERT INTO account_holder (account, actor)
SELECT DISTINCT e.subject, e.actor FROM event e WHERE e.topic = 'service_account.created';

INSERT INTO account_holder (account, actor)
SELECT DISTINCT t.owner, e.actor FROM event e JOIN api_token t ON t.id = e.subject
WHERE e.topic = 'token.created' AND t.owner LIKE 'svc%'
AND NOT EXISTS (SELECT 1 FROM account_holder h WHERE h.account = t.owner AND h.actor = e.actor);
