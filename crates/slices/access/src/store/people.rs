//! People.

use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{flag, id, optional_time, time};
use crate::model::Person;

fn row_to_person(row: &AnyRow) -> Result<Person, DbError> {
    Ok(Person {
        id: id(row, 0)?,
        name: row.try_get(1)?,
        login: row.try_get(2)?,
        email: row.try_get(3)?,
        is_disabled: flag(row, 4)?,
        created_at: time(row, 5)?,
        signed_in_at: optional_time(row, 6)?,
    })
}

/// Logins are compared without regard to case.
pub fn login_key(login: &str) -> String {
    login.trim().to_lowercase()
}

pub async fn person(connection: &mut AnyConnection, id: &str) -> Result<Option<Person>, DbError> {
    let sql =
        "SELECT id, name, login, email, is_disabled, created_at, signed_in_at FROM person WHERE id = $1";
    let row = sqlx::query(sql).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(row_to_person).transpose()
}

/// The members of a team who may act, by login.
pub async fn people_of_team(connection: &mut AnyConnection, team: &str) -> Result<Vec<Person>, DbError> {
    let sql = "SELECT p.id, p.name, p.login, p.email, p.is_disabled, p.created_at, p.signed_in_at \
        FROM person p JOIN team_member m ON m.person = p.id \
        WHERE m.team = $1 AND p.is_disabled = 0 ORDER BY p.login_key";
    let rows = sqlx::query(sql).bind(team).fetch_all(connection).await?;
    rows.iter().map(row_to_person).collect()
}

/// All members of a team, by login.
pub async fn members(connection: &mut AnyConnection, team: &str) -> Result<Vec<Person>, DbError> {
    let sql = "SELECT p.id, p.name, p.login, p.email, p.is_disabled, p.created_at, p.signed_in_at \
        FROM person p JOIN team_member m ON m.person = p.id WHERE m.team = $1 ORDER BY p.login_key";
    let rows = sqlx::query(sql).bind(team).fetch_all(connection).await?;
    rows.iter().map(row_to_person).collect()
}

/// People after `login_key`, by login.
pub async fn list(connection: &mut AnyConnection, after: &str, limit: i64) -> Result<Vec<Person>, DbError> {
    let sql = "SELECT id, name, login, email, is_disabled, created_at, signed_in_at FROM person \
        WHERE login_key > $1 ORDER BY login_key LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_person).collect()
}

/// The person of a login, and the hash of their password.
pub async fn by_login(
    connection: &mut AnyConnection,
    login: &str,
) -> Result<Option<(Person, String)>, DbError> {
    let sql = "SELECT id, name, login, email, is_disabled, created_at, signed_in_at, password_hash FROM person \
        WHERE login_key = $1";
    let row = sqlx::query(sql)
        .bind(login_key(login))
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok((row_to_person(&row)?, row.try_get(7)?)))
        .transpose()
}

pub async fn insert(
    connection: &mut AnyConnection,
    person: &Person,
    password_hash: &str,
) -> Result<(), DbError> {
    let sql = "INSERT INTO person (id, name, login, login_key, email, password_hash, is_disabled, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(sql)
        .bind(person.id.as_str())
        .bind(person.name.clone())
        .bind(person.login.clone())
        .bind(login_key(&person.login))
        .bind(person.email.clone())
        .bind(password_hash)
        .bind(i64::from(person.is_disabled))
        .bind(person.created_at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn update(connection: &mut AnyConnection, person: &Person) -> Result<(), DbError> {
    let sql =
        "UPDATE person SET name = $2, login = $3, login_key = $4, email = $5, is_disabled = $6 WHERE id = $1";
    sqlx::query(sql)
        .bind(person.id.as_str())
        .bind(person.name.clone())
        .bind(person.login.clone())
        .bind(login_key(&person.login))
        .bind(person.email.clone())
        .bind(i64::from(person.is_disabled))
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn set_password(connection: &mut AnyConnection, id: &str, hash: &str) -> Result<(), DbError> {
    sqlx::query("UPDATE person SET password_hash = $2 WHERE id = $1")
        .bind(id)
        .bind(hash)
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn set_signed_in(connection: &mut AnyConnection, id: &str, at: Timestamp) -> Result<(), DbError> {
    sqlx::query("UPDATE person SET signed_in_at = $2 WHERE id = $1")
        .bind(id)
        .bind(at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes a person with their memberships, grants, sessions and tokens.
pub async fn delete(connection: &mut AnyConnection, id: &str) -> Result<(), DbError> {
    for sql in [
        "DELETE FROM session WHERE person = $1",
        "DELETE FROM api_token WHERE owner = $1",
        "DELETE FROM access_grant WHERE holder = $1",
        "DELETE FROM team_member WHERE person = $1",
        "DELETE FROM person WHERE id = $1",
    ] {
        sqlx::query(sql).bind(id).execute(&mut *connection).await?;
    }
    Ok(())
}

/// People who can sign in and administer everything, by a grant of their own or of a team.
pub async fn count_administrators(connection: &mut AnyConnection) -> Result<i64, DbError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM person p WHERE p.is_disabled = 0 AND EXISTS ( \
        SELECT 1 FROM access_grant g WHERE g.role = 'administrator' AND g.is_everywhere = 1 \
        AND (g.holder = p.id OR g.holder IN (SELECT m.team FROM team_member m WHERE m.person = p.id)))";
    let row = sqlx::query(sql).fetch_one(connection).await?;
    Ok(row.try_get(0)?)
}
