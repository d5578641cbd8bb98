//! Addresses, listening ports and conversations of hosts: what relations between services are found from.

use std::collections::BTreeSet;

use kernel::{DbError, Timestamp};
use sqlx::{AnyConnection, Row};

use super::item::parse_id;
use crate::model::ItemId;

/// A port that something on a host listens on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    pub protocol: String,
    pub port: u16,
    pub address: String,
    /// Empty when the service is not known.
    pub service: String,
    /// Empty when the process is not known.
    pub process: String,
}

/// Something on a host that talks to a far end.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    pub host: ItemId,
    pub item: ItemId,
    pub address: String,
    pub port: u16,
    /// Empty when the far end was over the bound.
    pub target: String,
    pub source: String,
    pub seen_at_us: i64,
}

pub async fn addresses(conn: &mut AnyConnection, host: &ItemId) -> Result<BTreeSet<String>, DbError> {
    let rows = sqlx::query("SELECT address FROM item_address WHERE host = $1")
        .bind(host.as_str())
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

pub async fn hosts_of_address(conn: &mut AnyConnection, address: &str) -> Result<Vec<ItemId>, DbError> {
    let rows = sqlx::query(
        "SELECT a.host FROM item_address a JOIN item i ON i.id = a.host AND i.state = 'active' \
         WHERE a.address = $1 ORDER BY a.host LIMIT 10",
    )
    .bind(address)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| parse_id(&row.try_get::<String, _>(0)?))
        .collect()
}

pub async fn replace_addresses(
    conn: &mut AnyConnection,
    host: &ItemId,
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
) -> Result<(), DbError> {
    for address in before.difference(after) {
        sqlx::query("DELETE FROM item_address WHERE host = $1 AND address = $2")
            .bind(host.as_str())
            .bind(address.clone())
            .execute(&mut *conn)
            .await?;
    }
    for address in after.difference(before) {
        sqlx::query(
            "INSERT INTO item_address (address, host) VALUES ($1, $2) ON CONFLICT (address, host) DO NOTHING",
        )
        .bind(address.clone())
        .bind(host.as_str())
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

pub async fn listeners(conn: &mut AnyConnection, host: &ItemId) -> Result<BTreeSet<Listener>, DbError> {
    let rows =
        sqlx::query("SELECT protocol, port, address, service, process FROM item_listener WHERE host = $1")
            .bind(host.as_str())
            .fetch_all(conn)
            .await?;
    rows.iter()
        .map(|row| {
            Ok(Listener {
                protocol: row.try_get(0)?,
                port: u16::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0),
                address: row.try_get(2)?,
                service: row.try_get(3)?,
                process: row.try_get(4)?,
            })
        })
        .collect()
}

pub async fn replace_listeners(
    conn: &mut AnyConnection,
    host: &ItemId,
    before: &BTreeSet<Listener>,
    after: &BTreeSet<Listener>,
) -> Result<(), DbError> {
    for gone in before.difference(after) {
        sqlx::query(
            "DELETE FROM item_listener WHERE host = $1 AND protocol = $2 AND port = $3 AND address = $4",
        )
        .bind(host.as_str())
        .bind(gone.protocol.clone())
        .bind(i64::from(gone.port))
        .bind(gone.address.clone())
        .execute(&mut *conn)
        .await?;
    }
    for new in after.difference(before) {
        sqlx::query(
            "INSERT INTO item_listener (host, protocol, port, address, service, process) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (host, protocol, port, address) \
             DO UPDATE SET service = excluded.service, process = excluded.process",
        )
        .bind(host.as_str())
        .bind(new.protocol.clone())
        .bind(i64::from(new.port))
        .bind(new.address.clone())
        .bind(new.service.clone())
        .bind(new.process.clone())
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// The service on a port of a host: the one on that very address before one on all addresses.
pub async fn listener_service(
    conn: &mut AnyConnection,
    host: &ItemId,
    port: u16,
    address: &str,
) -> Result<Option<ItemId>, DbError> {
    let row = sqlx::query(
        "SELECT l.service FROM item_listener l JOIN item i ON i.id = l.service AND i.state = 'active' \
         WHERE l.host = $1 AND l.protocol = 'tcp' AND l.port = $2 \
         ORDER BY CASE WHEN l.address = $3 THEN 0 ELSE 1 END, l.address LIMIT 1",
    )
    .bind(host.as_str())
    .bind(i64::from(port))
    .bind(address)
    .fetch_optional(conn)
    .await?;
    row.map(|row| parse_id(&row.try_get::<String, _>(0)?)).transpose()
}

fn row_to_peer(row: &sqlx::any::AnyRow) -> Result<Peer, DbError> {
    Ok(Peer {
        host: parse_id(&row.try_get::<String, _>(0)?)?,
        item: parse_id(&row.try_get::<String, _>(1)?)?,
        address: row.try_get(2)?,
        port: u16::try_from(row.try_get::<i64, _>(3)?).unwrap_or(0),
        target: row.try_get(4)?,
        source: row.try_get(5)?,
        seen_at_us: row.try_get(6)?,
    })
}

pub async fn peers(conn: &mut AnyConnection, host: &ItemId) -> Result<Vec<Peer>, DbError> {
    let rows = sqlx::query(
        "SELECT host, item, address, port, target, source, seen_at FROM item_peer WHERE host = $1",
    )
    .bind(host.as_str())
    .fetch_all(conn)
    .await?;
    rows.iter().map(row_to_peer).collect()
}

/// Conversations with an address, from anywhere.
pub async fn peers_at(conn: &mut AnyConnection, address: &str) -> Result<Vec<Peer>, DbError> {
    let rows = sqlx::query(
        "SELECT host, item, address, port, target, source, seen_at FROM item_peer WHERE address = $1 \
         ORDER BY seen_at DESC LIMIT 2000",
    )
    .bind(address)
    .fetch_all(conn)
    .await?;
    rows.iter().map(row_to_peer).collect()
}

pub async fn save_peer(conn: &mut AnyConnection, peer: &Peer) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO item_peer (host, item, address, port, target, source, seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (host, item, address, port) DO UPDATE SET target = excluded.target, source = excluded.source, \
         seen_at = excluded.seen_at",
    )
    .bind(peer.host.as_str())
    .bind(peer.item.as_str())
    .bind(peer.address.clone())
    .bind(i64::from(peer.port))
    .bind(peer.target.clone())
    .bind(peer.source.clone())
    .bind(peer.seen_at_us)
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn touch_peer(conn: &mut AnyConnection, peer: &Peer, now: Timestamp) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE item_peer SET seen_at = $5 WHERE host = $1 AND item = $2 AND address = $3 AND port = $4",
    )
    .bind(peer.host.as_str())
    .bind(peer.item.as_str())
    .bind(peer.address.clone())
    .bind(i64::from(peer.port))
    .bind(now.as_microsecond())
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn delete_peers_before(conn: &mut AnyConnection, before: Timestamp) -> Result<(), DbError> {
    sqlx::query("DELETE FROM item_peer WHERE seen_at < $1")
        .bind(before.as_microsecond())
        .execute(conn)
        .await?;
    Ok(())
}

/// How many endpoints a host's conversations have made.
pub async fn count_endpoints(conn: &mut AnyConnection, host: &ItemId) -> Result<usize, DbError> {
    let row = sqlx::query(
        "SELECT CAST(COUNT(DISTINCT p.target) AS BIGINT) FROM item_peer p \
         JOIN item i ON i.id = p.target AND i.kind = 'endpoint' WHERE p.host = $1",
    )
    .bind(host.as_str())
    .fetch_one(conn)
    .await?;
    Ok(usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
}
