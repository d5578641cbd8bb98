//! Rows of `alert`.

use std::collections::HashMap;
use std::fmt::Write;

use kernel::DbError;
use kernel::db::{from_json, to_json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::places;
use crate::decide::{Life, State, due};
use crate::model::{Alert, AlertId, Severity};

/// Fingerprints in one query, rows in one write: few enough for both databases' limits on parameters.
const READ_CHUNK: usize = 400;
const WRITE_CHUNK: usize = 40;

macro_rules! columns {
    () => {
        "a.id, a.fingerprint, a.name, a.severity, a.labels, a.annotations, a.item, a.value, a.state, a.active_since, \
         a.fired_at, a.inactive_since, a.resolved_at, a.for_us, a.keep_us, a.sources, a.silenced_by, a.suppressed_by, \
         a.announced, a.flapping, a.seq"
    };
}
pub(super) use columns;

pub(super) fn row_to_alert(row: &AnyRow) -> Result<Alert, DbError> {
    let severity: String = row.try_get(3)?;
    let id: String = row.try_get(0)?;
    Ok(Alert {
        id: id
            .parse()
            .map_err(|error| DbError::Sqlx(sqlx::Error::Decode(Box::new(error))))?,
        fingerprint: row.try_get(1)?,
        name: row.try_get(2)?,
        severity: Severity::parse_or_warning(&severity),
        labels: from_json("alert.labels", &row.try_get::<String, _>(4)?)?,
        annotations: from_json("alert.annotations", &row.try_get::<String, _>(5)?)?,
        item: row.try_get(6)?,
        value: row.try_get(7)?,
        life: Life {
            state: State::parse(&row.try_get::<String, _>(8)?),
            active_since: row.try_get(9)?,
            fired_at: row.try_get(10)?,
            inactive_since: row.try_get(11)?,
            resolved_at: row.try_get(12)?,
            for_us: row.try_get(13)?,
            keep_us: row.try_get(14)?,
            sources: from_json("alert.sources", &row.try_get::<String, _>(15)?)?,
        },
        silenced_by: row.try_get(16)?,
        suppressed_by: row.try_get(17)?,
        announced: row.try_get::<i64, _>(18)? != 0,
        flapping: row.try_get::<i64, _>(19)? != 0,
        seq: row.try_get(20)?,
    })
}

/// Makes this transaction the only one that changes alerts until it ends.
pub async fn take_turn(connection: &mut AnyConnection) -> Result<(), DbError> {
    sqlx::query("UPDATE alert_gate SET turns = turns + 1 WHERE id = 1")
        .execute(connection)
        .await?;
    Ok(())
}

/// The alert of each fingerprint that began last, in whatever state. Invariant: lives are ordered by their sequence, never by a
/// clock or an id, which follows the clock.
pub async fn newest(
    connection: &mut AnyConnection,
    fingerprints: &[&str],
) -> Result<HashMap<String, Alert>, DbError> {
    let mut found = HashMap::with_capacity(fingerprints.len());
    for chunk in fingerprints.chunks(READ_CHUNK) {
        // Only placeholders are put into the text.
        let sql = format!(
            concat!(
                "SELECT ",
                columns!(),
                " FROM alert a WHERE a.fingerprint IN ({}) \
                 AND a.seq = (SELECT MAX(b.seq) FROM alert b WHERE b.fingerprint = a.fingerprint)"
            ),
            places(1, chunk.len())
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for fingerprint in chunk {
            query = query.bind((*fingerprint).to_owned());
        }
        for row in query.fetch_all(&mut *connection).await? {
            let alert = row_to_alert(&row)?;
            found.insert(alert.fingerprint.clone(), alert);
        }
    }
    Ok(found)
}

/// How often each fingerprint has fired since a time.
pub async fn fires_since(
    connection: &mut AnyConnection,
    fingerprints: &[&str],
    since_us: i64,
) -> Result<HashMap<String, i64>, DbError> {
    let mut found = HashMap::new();
    for chunk in fingerprints.chunks(READ_CHUNK) {
        let sql = format!(
            "SELECT fingerprint, CAST(COUNT(*) AS BIGINT) FROM alert WHERE fired_at >= $1 AND fingerprint IN ({}) \
             GROUP BY fingerprint",
            places(2, chunk.len())
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(since_us);
        for fingerprint in chunk {
            query = query.bind((*fingerprint).to_owned());
        }
        for row in query.fetch_all(&mut *connection).await? {
            found.insert(row.try_get(0)?, row.try_get(1)?);
        }
    }
    Ok(found)
}

/// All alerts that have not ended.
pub async fn live(connection: &mut AnyConnection) -> Result<Vec<Alert>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM alert a WHERE a.state IN ('pending', 'firing') ORDER BY a.seq"
    );
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter().map(row_to_alert).collect()
}

/// Those of one name that have not ended.
pub async fn live_named(connection: &mut AnyConnection, name: &str) -> Result<Vec<Alert>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM alert a WHERE a.state IN ('pending', 'firing') AND a.name = $1 ORDER BY a.seq"
    );
    let rows = sqlx::query(sql)
        .bind(name.to_owned())
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_alert).collect()
}

/// Alerts whose next step is due.
pub async fn due_by(connection: &mut AnyConnection, now_us: i64, limit: i64) -> Result<Vec<Alert>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM alert a WHERE a.due_at IS NOT NULL AND a.due_at <= $1 ORDER BY a.due_at, a.seq LIMIT $2"
    );
    let rows = sqlx::query(sql)
        .bind(now_us)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_alert).collect()
}

/// When the next step of any alert is due.
pub async fn next_due(connection: &mut AnyConnection) -> Result<Option<i64>, DbError> {
    let row = sqlx::query("SELECT MIN(due_at) FROM alert WHERE due_at IS NOT NULL")
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

/// Counts the next `n` places and returns the one before them. The caller holds the turn.
async fn take_places(connection: &mut AnyConnection, n: i64) -> Result<i64, DbError> {
    sqlx::query("UPDATE alert_gate SET last_seq = last_seq + $1 WHERE id = 1")
        .bind(n)
        .execute(&mut *connection)
        .await?;
    let row = sqlx::query("SELECT last_seq FROM alert_gate WHERE id = 1")
        .fetch_one(connection)
        .await?;
    Ok(row.try_get::<i64, _>(0)? - n)
}

/// Writes alerts as they are now, new or not, in the order given. The caller holds the turn.
pub async fn save(connection: &mut AnyConnection, alerts: &mut [Alert], now_us: i64) -> Result<(), DbError> {
    let fresh = alerts.iter().filter(|alert| alert.seq == 0).count();
    if fresh > 0 {
        let mut place = take_places(connection, i64::try_from(fresh).unwrap_or(i64::MAX)).await?;
        for alert in alerts.iter_mut().filter(|alert| alert.seq == 0) {
            place += 1;
            alert.seq = place;
        }
    }
    for chunk in alerts.chunks(WRITE_CHUNK) {
        let mut query = sqlx::query(AssertSqlSafe(save_sql(chunk.len())));
        for alert in chunk {
            query = query
                .bind(alert.id.as_str().to_owned())
                .bind(alert.fingerprint.clone())
                .bind(alert.name.clone())
                .bind(alert.severity.as_str())
                .bind(to_json("alert.labels", &alert.labels)?)
                .bind(to_json("alert.annotations", &alert.annotations)?)
                .bind(alert.item.clone())
                .bind(alert.value.filter(|value| value.is_finite()))
                .bind(alert.life.state.as_str())
                .bind(alert.life.active_since)
                .bind(alert.life.fired_at)
                .bind(alert.life.inactive_since)
                .bind(alert.life.resolved_at)
                .bind(due(&alert.life))
                .bind(alert.life.for_us)
                .bind(alert.life.keep_us)
                .bind(to_json("alert.sources", &alert.life.sources)?)
                .bind(alert.silenced_by.clone())
                .bind(alert.suppressed_by.clone())
                .bind(i64::from(alert.announced))
                .bind(i64::from(alert.flapping))
                .bind(now_us)
                .bind(alert.seq);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

const SAVED: [&str; 23] = [
    "id",
    "fingerprint",
    "name",
    "severity",
    "labels",
    "annotations",
    "item",
    "value",
    "state",
    "active_since",
    "fired_at",
    "inactive_since",
    "resolved_at",
    "due_at",
    "for_us",
    "keep_us",
    "sources",
    "silenced_by",
    "suppressed_by",
    "announced",
    "flapping",
    "updated_at",
    "seq",
];

fn save_sql(rows: usize) -> String {
    let mut sql = format!("INSERT INTO alert ({}) VALUES ", SAVED.join(", "));
    for row in 0..rows {
        let comma = if row == 0 { "" } else { ", " };
        let _ = write!(sql, "{comma}({})", places(row * SAVED.len() + 1, SAVED.len()));
    }
    sql.push_str(" ON CONFLICT (id) DO UPDATE SET ");
    for (index, column) in SAVED[1..].iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let _ = write!(sql, "{comma}{column} = excluded.{column}");
    }
    sql
}

/// Those that exist of `ids`, by id.
pub async fn by_ids(connection: &mut AnyConnection, ids: &[&str]) -> Result<HashMap<String, Alert>, DbError> {
    let mut found = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(READ_CHUNK) {
        let sql = format!(
            concat!("SELECT ", columns!(), " FROM alert a WHERE a.id IN ({})"),
            places(1, chunk.len())
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for id in chunk {
            query = query.bind((*id).to_owned());
        }
        for row in query.fetch_all(&mut *connection).await? {
            let alert = row_to_alert(&row)?;
            found.insert(alert.id.as_str().to_owned(), alert);
        }
    }
    Ok(found)
}

pub async fn get(connection: &mut AnyConnection, id: &AlertId) -> Result<Option<Alert>, DbError> {
    by_id(connection, id.as_str()).await
}

pub async fn by_id(connection: &mut AnyConnection, id: &str) -> Result<Option<Alert>, DbError> {
    let sql = concat!("SELECT ", columns!(), " FROM alert a WHERE a.id = $1");
    let row = sqlx::query(sql)
        .bind(id.to_owned())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(row_to_alert).transpose()
}

/// At most `$2` alerts that ended before `$1`.
pub const DELETE_OLD: &str = "DELETE FROM alert WHERE id IN (SELECT id FROM alert \
    WHERE resolved_at IS NOT NULL AND resolved_at < $1 AND state = 'resolved' ORDER BY resolved_at LIMIT $2)";

/// Forgets conditions that went before they fired, once no late observation can matter any more.
pub async fn forget_inactive(connection: &mut AnyConnection, before_us: i64) -> Result<u64, DbError> {
    let done = sqlx::query("DELETE FROM alert WHERE state = 'inactive' AND updated_at < $1")
        .bind(before_us)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

pub async fn has_inactive(connection: &mut AnyConnection, before_us: i64) -> Result<bool, DbError> {
    let sql = "SELECT id FROM alert WHERE state = 'inactive' AND updated_at < $1 LIMIT 1";
    let row = sqlx::query(sql)
        .bind(before_us)
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}
