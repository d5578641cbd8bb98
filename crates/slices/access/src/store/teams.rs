//! Teams and who is in them.

use kernel::DbError;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{id, time};
use crate::model::Team;

fn row_to_team(row: &AnyRow) -> Result<Team, DbError> {
    Ok(Team {
        id: id(row, 0)?,
        name: row.try_get(1)?,
        description: row.try_get(2)?,
        created_at: time(row, 3)?,
    })
}

pub async fn get(connection: &mut AnyConnection, id: &str) -> Result<Option<Team>, DbError> {
    let row = sqlx::query("SELECT id, name, description, created_at FROM team WHERE id = $1")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(row_to_team).transpose()
}

pub async fn list(connection: &mut AnyConnection, after: &str, limit: i64) -> Result<Vec<Team>, DbError> {
    let sql =
        "SELECT id, name, description, created_at FROM team WHERE name_key > $1 ORDER BY name_key LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_team).collect()
}

pub async fn insert(connection: &mut AnyConnection, team: &Team) -> Result<(), DbError> {
    let sql = "INSERT INTO team (id, name, name_key, description, created_at) VALUES ($1, $2, $3, $4, $5)";
    sqlx::query(sql)
        .bind(team.id.as_str())
        .bind(team.name.clone())
        .bind(team.name.to_lowercase())
        .bind(team.description.clone())
        .bind(team.created_at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn update(connection: &mut AnyConnection, team: &Team) -> Result<(), DbError> {
    sqlx::query("UPDATE team SET name = $2, name_key = $3, description = $4 WHERE id = $1")
        .bind(team.id.as_str())
        .bind(team.name.clone())
        .bind(team.name.to_lowercase())
        .bind(team.description.clone())
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes a team, what it was granted, and what was granted on its things.
pub async fn delete(connection: &mut AnyConnection, id: &str) -> Result<(), DbError> {
    for sql in [
        "DELETE FROM access_grant WHERE holder = $1 OR scope_team = $1",
        "DELETE FROM team_member WHERE team = $1",
        "DELETE FROM team WHERE id = $1",
    ] {
        sqlx::query(sql).bind(id).execute(&mut *connection).await?;
    }
    Ok(())
}

/// False when they were in it already.
pub async fn add_member(connection: &mut AnyConnection, team: &str, person: &str) -> Result<bool, DbError> {
    let sql = "INSERT INTO team_member (team, person) VALUES ($1, $2) ON CONFLICT (team, person) DO NOTHING";
    let done = sqlx::query(sql)
        .bind(team)
        .bind(person)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// False when they were not in it.
pub async fn remove_member(
    connection: &mut AnyConnection,
    team: &str,
    person: &str,
) -> Result<bool, DbError> {
    let done = sqlx::query("DELETE FROM team_member WHERE team = $1 AND person = $2")
        .bind(team)
        .bind(person)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The teams of a person.
pub async fn of_person(connection: &mut AnyConnection, person: &str) -> Result<Vec<Team>, DbError> {
    let sql = "SELECT t.id, t.name, t.description, t.created_at FROM team t JOIN team_member m ON m.team = t.id \
        WHERE m.person = $1 ORDER BY t.name_key";
    let rows = sqlx::query(sql).bind(person).fetch_all(connection).await?;
    rows.iter().map(row_to_team).collect()
}

/// The teams of the people on one page of [`super::people::list`], as (person, team).
pub async fn of_people(
    connection: &mut AnyConnection,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, Team)>, DbError> {
    let sql = "SELECT t.id, t.name, t.description, t.created_at, m.person FROM team t JOIN team_member m ON m.team = t.id \
        WHERE m.person IN (SELECT id FROM person WHERE login_key > $1 ORDER BY login_key LIMIT $2) ORDER BY t.name_key";
    let rows = sqlx::query(sql)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(4)?, row_to_team(row)?)))
        .collect()
}
