//! Rows of `maintenance`.

use kernel::DbError;
use kernel::clock::from_micros;
use kernel::db::{from_json, to_json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::model::Phase;
use crate::window::Window;

macro_rules! columns {
    () => {
        "id, title, items, selector, with_dependents, starts_at, ends_at, phase, created_at, created_by, created_by_name, \
         version, scopes"
    };
}

fn row_to_window(row: &AnyRow) -> Result<Window, DbError> {
    let id: String = row.try_get(0)?;
    Ok(Window {
        id: id
            .parse()
            .map_err(|error| DbError::Sqlx(sqlx::Error::Decode(Box::new(error))))?,
        title: row.try_get(1)?,
        items: from_json("maintenance.items", &row.try_get::<String, _>(2)?)?,
        selector: row.try_get(3)?,
        with_dependents: row.try_get::<i64, _>(4)? != 0,
        starts_at: from_micros(row.try_get(5)?),
        ends_at: from_micros(row.try_get(6)?),
        phase: Phase::parse(&row.try_get::<String, _>(7)?),
        created_at: from_micros(row.try_get(8)?),
        created_by: row.try_get(9)?,
        created_by_name: row.try_get(10)?,
        version: row.try_get(11)?,
        scopes: from_json("maintenance.scopes", &row.try_get::<String, _>(12)?)?,
    })
}

/// At most `$2` that ended before `$1`.
pub const DELETE_OLD: &str = "DELETE FROM maintenance WHERE id IN (SELECT id FROM maintenance \
    WHERE phase = 'expired' AND ends_at < $1 ORDER BY id LIMIT $2)";

pub async fn save(connection: &mut AnyConnection, window: &Window) -> Result<(), DbError> {
    let sql = "INSERT INTO maintenance (id, title, items, selector, with_dependents, starts_at, ends_at, phase, \
        created_at, created_by, created_by_name, version, scopes) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
        ON CONFLICT (id) DO UPDATE SET title = excluded.title, starts_at = excluded.starts_at, \
        ends_at = excluded.ends_at, phase = excluded.phase, version = excluded.version";
    sqlx::query(sql)
        .bind(window.id.as_str().to_owned())
        .bind(window.title.clone())
        .bind(to_json("maintenance.items", &window.items)?)
        .bind(window.selector.clone())
        .bind(i64::from(window.with_dependents))
        .bind(window.starts_at.as_microsecond())
        .bind(window.ends_at.as_microsecond())
        .bind(window.phase.as_str())
        .bind(window.created_at.as_microsecond())
        .bind(window.created_by.clone())
        .bind(window.created_by_name.clone())
        .bind(window.version)
        .bind(to_json("maintenance.scopes", &window.scopes)?)
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn get(connection: &mut AnyConnection, id: &str) -> Result<Option<Window>, DbError> {
    let sql = concat!("SELECT ", columns!(), " FROM maintenance WHERE id = $1");
    let row = sqlx::query(sql)
        .bind(id.to_owned())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(row_to_window).transpose()
}

/// Windows before `id` in a phase (empty: in any), newest first.
pub async fn list(
    connection: &mut AnyConnection,
    phase: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<Window>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM maintenance WHERE ($1 = '' OR phase = $1) AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3"
    );
    let rows = sqlx::query(sql)
        .bind(phase.to_owned())
        .bind(before.to_owned())
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_window).collect()
}

/// Those that mute now, oldest first.
pub async fn active(connection: &mut AnyConnection) -> Result<Vec<Window>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM maintenance WHERE phase = 'active' ORDER BY id"
    );
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter().map(row_to_window).collect()
}

/// Those that must begin or end by now.
pub async fn turning(connection: &mut AnyConnection, now_us: i64) -> Result<Vec<Window>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM maintenance WHERE (phase = 'pending' AND starts_at <= $1) OR (phase IN ('pending', 'active') AND ends_at <= $1) \
         ORDER BY id"
    );
    let rows = sqlx::query(sql).bind(now_us).fetch_all(connection).await?;
    rows.iter().map(row_to_window).collect()
}

/// When the next one begins or ends.
pub async fn next_due(connection: &mut AnyConnection) -> Result<Option<i64>, DbError> {
    let sql = "SELECT MIN(CASE WHEN phase = 'pending' THEN starts_at ELSE ends_at END) FROM maintenance \
        WHERE phase IN ('pending', 'active')";
    Ok(sqlx::query(sql).fetch_one(connection).await?.try_get(0)?)
}
