//! Who holds which role, and where.

use kernel::db::{from_json, to_json};
use kernel::{DbError, Role, Scope};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{id, time};
use crate::model::HeldGrant;

fn row_to_grant(row: &AnyRow) -> Result<HeldGrant, DbError> {
    let role: String = row.try_get(2)?;
    let role =
        Role::parse(&role).ok_or_else(|| sqlx::Error::Decode(format!("\"{role}\" is not a role").into()))?;
    Ok(HeldGrant {
        id: id(row, 0)?,
        holder: row.try_get(1)?,
        role,
        scope: Scope {
            team: row.try_get(3)?,
            tags: from_json("access_grant.scope_tags", &row.try_get::<String, _>(4)?)?,
        },
        created_at: time(row, 5)?,
    })
}

/// What a person, team or service account was granted itself.
pub async fn of_holder(connection: &mut AnyConnection, holder: &str) -> Result<Vec<HeldGrant>, DbError> {
    let sql = "SELECT id, holder, role, scope_team, scope_tags, created_at FROM access_grant \
        WHERE holder = $1 ORDER BY id";
    let rows = sqlx::query(sql).bind(holder).fetch_all(connection).await?;
    rows.iter().map(row_to_grant).collect()
}

/// What counts for somebody: their own grants and those of their teams.
pub async fn effective(connection: &mut AnyConnection, holder: &str) -> Result<Vec<HeldGrant>, DbError> {
    let sql = "SELECT id, holder, role, scope_team, scope_tags, created_at FROM access_grant \
        WHERE holder = $1 OR holder IN (SELECT team FROM team_member WHERE person = $1) ORDER BY id";
    let rows = sqlx::query(sql).bind(holder).fetch_all(connection).await?;
    rows.iter().map(row_to_grant).collect()
}

pub async fn get(connection: &mut AnyConnection, id: &str) -> Result<Option<HeldGrant>, DbError> {
    let sql = "SELECT id, holder, role, scope_team, scope_tags, created_at FROM access_grant WHERE id = $1";
    let row = sqlx::query(sql).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(row_to_grant).transpose()
}

pub async fn insert(connection: &mut AnyConnection, grant: &HeldGrant) -> Result<(), DbError> {
    let sql = "INSERT INTO access_grant (id, holder, role, scope_team, scope_tags, is_everywhere, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(sql)
        .bind(grant.id.as_str())
        .bind(grant.holder.clone())
        .bind(grant.role.as_str())
        .bind(grant.scope.team.clone())
        .bind(to_json("access_grant.scope_tags", &grant.scope.tags)?)
        .bind(i64::from(grant.scope.is_everywhere()))
        .bind(grant.created_at.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn delete(connection: &mut AnyConnection, id: &str) -> Result<(), DbError> {
    sqlx::query("DELETE FROM access_grant WHERE id = $1")
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// What the people on one page of [`super::people::list`] were granted themselves.
pub async fn of_people(
    connection: &mut AnyConnection,
    after: &str,
    limit: i64,
) -> Result<Vec<HeldGrant>, DbError> {
    let sql = "SELECT id, holder, role, scope_team, scope_tags, created_at FROM access_grant \
        WHERE holder IN (SELECT id FROM person WHERE login_key > $1 ORDER BY login_key LIMIT $2) ORDER BY id";
    let rows = sqlx::query(sql)
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_grant).collect()
}

/// What holds only on the things of a team.
pub async fn scoped_to_team(connection: &mut AnyConnection, team: &str) -> Result<Vec<HeldGrant>, DbError> {
    let sql = "SELECT id, holder, role, scope_team, scope_tags, created_at FROM access_grant \
        WHERE scope_team = $1 ORDER BY id";
    let rows = sqlx::query(sql).bind(team).fetch_all(connection).await?;
    rows.iter().map(row_to_grant).collect()
}

/// Is there a role that holds for some things only?
pub async fn has_scoped(connection: &mut AnyConnection) -> Result<bool, DbError> {
    let row = sqlx::query("SELECT 1 FROM access_grant WHERE is_everywhere = 0 LIMIT 1")
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}
