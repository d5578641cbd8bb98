//! All SQL of the slice.

use jiff::Timestamp;
use kernel::DbError;
use kernel::clock::from_micros;
use kernel::db::{from_json, to_json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::calendar::{Freeze, FreezeId, Window, WindowId};
use crate::model::{Change, ChangeId, ChangeState, Risk, Source, Target};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, title, kind, source, risk, state, reason, plan_hash, plan_summary, targets, requested_by, ",
            "requested_by_name, requested_at, expires_at, decided_by, decided_by_name, decided_at, decision_note, ",
            "started_at, finished_at, version FROM change ",
            $rest
        )
    };
}

fn bad(column: &str, text: &str) -> DbError {
    let message = format!("unknown {column} \"{text}\"");
    DbError::Sqlx(sqlx::Error::Decode(message.into()))
}

fn id<T: std::str::FromStr>(text: &str) -> Result<T, DbError> {
    text.parse().map_err(|_| bad("id", text))
}

fn time(row: &AnyRow, index: usize) -> Result<Option<Timestamp>, DbError> {
    Ok(row.try_get::<Option<i64>, _>(index)?.map(from_micros))
}

fn row_to_change(row: &AnyRow) -> Result<Change, DbError> {
    let word = |index: usize| row.try_get::<String, _>(index);
    Ok(Change {
        id: id(&word(0)?)?,
        title: word(1)?,
        kind: word(2)?,
        source: Source::parse(&word(3)?).ok_or_else(|| bad("source", "?"))?,
        risk: Risk::parse(&word(4)?).ok_or_else(|| bad("risk", "?"))?,
        state: ChangeState::parse(&word(5)?).ok_or_else(|| bad("state", "?"))?,
        reason: word(6)?,
        plan_hash: word(7)?,
        plan_summary: word(8)?,
        targets: from_json("change.targets", &word(9)?)?,
        requested_by: word(10)?,
        requested_by_name: word(11)?,
        requested_at: from_micros(row.try_get(12)?),
        expires_at: from_micros(row.try_get(13)?),
        decided_by: row.try_get(14)?,
        decided_by_name: row.try_get(15)?,
        decided_at: time(row, 16)?,
        decision_note: row.try_get(17)?,
        started_at: time(row, 18)?,
        finished_at: time(row, 19)?,
        version: row.try_get(20)?,
    })
}

pub(crate) async fn insert(connection: &mut AnyConnection, change: &Change) -> Result<(), DbError> {
    let sql = "INSERT INTO change (id, title, kind, source, risk, state, reason, plan_hash, plan_summary, targets, \
        requested_by, requested_by_name, requested_at, expires_at, decision_note, started_at, version) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    sqlx::query(sql)
        .bind(change.id.as_str())
        .bind(&change.title)
        .bind(&change.kind)
        .bind(change.source.as_str())
        .bind(change.risk.as_str())
        .bind(change.state.as_str())
        .bind(&change.reason)
        .bind(&change.plan_hash)
        .bind(&change.plan_summary)
        .bind(to_json("change.targets", &change.targets)?)
        .bind(&change.requested_by)
        .bind(&change.requested_by_name)
        .bind(change.requested_at.as_microsecond())
        .bind(change.expires_at.as_microsecond())
        .bind(change.decision_note.clone())
        .bind(change.started_at.map(Timestamp::as_microsecond))
        .bind(change.version)
        .execute(&mut *connection)
        .await?;
    for target in &change.targets {
        let sql = "INSERT INTO change_target (change_id, item_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        sqlx::query(sql)
            .bind(change.id.as_str())
            .bind(&target.item_id)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Saves what may change and raises the version.
pub(crate) async fn update(connection: &mut AnyConnection, change: &Change) -> Result<(), DbError> {
    let sql = "UPDATE change SET state = $1, decided_by = $2, decided_by_name = $3, decided_at = $4, \
        decision_note = $5, started_at = $6, finished_at = $7, version = version + 1 WHERE id = $8";
    sqlx::query(sql)
        .bind(change.state.as_str())
        .bind(change.decided_by.clone())
        .bind(change.decided_by_name.clone())
        .bind(change.decided_at.map(Timestamp::as_microsecond))
        .bind(change.decision_note.clone())
        .bind(change.started_at.map(Timestamp::as_microsecond))
        .bind(change.finished_at.map(Timestamp::as_microsecond))
        .bind(change.id.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn get(connection: &mut AnyConnection, id: &ChangeId) -> Result<Option<Change>, DbError> {
    let row = sqlx::query(select!("WHERE id = $1"))
        .bind(id.as_str())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(row_to_change).transpose()
}

/// Reads a change to decide on it. Invariant: until the transaction ends nobody else decides; on PostgreSQL writers run side by side,
/// and two of them could redeem one approval, or approve and reject.
pub(crate) async fn hold(connection: &mut AnyConnection, id: &ChangeId) -> Result<Option<Change>, DbError> {
    sqlx::query("UPDATE change SET id = id WHERE id = $1")
        .bind(id.as_str())
        .execute(&mut *connection)
        .await?;
    get(connection, id).await
}

/// Newest first. `before` is the key of the last row of the page before.
pub(crate) async fn list(
    connection: &mut AnyConnection,
    state: &str,
    before: (i64, String),
    limit: i64,
) -> Result<Vec<Change>, DbError> {
    let sql = select!(
        "WHERE ($1 = '' OR state = $1) AND (requested_at < $2 OR (requested_at = $2 AND id < $3)) \
         ORDER BY requested_at DESC, id DESC LIMIT $4"
    );
    let query = sqlx::query(sql)
        .bind(state)
        .bind(before.0)
        .bind(before.1)
        .bind(limit);
    query
        .fetch_all(connection)
        .await?
        .iter()
        .map(row_to_change)
        .collect()
}

/// Changes on an item that were started or asked for since `since`, newest first.
pub async fn recent_on(
    connection: &mut AnyConnection,
    item: &str,
    since: Timestamp,
) -> Result<Vec<Change>, DbError> {
    let sql = select!(
        "WHERE requested_at >= $1 AND id IN (SELECT change_id FROM change_target WHERE item_id = $2) \
         ORDER BY requested_at DESC LIMIT 50"
    );
    let query = sqlx::query(sql).bind(since.as_microsecond()).bind(item);
    query
        .fetch_all(connection)
        .await?
        .iter()
        .map(row_to_change)
        .collect()
}

/// Which of the targets a granted change is working on that began after `since`.
pub(crate) async fn busy_targets(
    connection: &mut AnyConnection,
    targets: &[Target],
    since: Option<Timestamp>,
) -> Result<Vec<(String, String)>, DbError> {
    let sql = "SELECT t.item_id, c.title FROM change c JOIN change_target t ON t.change_id = c.id \
        WHERE c.state = 'granted' AND COALESCE(c.started_at, 0) > $1";
    let since = since.map_or(-1, Timestamp::as_microsecond);
    let mut busy = Vec::new();
    for row in sqlx::query(sql).bind(since).fetch_all(connection).await? {
        let item: String = row.try_get(0)?;
        if targets.iter().any(|t| t.item_id == item) {
            busy.push((item, row.try_get(1)?));
        }
    }
    Ok(busy)
}

fn row_to_freeze(row: &AnyRow) -> Result<Freeze, DbError> {
    Ok(Freeze {
        id: id::<FreezeId>(&row.try_get::<String, _>(0)?)?,
        title: row.try_get(1)?,
        tags: from_json("freeze.tags", &row.try_get::<String, _>(2)?)?,
        starts_at: from_micros(row.try_get(3)?),
        ends_at: from_micros(row.try_get(4)?),
        allows_remediation: row.try_get::<i64, _>(5)? != 0,
        created_by: row.try_get(6)?,
        created_at: from_micros(row.try_get(7)?),
        team: row.try_get(8)?,
    })
}

macro_rules! select_freeze {
    ($rest:literal) => {
        concat!(
            "SELECT id, title, tags, starts_at, ends_at, allows_remediation, created_by, created_at, team FROM change_freeze ",
            $rest
        )
    };
}

/// Every freeze that is on: none may be left out of a judgement.
pub(crate) async fn freezes_on(
    connection: &mut AnyConnection,
    now: Timestamp,
) -> Result<Vec<Freeze>, DbError> {
    sqlx::query(select_freeze!(
        "WHERE starts_at <= $1 AND ends_at > $1 ORDER BY starts_at, id"
    ))
    .bind(now.as_microsecond())
    .fetch_all(connection)
    .await?
    .iter()
    .map(row_to_freeze)
    .collect()
}

pub(crate) async fn freeze(connection: &mut AnyConnection, id: &FreezeId) -> Result<Option<Freeze>, DbError> {
    let row = sqlx::query(select_freeze!("WHERE id = $1"))
        .bind(id.as_str())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(row_to_freeze).transpose()
}

/// Freezes that are on or ahead.
pub(crate) async fn freezes_around(
    connection: &mut AnyConnection,
    now: Timestamp,
) -> Result<Vec<Freeze>, DbError> {
    sqlx::query(select_freeze!(
        "WHERE ends_at > $1 ORDER BY starts_at, id LIMIT 500"
    ))
    .bind(now.as_microsecond())
    .fetch_all(connection)
    .await?
    .iter()
    .map(row_to_freeze)
    .collect()
}

pub(crate) async fn insert_freeze(connection: &mut AnyConnection, freeze: &Freeze) -> Result<(), DbError> {
    let sql = "INSERT INTO change_freeze (id, title, tags, starts_at, ends_at, allows_remediation, created_by, created_at, team) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    sqlx::query(sql)
        .bind(freeze.id.as_str())
        .bind(&freeze.title)
        .bind(to_json("freeze.tags", &freeze.tags)?)
        .bind(freeze.starts_at.as_microsecond())
        .bind(freeze.ends_at.as_microsecond())
        .bind(i64::from(freeze.allows_remediation))
        .bind(&freeze.created_by)
        .bind(freeze.created_at.as_microsecond())
        .bind(freeze.team.clone())
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends a freeze that is on or ahead. False when there is none.
pub(crate) async fn end_freeze(
    connection: &mut AnyConnection,
    id: &FreezeId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let sql = "UPDATE change_freeze SET ends_at = $1 WHERE id = $2 AND ends_at > $1";
    let done = sqlx::query(sql)
        .bind(now.as_microsecond())
        .bind(id.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn windows(connection: &mut AnyConnection) -> Result<Vec<Window>, DbError> {
    let sql = "SELECT id, title, tags, days, start_minute, end_minute, time_zone, created_by, created_at, team \
        FROM change_window ORDER BY title, id";
    let minute = |value: i64| u32::try_from(value).unwrap_or(0);
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(Window {
                id: id::<WindowId>(&row.try_get::<String, _>(0)?)?,
                title: row.try_get(1)?,
                tags: from_json("change_window.tags", &row.try_get::<String, _>(2)?)?,
                days: from_json("change_window.days", &row.try_get::<String, _>(3)?)?,
                start_minute: minute(row.try_get(4)?),
                end_minute: minute(row.try_get(5)?),
                time_zone: row.try_get(6)?,
                created_by: row.try_get(7)?,
                created_at: from_micros(row.try_get(8)?),
                team: row.try_get(9)?,
            })
        })
        .collect()
}

pub(crate) async fn insert_window(connection: &mut AnyConnection, window: &Window) -> Result<(), DbError> {
    let sql = "INSERT INTO change_window (id, title, tags, days, start_minute, end_minute, time_zone, created_by, created_at, team) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    sqlx::query(sql)
        .bind(window.id.as_str())
        .bind(&window.title)
        .bind(to_json("change_window.tags", &window.tags)?)
        .bind(to_json("change_window.days", &window.days)?)
        .bind(i64::from(window.start_minute))
        .bind(i64::from(window.end_minute))
        .bind(&window.time_zone)
        .bind(&window.created_by)
        .bind(window.created_at.as_microsecond())
        .bind(window.team.clone())
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn delete_window(connection: &mut AnyConnection, id: &WindowId) -> Result<bool, DbError> {
    let done = sqlx::query("DELETE FROM change_window WHERE id = $1")
        .bind(id.as_str())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}
