//! Rows of `incident_alert`: which alert is in which incident, and where.

use std::collections::BTreeSet;

use kernel::DbError;
use kernel::db::{from_json, to_json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::places;
use crate::decide::group::{Presence, Root, RuleGroup};
use crate::model::{Member, Role};

const CHUNK: usize = 400;

macro_rules! columns {
    () => {
        "alert, incident, fingerprint, name, summary, severity, item, place, host, is_down, is_muted, role, reason, path, \
         runbook, fired_at, resolved_at, is_flapping, kin, rule, is_announced"
    };
}

fn row_to_member(row: &AnyRow) -> Result<Member, DbError> {
    Ok(Member {
        alert: row.try_get(0)?,
        incident: row.try_get(1)?,
        fingerprint: row.try_get(2)?,
        name: row.try_get(3)?,
        summary: row.try_get(4)?,
        severity: alerting::Severity::parse_or_warning(&row.try_get::<String, _>(5)?),
        item: row.try_get(6)?,
        place: row.try_get(7)?,
        host: row.try_get(8)?,
        is_down: row.try_get::<i64, _>(9)? != 0,
        is_muted: row.try_get::<i64, _>(10)? != 0,
        role: Role::parse(&row.try_get::<String, _>(11)?),
        reason: row.try_get(12)?,
        path: from_json("incident_alert.path", &row.try_get::<String, _>(13)?)?,
        runbook: row.try_get(14)?,
        fired_at: row.try_get(15)?,
        resolved_at: row.try_get(16)?,
        is_flapping: row.try_get::<i64, _>(17)? != 0,
        kin: row.try_get(18)?,
        rule: row.try_get(19)?,
        is_announced: row.try_get::<i64, _>(20)? != 0,
    })
}

/// Writes a member as it is now, new or not.
pub async fn save(connection: &mut AnyConnection, member: &Member, now_us: i64) -> Result<(), DbError> {
    let sql = "INSERT INTO incident_alert (alert, incident, fingerprint, name, summary, severity, item, place, host, is_down, \
        is_muted, role, reason, path, runbook, fired_at, resolved_at, joined_at, is_flapping, kin, \
        rule, is_announced) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
        $20, $21, $22) \
        ON CONFLICT (alert) DO UPDATE SET incident = excluded.incident, severity = excluded.severity, \
        is_muted = excluded.is_muted, role = excluded.role, reason = excluded.reason, path = excluded.path, \
        resolved_at = excluded.resolved_at, is_announced = excluded.is_announced";
    sqlx::query(sql)
        .bind(member.alert.clone())
        .bind(member.incident.clone())
        .bind(member.fingerprint.clone())
        .bind(member.name.clone())
        .bind(member.summary.clone())
        .bind(member.severity.as_str())
        .bind(member.item.clone())
        .bind(member.place.clone())
        .bind(member.host.clone())
        .bind(i64::from(member.is_down))
        .bind(i64::from(member.is_muted))
        .bind(member.role.as_str())
        .bind(member.reason.clone())
        .bind(to_json("incident_alert.path", &member.path)?)
        .bind(member.runbook.clone())
        .bind(member.fired_at)
        .bind(member.resolved_at)
        .bind(now_us)
        .bind(i64::from(member.is_flapping))
        .bind(member.kin.clone())
        .bind(member.rule.clone())
        .bind(i64::from(member.is_announced))
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn get(connection: &mut AnyConnection, alert: &str) -> Result<Option<Member>, DbError> {
    let sql = concat!("SELECT ", columns!(), " FROM incident_alert WHERE alert = $1");
    let row = sqlx::query(sql)
        .bind(alert.to_owned())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(row_to_member).transpose()
}

/// The alerts of an incident: the root, then what fires, worst and oldest first.
pub async fn of_incident(
    connection: &mut AnyConnection,
    incident: &str,
    limit: i64,
) -> Result<Vec<Member>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM incident_alert WHERE incident = $1 ORDER BY CASE role WHEN 'root' THEN 0 ELSE 1 END, \
         CASE WHEN resolved_at IS NULL THEN 0 ELSE 1 END, \
         CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, fired_at, alert LIMIT $2"
    );
    let rows = sqlx::query(sql)
        .bind(incident.to_owned())
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_member).collect()
}

/// (all, still firing)
pub async fn count(connection: &mut AnyConnection, incident: &str) -> Result<(i64, i64), DbError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT), \
        CAST(COALESCE(SUM(CASE WHEN resolved_at IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT) \
        FROM incident_alert WHERE incident = $1";
    let row = sqlx::query(sql)
        .bind(incident.to_owned())
        .fetch_one(connection)
        .await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Does the incident have an alert that comes and goes?
pub async fn has_flapping(connection: &mut AnyConnection, incident: &str) -> Result<bool, DbError> {
    let sql = "SELECT alert FROM incident_alert WHERE incident = $1 AND is_flapping = 1 LIMIT 1";
    let row = sqlx::query(sql)
        .bind(incident.to_owned())
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// Gives all alerts of one incident to another.
pub async fn move_all(connection: &mut AnyConnection, from: &str, into: &str) -> Result<(), DbError> {
    let sql = "UPDATE incident_alert SET incident = $2, role = CASE role WHEN 'root' THEN 'member' ELSE role END \
        WHERE incident = $1";
    sqlx::query(sql)
        .bind(from.to_owned())
        .bind(into.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}

/// What the open incidents have at these places, on this host, or of this kin.
pub async fn presences(
    connection: &mut AnyConnection,
    wanted: &BTreeSet<&str>,
    host: Option<&str>,
    kin: Option<&str>,
) -> Result<Vec<Presence>, DbError> {
    let mut found = Vec::new();
    if let Some(host) = host {
        let query = sqlx::query(AssertSqlSafe(presence_sql("a.host = $1"))).bind(host.to_owned());
        for row in query.fetch_all(&mut *connection).await? {
            found.push(row_to_presence(&row)?);
        }
    }
    if let Some(kin) = kin {
        let query = sqlx::query(AssertSqlSafe(presence_sql("a.kin = $1"))).bind(kin.to_owned());
        for row in query.fetch_all(&mut *connection).await? {
            found.push(Presence {
                is_kin: true,
                ..row_to_presence(&row)?
            });
        }
    }
    let wanted: Vec<&str> = wanted.iter().copied().collect();
    for chunk in wanted.chunks(CHUNK) {
        let sql = presence_sql(&format!("a.place IN ({})", places(1, chunk.len())));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for place in chunk {
            query = query.bind((*place).to_owned());
        }
        for row in query.fetch_all(&mut *connection).await? {
            let presence = row_to_presence(&row)?;
            if !found.contains(&presence) {
                found.push(presence);
            }
        }
    }
    Ok(found)
}

/// `condition` is one of three texts of this file: nothing from outside is put into it.
fn presence_sql(condition: &str) -> String {
    format!(
        "SELECT a.incident, a.place, a.host, \
         CAST(MAX(CASE WHEN a.resolved_at IS NULL THEN 1 ELSE 0 END) AS BIGINT), \
         CAST(MAX(CASE WHEN a.resolved_at IS NULL THEN a.is_down ELSE 0 END) AS BIGINT), \
         CAST(MIN(a.fired_at) AS BIGINT), CAST(MAX(a.fired_at) AS BIGINT), \
         r.place, r.host, r.severity, r.is_down, r.fired_at \
         FROM incident_alert a JOIN incident i ON i.id = a.incident LEFT JOIN incident_alert r ON r.alert = i.root_alert \
         WHERE {condition} AND i.state IN ('triggered', 'acknowledged', 'mitigated') \
         GROUP BY a.incident, a.place, a.host, r.place, r.host, r.severity, r.is_down, r.fired_at ORDER BY a.incident, a.place"
    )
}

fn row_to_presence(row: &AnyRow) -> Result<Presence, DbError> {
    Ok(Presence {
        incident: row.try_get(0)?,
        place: row.try_get(1)?,
        host: row.try_get(2)?,
        is_active: row.try_get::<i64, _>(3)? != 0,
        is_down: row.try_get::<i64, _>(4)? != 0,
        first_at: row.try_get(5)?,
        last_at: row.try_get(6)?,
        is_kin: false,
        root: row_to_root(row)?,
    })
}

fn row_to_root(row: &AnyRow) -> Result<Option<Root>, DbError> {
    let Some(place) = row.try_get::<Option<String>, _>(7)? else {
        return Ok(None);
    };
    Ok(Some(Root {
        place,
        host: row.try_get(8)?,
        severity: alerting::Severity::parse_or_warning(&row.try_get::<String, _>(9)?),
        is_down: row.try_get::<i64, _>(10)? != 0,
        at: row.try_get(11)?,
    }))
}

/// What the open incidents have of a rule since then; alerts of one fingerprint count once.
pub async fn of_rule(
    connection: &mut AnyConnection,
    rule: &str,
    since_us: i64,
) -> Result<Vec<RuleGroup>, DbError> {
    let sql = "SELECT a.incident, CAST(COUNT(DISTINCT a.fingerprint) AS BIGINT), CAST(MAX(a.fired_at) AS BIGINT) \
        FROM incident_alert a JOIN incident i ON i.id = a.incident WHERE a.rule = $1 AND a.fired_at >= $2 \
        AND i.state IN ('triggered', 'acknowledged', 'mitigated') GROUP BY a.incident ORDER BY a.incident";
    let rows = sqlx::query(sql)
        .bind(rule.to_owned())
        .bind(since_us)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(RuleGroup {
                incident: row.try_get(0)?,
                count: row.try_get(1)?,
                last_at: row.try_get(2)?,
            })
        })
        .collect()
}

/// Has an alert of this fingerprint been in the incident since then?
pub async fn is_known(
    connection: &mut AnyConnection,
    (incident, fingerprint): (&str, &str),
    since_us: i64,
) -> Result<bool, DbError> {
    let sql = "SELECT alert FROM incident_alert WHERE fingerprint = $2 AND fired_at >= $3 AND incident = $1 \
        AND is_announced = 1 AND role <> 'symptom' LIMIT 1";
    let row = sqlx::query(sql)
        .bind(incident.to_owned())
        .bind(fingerprint.to_owned())
        .bind(since_us)
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// Firing alerts that are not muted, worst first: what forbids to call the incident resolved.
pub async fn firing(
    connection: &mut AnyConnection,
    incident: &str,
    limit: i64,
) -> Result<Vec<Member>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM incident_alert WHERE incident = $1 AND resolved_at IS NULL AND is_muted = 0 AND severity <> 'info' \
         ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, fired_at, alert LIMIT $2"
    );
    let rows = sqlx::query(sql)
        .bind(incident.to_owned())
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_member).collect()
}

/// Alerts of the incident that people have not been notified of, worst and newest first, and how many there are.
pub async fn unannounced(
    connection: &mut AnyConnection,
    incident: &str,
    limit: i64,
) -> Result<(Vec<Member>, i64), DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM incident_alert WHERE incident = $1 AND is_announced = 0 \
         ORDER BY CASE WHEN resolved_at IS NULL THEN 0 ELSE 1 END, \
         CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, fired_at DESC, alert LIMIT $2"
    );
    let rows = sqlx::query(sql)
        .bind(incident.to_owned())
        .bind(limit)
        .fetch_all(&mut *connection)
        .await?;
    let found = rows.iter().map(row_to_member).collect::<Result<_, _>>()?;
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM incident_alert WHERE incident = $1 AND is_announced = 0";
    let row = sqlx::query(sql)
        .bind(incident.to_owned())
        .fetch_one(connection)
        .await?;
    Ok((found, row.try_get(0)?))
}

/// Those of these alerts that fire are to be announced to the people of the incident that they are in now.
pub async fn mark_unannounced(
    connection: &mut AnyConnection,
    incident: &str,
    members: &[Member],
) -> Result<(), DbError> {
    let sql = "UPDATE incident_alert SET is_announced = 0 WHERE incident = $1 AND alert = $2 AND resolved_at IS NULL";
    for member in members {
        sqlx::query(sql)
            .bind(incident.to_owned())
            .bind(member.alert.clone())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// People have been notified of all alerts of the incident.
pub async fn mark_announced(connection: &mut AnyConnection, incident: &str) -> Result<(), DbError> {
    let sql = "UPDATE incident_alert SET is_announced = 1 WHERE incident = $1 AND is_announced = 0";
    sqlx::query(sql)
        .bind(incident.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}

/// The items of an incident's alerts.
pub async fn items(
    connection: &mut AnyConnection,
    incident: &str,
    limit: i64,
) -> Result<Vec<String>, DbError> {
    let sql = "SELECT DISTINCT item FROM incident_alert WHERE incident = $1 AND item IS NOT NULL ORDER BY item LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(incident.to_owned())
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// How many alerts joined incidents in a stretch of time.
pub async fn joined_between(
    connection: &mut AnyConnection,
    from_us: i64,
    to_us: i64,
) -> Result<i64, DbError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM incident_alert WHERE joined_at >= $1 AND joined_at < $2";
    let row = sqlx::query(sql)
        .bind(from_us)
        .bind(to_us)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

/// Does something fire that keeps the incident open? What is muted does, a note does not.
pub async fn is_held_open(connection: &mut AnyConnection, incident: &str) -> Result<bool, DbError> {
    let sql = "SELECT alert FROM incident_alert WHERE incident = $1 AND resolved_at IS NULL AND severity <> 'info' LIMIT 1";
    let row = sqlx::query(sql)
        .bind(incident.to_owned())
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// Does an alert of the incident fire at this place that says the host is gone, or is no milder than `severity`?
pub async fn explains(
    connection: &mut AnyConnection,
    (incident, place): (&str, &str),
    severity: alerting::Severity,
) -> Result<bool, DbError> {
    let rank: i64 = match severity {
        alerting::Severity::Critical => 2,
        alerting::Severity::Warning => 1,
        alerting::Severity::Info => 0,
    };
    let sql = "SELECT alert FROM incident_alert WHERE incident = $1 AND place = $2 AND resolved_at IS NULL \
        AND (is_down = 1 OR (CASE severity WHEN 'critical' THEN 2 WHEN 'warning' THEN 1 ELSE 0 END) >= $3) LIMIT 1";
    let row = sqlx::query(sql)
        .bind(incident.to_owned())
        .bind(place.to_owned())
        .bind(rank)
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}
