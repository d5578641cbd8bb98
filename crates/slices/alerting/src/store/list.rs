//! Alerts for people: lists, counts and history.

use std::collections::BTreeMap;

use kernel::clock::from_micros;
use kernel::db::from_json;
use kernel::{DbError, Event};
use sqlx::{AnyConnection, Row};

use super::alert::{columns, row_to_alert};
use crate::model::Alert;

/// What to list; empty texts and `None` do not narrow.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `pending`, `firing`, `resolved`; empty for pending and firing.
    pub state: String,
    pub severity: String,
    pub name: String,
    pub item: String,
    pub fingerprint: String,
    /// Muted ones only, or none of them.
    pub muted: Option<bool>,
}

/// The list with one more condition on the state, so that each can use the index on it.
macro_rules! listed {
    ($state:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM alert a WHERE a.seq < $1 AND ",
            $state,
            " AND ($2 = '' OR a.severity = $2) AND ($3 = '' OR a.name = $3) AND ($4 = '' OR a.item = $4) \
             AND ($5 = '' OR a.fingerprint = $5) \
             AND ($6 = -1 OR (CASE WHEN a.silenced_by IS NULL AND a.suppressed_by IS NULL THEN 0 ELSE 1 END) = $6) \
             ORDER BY a.seq DESC LIMIT $7"
        )
    };
}

/// Alerts before a sequence, newest first. Those that went before they fired are not shown.
pub async fn list(
    connection: &mut AnyConnection,
    filter: &Filter,
    before: i64,
    limit: i64,
) -> Result<Vec<Alert>, DbError> {
    let sql = match filter.state.as_str() {
        "pending" => listed!("a.state = 'pending'"),
        "firing" => listed!("a.state = 'firing'"),
        "resolved" => listed!("a.state = 'resolved'"),
        "any" => listed!("a.state <> 'inactive'"),
        _ => listed!("a.state IN ('pending', 'firing')"),
    };
    let rows = sqlx::query(sql)
        .bind(before)
        .bind(filter.severity.clone())
        .bind(filter.name.clone())
        .bind(filter.item.clone())
        .bind(filter.fingerprint.clone())
        .bind(filter.muted.map_or(-1_i64, i64::from))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_alert).collect()
}

/// Alerts of one condition, newest first.
pub async fn episodes(
    connection: &mut AnyConnection,
    fingerprint: &str,
    limit: i64,
) -> Result<Vec<Alert>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM alert a WHERE a.fingerprint = $1 AND a.state <> 'inactive' ORDER BY a.seq DESC LIMIT $2"
    );
    let rows = sqlx::query(sql)
        .bind(fingerprint.to_owned())
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_alert).collect()
}

/// What was said about an alert, newest first: a look into the index on the subject.
pub async fn said(connection: &mut AnyConnection, id: &str, limit: i64) -> Result<Vec<Event>, DbError> {
    let sql = "SELECT seq, at, topic, subject, actor, actor_name, cause, data FROM event WHERE subject = $1 \
        ORDER BY seq DESC LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(id.to_owned())
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Event {
                seq: row.try_get(0)?,
                at: from_micros(row.try_get(1)?),
                topic: row.try_get(2)?,
                subject: row.try_get(3)?,
                actor: row.try_get(4)?,
                actor_name: row.try_get(5)?,
                cause: row.try_get(6)?,
                data: from_json("event.data", &row.try_get::<String, _>(7)?)?,
            })
        })
        .collect()
}

/// Alerts that fired at or after a time, newest first.
pub async fn fired_since(
    connection: &mut AnyConnection,
    since_us: i64,
    limit: i64,
) -> Result<Vec<Alert>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM alert a WHERE a.fired_at IS NOT NULL AND a.fired_at >= $1 ORDER BY a.fired_at DESC LIMIT $2"
    );
    let rows = sqlx::query(sql)
        .bind(since_us)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_alert).collect()
}

/// Who mutes an alert, in counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Muted {
    No,
    BySilence,
    ByMaintenance,
}

/// How many alerts are in each state: (state, severity, muted) → number.
pub async fn counts(
    connection: &mut AnyConnection,
) -> Result<BTreeMap<(String, String, Muted), i64>, DbError> {
    let sql = "SELECT state, severity, \
        CAST(CASE WHEN silenced_by IS NOT NULL THEN 1 WHEN suppressed_by IS NOT NULL THEN 2 ELSE 0 END AS BIGINT) AS muted, \
        CAST(COUNT(*) AS BIGINT) FROM alert WHERE state IN ('pending', 'firing') GROUP BY 1, 2, 3";
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    let mut counts = BTreeMap::new();
    for row in rows {
        let muted = match row.try_get::<i64, _>(2)? {
            1 => Muted::BySilence,
            2 => Muted::ByMaintenance,
            _ => Muted::No,
        };
        counts.insert((row.try_get(0)?, row.try_get(1)?, muted), row.try_get(3)?);
    }
    Ok(counts)
}
