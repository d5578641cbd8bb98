//! Channels.

use kernel::db::{from_json, to_json};
use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{id, optional_time, time};
use crate::model::Channel;

fn row_to_channel(row: &AnyRow) -> Result<Channel, DbError> {
    Ok(Channel {
        id: id(row, 0)?,
        name: row.try_get(1)?,
        config: from_json("channel.config", &row.try_get::<String, _>(2)?)?,
        secrets: row.try_get(3)?,
        is_enabled: row.try_get::<i64, _>(4)? != 0,
        subscription: from_json("channel.subscription", &row.try_get::<String, _>(5)?)?,
        title_template: row.try_get(6)?,
        text_template: row.try_get(7)?,
        created_at: time(row, 8)?,
        sent_at: optional_time(row, 9)?,
        failed_at: optional_time(row, 10)?,
        error: row.try_get(11)?,
    })
}

pub async fn get(connection: &mut AnyConnection, id: &str) -> Result<Option<Channel>, DbError> {
    let sql = "SELECT id, name, config, secrets, is_enabled, subscription, title_template, text_template, created_at, \
        sent_at, failed_at, error FROM channel WHERE id = $1";
    let row = sqlx::query(sql).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(row_to_channel).transpose()
}

/// Channels after `name_key`, by name.
pub async fn list(connection: &mut AnyConnection, after: &str, limit: i64) -> Result<Vec<Channel>, DbError> {
    let sql = "SELECT id, name, config, secrets, is_enabled, subscription, title_template, text_template, created_at, \
        sent_at, failed_at, error FROM channel WHERE name_key > $1 ORDER BY name_key LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_channel).collect()
}

/// Channels that may get pages.
pub async fn enabled(connection: &mut AnyConnection) -> Result<Vec<Channel>, DbError> {
    let sql = "SELECT id, name, config, secrets, is_enabled, subscription, title_template, text_template, created_at, \
        sent_at, failed_at, error FROM channel WHERE is_enabled = 1 ORDER BY name_key";
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter().map(row_to_channel).collect()
}

pub async fn count(connection: &mut AnyConnection) -> Result<i64, DbError> {
    let row = sqlx::query("SELECT CAST(COUNT(*) AS BIGINT) FROM channel")
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

pub async fn insert(connection: &mut AnyConnection, channel: &Channel) -> Result<(), DbError> {
    let sql = "INSERT INTO channel (id, name, name_key, config, secrets, is_enabled, subscription, title_template, \
        text_template, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    sqlx::query(sql)
        .bind(channel.id.as_str())
        .bind(channel.name.clone())
        .bind(channel.name.to_lowercase())
        .bind(to_json("channel.config", &channel.config)?)
        .bind(channel.secrets.clone())
        .bind(i64::from(channel.is_enabled))
        .bind(to_json("channel.subscription", &channel.subscription)?)
        .bind(channel.title_template.clone())
        .bind(channel.text_template.clone())
        .bind(channel.created_at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn update(connection: &mut AnyConnection, channel: &Channel) -> Result<(), DbError> {
    let sql = "UPDATE channel SET name = $2, name_key = $3, config = $4, secrets = $5, is_enabled = $6, subscription = $7, \
        title_template = $8, text_template = $9 WHERE id = $1";
    sqlx::query(sql)
        .bind(channel.id.as_str())
        .bind(channel.name.clone())
        .bind(channel.name.to_lowercase())
        .bind(to_json("channel.config", &channel.config)?)
        .bind(channel.secrets.clone())
        .bind(i64::from(channel.is_enabled))
        .bind(to_json("channel.subscription", &channel.subscription)?)
        .bind(channel.title_template.clone())
        .bind(channel.text_template.clone())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn delete(connection: &mut AnyConnection, id: &str) -> Result<(), DbError> {
    sqlx::query("DELETE FROM channel WHERE id = $1")
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that it works, and what is wrong with it all the same.
pub async fn set_sent(
    connection: &mut AnyConnection,
    id: &str,
    at: Timestamp,
    fault: Option<&str>,
) -> Result<(), DbError> {
    sqlx::query("UPDATE channel SET sent_at = $2, error = $3 WHERE id = $1")
        .bind(id)
        .bind(at.as_microsecond())
        .bind(fault.map(str::to_owned))
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that it does not.
pub async fn set_failed(
    connection: &mut AnyConnection,
    id: &str,
    at: Timestamp,
    error: &str,
) -> Result<(), DbError> {
    sqlx::query("UPDATE channel SET failed_at = $2, error = $3 WHERE id = $1")
        .bind(id)
        .bind(at.as_microsecond())
        .bind(error)
        .execute(connection)
        .await?;
    Ok(())
}
