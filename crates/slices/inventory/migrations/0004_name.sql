CREATE TABLE host_name (
    name TEXT NOT NULL,
    from_us BIGINT NOT NULL,
    item TEXT NOT NULL,
    PRIMARY KEY (name, from_us)
);
CREATE INDEX host_name_item ON host_name (item);
INSERT INTO host_name (name, from_us, item)
    SELECT name, MAX(created_at), MAX(id) FROM item WHERE kind = 'host' AND state = 'retired' GROUP BY name, created_at;
INSERT INTO host_name (name, from_us, item)
    SELECT i.name, COALESCE((SELECT MAX(n.retired_at) + 1 FROM item n WHERE n.kind = 'host' AND n.state = 'retired' AND n.name = i.name), i.created_at), i.id
    FROM item i WHERE i.kind = 'host' AND i.state = 'active';
