//! Rows of `silence`.

use kernel::DbError;
use kernel::clock::from_micros;
use kernel::db::{from_json, to_json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::model::Phase;
use crate::silence::Silence;

macro_rules! columns {
    () => {
        "id, matchers, comment, starts_at, ends_at, phase, created_at, created_by, created_by_name, version, scopes"
    };
}

fn row_to_silence(row: &AnyRow) -> Result<Silence, DbError> {
    let id: String = row.try_get(0)?;
    Ok(Silence {
        id: id
            .parse()
            .map_err(|error| DbError::Sqlx(sqlx::Error::Decode(Box::new(error))))?,
        matchers: from_json("silence.matchers", &row.try_get::<String, _>(1)?)?,
        comment: row.try_get(2)?,
        starts_at: from_micros(row.try_get(3)?),
        ends_at: from_micros(row.try_get(4)?),
        phase: Phase::parse(&row.try_get::<String, _>(5)?),
        created_at: from_micros(row.try_get(6)?),
        created_by: row.try_get(7)?,
        created_by_name: row.try_get(8)?,
        version: row.try_get(9)?,
        scopes: from_json("silence.scopes", &row.try_get::<String, _>(10)?)?,
    })
}

/// At most `$2` that ended before `$1`.
pub const DELETE_OLD: &str = "DELETE FROM silence WHERE id IN (SELECT id FROM silence \
    WHERE phase = 'expired' AND ends_at < $1 ORDER BY id LIMIT $2)";

pub async fn save(connection: &mut AnyConnection, silence: &Silence) -> Result<(), DbError> {
    let sql = "INSERT INTO silence (id, matchers, comment, starts_at, ends_at, phase, created_at, created_by, \
        created_by_name, version, scopes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
        ON CONFLICT (id) DO UPDATE SET comment = excluded.comment, starts_at = excluded.starts_at, \
        ends_at = excluded.ends_at, phase = excluded.phase, version = excluded.version";
    sqlx::query(sql)
        .bind(silence.id.as_str().to_owned())
        .bind(to_json("silence.matchers", &silence.matchers)?)
        .bind(silence.comment.clone())
        .bind(silence.starts_at.as_microsecond())
        .bind(silence.ends_at.as_microsecond())
        .bind(silence.phase.as_str())
        .bind(silence.created_at.as_microsecond())
        .bind(silence.created_by.clone())
        .bind(silence.created_by_name.clone())
        .bind(silence.version)
        .bind(to_json("silence.scopes", &silence.scopes)?)
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn get(connection: &mut AnyConnection, id: &str) -> Result<Option<Silence>, DbError> {
    let sql = concat!("SELECT ", columns!(), " FROM silence WHERE id = $1");
    let row = sqlx::query(sql)
        .bind(id.to_owned())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(row_to_silence).transpose()
}

/// Silences before `id` in a phase (empty: in any), newest first.
pub async fn list(
    connection: &mut AnyConnection,
    phase: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<Silence>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM silence WHERE ($1 = '' OR phase = $1) AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3"
    );
    let rows = sqlx::query(sql)
        .bind(phase.to_owned())
        .bind(before.to_owned())
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_silence).collect()
}

/// Those that mute now, oldest first.
pub async fn active(connection: &mut AnyConnection) -> Result<Vec<Silence>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM silence WHERE phase = 'active' ORDER BY id"
    );
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter().map(row_to_silence).collect()
}

/// Those that must begin or end by now.
pub async fn turning(connection: &mut AnyConnection, now_us: i64) -> Result<Vec<Silence>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM silence WHERE (phase = 'pending' AND starts_at <= $1) OR (phase IN ('pending', 'active') AND ends_at <= $1) \
         ORDER BY id"
    );
    let rows = sqlx::query(sql).bind(now_us).fetch_all(connection).await?;
    rows.iter().map(row_to_silence).collect()
}

/// When the next one begins or ends.
pub async fn next_due(connection: &mut AnyConnection) -> Result<Option<i64>, DbError> {
    let sql = "SELECT MIN(CASE WHEN phase = 'pending' THEN starts_at ELSE ends_at END) FROM silence \
        WHERE phase IN ('pending', 'active')";
    Ok(sqlx::query(sql).fetch_one(connection).await?.try_get(0)?)
}
