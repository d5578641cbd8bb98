//! Rows of `incident`.

use kernel::clock::from_micros;
use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::model::{Incident, Severity, State};

macro_rules! columns {
    () => {
        "i.id, i.number, i.title, i.title_is_manual, i.summary, i.state, i.severity, i.worst_seen, i.team, i.item, \
         i.root_alert, i.is_declared, i.lead, i.lead_name, i.opened_at, i.acknowledged_at, i.acknowledged_by, \
         i.acknowledged_by_name, i.mitigated_at, i.resolved_at, i.resolved_by, i.resolved_by_name, i.resolution, i.closed_at, i.reopened, i.merged_into, \
         i.resolve_at, i.remind_at, i.reminded, i.version, i.reopened_at, i.announce_at, i.announced_at"
    };
}

fn time(row: &AnyRow, index: usize) -> Result<Option<Timestamp>, DbError> {
    Ok(row.try_get::<Option<i64>, _>(index)?.map(from_micros))
}

fn row_to_incident(row: &AnyRow) -> Result<Incident, DbError> {
    let id: String = row.try_get(0)?;
    Ok(Incident {
        id: id
            .parse()
            .map_err(|error| DbError::Sqlx(sqlx::Error::Decode(Box::new(error))))?,
        number: row.try_get(1)?,
        title: row.try_get(2)?,
        title_is_manual: row.try_get::<i64, _>(3)? != 0,
        summary: row.try_get(4)?,
        state: State::parse(&row.try_get::<String, _>(5)?),
        severity: Severity::parse(&row.try_get::<String, _>(6)?),
        worst_seen: Severity::parse(&row.try_get::<String, _>(7)?),
        team: row.try_get(8)?,
        item: row.try_get(9)?,
        root_alert: row.try_get(10)?,
        is_declared: row.try_get::<i64, _>(11)? != 0,
        lead: row.try_get(12)?,
        lead_name: row.try_get(13)?,
        opened_at: from_micros(row.try_get(14)?),
        acknowledged_at: time(row, 15)?,
        acknowledged_by: row.try_get(16)?,
        acknowledged_by_name: row.try_get(17)?,
        mitigated_at: time(row, 18)?,
        resolved_at: time(row, 19)?,
        resolved_by: row.try_get(20)?,
        resolved_by_name: row.try_get(21)?,
        resolution: row.try_get(22)?,
        closed_at: time(row, 23)?,
        reopened: row.try_get(24)?,
        merged_into: row.try_get(25)?,
        resolve_at: time(row, 26)?,
        remind_at: time(row, 27)?,
        reminded: row.try_get(28)?,
        version: row.try_get(29)?,
        reopened_at: time(row, 30)?,
        announce_at: time(row, 31)?,
        announced_at: time(row, 32)?,
    })
}

/// Writes an incident as it is now, new or not.
pub async fn save(
    connection: &mut AnyConnection,
    incident: &Incident,
    now: Timestamp,
) -> Result<(), DbError> {
    let us = |time: Option<Timestamp>| time.map(Timestamp::as_microsecond);
    sqlx::query(SAVE)
        .bind(incident.id.as_str().to_owned())
        .bind(incident.number)
        .bind(incident.title.clone())
        .bind(i64::from(incident.title_is_manual))
        .bind(incident.summary.clone())
        .bind(incident.state.as_str())
        .bind(incident.severity.as_str())
        .bind(incident.worst_seen.as_str())
        .bind(incident.team.clone())
        .bind(incident.item.clone())
        .bind(incident.root_alert.clone())
        .bind(i64::from(incident.is_declared))
        .bind(incident.lead.clone())
        .bind(incident.lead_name.clone())
        .bind(incident.opened_at.as_microsecond())
        .bind(us(incident.acknowledged_at))
        .bind(incident.acknowledged_by.clone())
        .bind(incident.acknowledged_by_name.clone())
        .bind(us(incident.mitigated_at))
        .bind(us(incident.resolved_at))
        .bind(incident.resolved_by.clone())
        .bind(incident.resolved_by_name.clone())
        .bind(incident.resolution.clone())
        .bind(us(incident.closed_at))
        .bind(incident.reopened)
        .bind(incident.merged_into.clone())
        .bind(us(incident.resolve_at))
        .bind(us(incident.remind_at))
        .bind(incident.reminded)
        .bind(incident.version)
        .bind(now.as_microsecond())
        .bind(us(incident.reopened_at))
        .bind(us(incident.announce_at))
        .bind(us(incident.announced_at))
        .execute(connection)
        .await?;
    Ok(())
}

const SAVE: &str = "INSERT INTO incident (id, number, title, title_is_manual, summary, state, severity, worst_seen, team, item, \
    root_alert, is_declared, lead, lead_name, opened_at, acknowledged_at, acknowledged_by, acknowledged_by_name, \
    mitigated_at, resolved_at, resolved_by, resolved_by_name, resolution, closed_at, reopened, merged_into, \
    resolve_at, remind_at, reminded, version, updated_at, reopened_at, announce_at, announced_at) VALUES ($1, $2, $3, $4, $5, $6, $7, \
    $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, \
    $31, $32, $33, $34) ON \
    CONFLICT (id) DO UPDATE SET title = excluded.title, title_is_manual = excluded.title_is_manual, summary = \
    excluded.summary, state = excluded.state, severity = excluded.severity, worst_seen = excluded.worst_seen, team \
    = excluded.team, item = excluded.item, root_alert = excluded.root_alert, lead = excluded.lead, lead_name = \
    excluded.lead_name, acknowledged_at = excluded.acknowledged_at, acknowledged_by = excluded.acknowledged_by, \
    acknowledged_by_name = excluded.acknowledged_by_name, mitigated_at = excluded.mitigated_at, resolved_at = \
    excluded.resolved_at, resolved_by = excluded.resolved_by, resolved_by_name = excluded.resolved_by_name, \
    resolution = excluded.resolution, closed_at = excluded.closed_at, reopened = excluded.reopened, merged_into = \
    excluded.merged_into, resolve_at = excluded.resolve_at, remind_at = excluded.remind_at, reminded = \
    excluded.reminded, version = excluded.version, updated_at = excluded.updated_at, reopened_at = \
    excluded.reopened_at, announce_at = excluded.announce_at, announced_at = excluded.announced_at";

pub async fn get(connection: &mut AnyConnection, id: &str) -> Result<Option<Incident>, DbError> {
    let sql = concat!("SELECT ", columns!(), " FROM incident i WHERE i.id = $1");
    let row = sqlx::query(sql)
        .bind(id.to_owned())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(row_to_incident).transpose()
}

/// What to list; empty texts do not narrow.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// A state, or `open` for all that are not resolved.
    pub state: String,
    pub severity: String,
    /// An item that one of the alerts is about.
    pub item: String,
    /// Id of the lead.
    pub lead: String,
    /// Finds incidents that were merged, too.
    pub number: Option<i64>,
}

/// The list with one condition on the state, so that each can use the index on it.
macro_rules! listed {
    ($state:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM incident i WHERE ($1 = '' OR i.id < $1) \
             AND ((i.merged_into IS NULL AND CAST($5 AS BIGINT) = -1) OR i.number = $5) AND ",
            $state,
            " AND ($2 = '' OR i.severity = $2) \
             AND ($3 = '' OR i.item = $3 OR EXISTS (SELECT 1 FROM incident_alert a WHERE a.incident = i.id AND a.item = $3)) \
             AND ($4 = '' OR i.lead = $4) ORDER BY i.id DESC LIMIT $6"
        )
    };
}

/// Incidents before `id`, newest first, without those that are parts of others now.
pub async fn list(
    connection: &mut AnyConnection,
    filter: &Filter,
    before: &str,
    limit: i64,
) -> Result<Vec<Incident>, DbError> {
    let sql = match filter.state.as_str() {
        "open" => listed!("i.state IN ('triggered', 'acknowledged', 'mitigated')"),
        "triggered" => listed!("i.state = 'triggered'"),
        "acknowledged" => listed!("i.state = 'acknowledged'"),
        "mitigated" => listed!("i.state = 'mitigated'"),
        "resolved" => listed!("i.state = 'resolved'"),
        "closed" => listed!("i.state = 'closed'"),
        _ => listed!("1 = 1"),
    };
    let rows = sqlx::query(sql)
        .bind(before.to_owned())
        .bind(filter.severity.clone())
        .bind(filter.item.clone())
        .bind(filter.lead.clone())
        .bind(filter.number.unwrap_or(-1))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_incident).collect()
}

/// Incidents that were merged into this one.
pub async fn merged_into(connection: &mut AnyConnection, id: &str) -> Result<Vec<Incident>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM incident i WHERE i.merged_into = $1 ORDER BY i.id LIMIT 200"
    );
    let rows = sqlx::query(sql).bind(id.to_owned()).fetch_all(connection).await?;
    rows.iter().map(row_to_incident).collect()
}

/// Incidents whose wait before the resolve is over, whose people are to be reminded, or notified of what has joined.
pub async fn due_by(connection: &mut AnyConnection, now: Timestamp) -> Result<Vec<Incident>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM incident i WHERE (i.resolve_at IS NOT NULL AND i.resolve_at <= $1) \
         OR (i.remind_at IS NOT NULL AND i.remind_at <= $1) \
         OR (i.announce_at IS NOT NULL AND i.announce_at <= $1) ORDER BY i.id LIMIT 200"
    );
    let rows = sqlx::query(sql)
        .bind(now.as_microsecond())
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_incident).collect()
}

/// When the next of them is due.
pub async fn next_due(connection: &mut AnyConnection) -> Result<Option<i64>, DbError> {
    let sql = "SELECT MIN(due) FROM (SELECT MIN(resolve_at) AS due FROM incident WHERE resolve_at IS NOT NULL \
        UNION ALL SELECT MIN(remind_at) AS due FROM incident WHERE remind_at IS NOT NULL \
        UNION ALL SELECT MIN(announce_at) AS due FROM incident WHERE announce_at IS NOT NULL) AS waits";
    Ok(sqlx::query(sql).fetch_one(connection).await?.try_get(0)?)
}

/// The incident, resolved since `since`, that had an alert of this fingerprint last.
pub async fn resolved_with(
    connection: &mut AnyConnection,
    fingerprint: &str,
    since: Timestamp,
) -> Result<Option<Incident>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM incident i JOIN incident_alert a ON a.incident = i.id \
         WHERE a.fingerprint = $1 AND i.state = 'resolved' AND i.merged_into IS NULL AND i.resolved_at >= $2 \
         ORDER BY i.resolved_at DESC, i.id DESC LIMIT 1"
    );
    let row = sqlx::query(sql)
        .bind(fingerprint.to_owned())
        .bind(since.as_microsecond())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(row_to_incident).transpose()
}

/// Incidents opened in a stretch of time, oldest first; for figures.
pub async fn opened_between(
    connection: &mut AnyConnection,
    from: Timestamp,
    to: Timestamp,
    limit: i64,
) -> Result<Vec<Incident>, DbError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM incident i WHERE i.opened_at >= $1 AND i.opened_at < $2 ORDER BY i.opened_at LIMIT $3"
    );
    let rows = sqlx::query(sql)
        .bind(from.as_microsecond())
        .bind(to.as_microsecond())
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(row_to_incident).collect()
}

/// Open incidents by severity and state.
pub async fn counts(connection: &mut AnyConnection) -> Result<Vec<(String, String, i64)>, DbError> {
    let sql = "SELECT severity, state, CAST(COUNT(*) AS BIGINT) FROM incident \
        WHERE state IN ('triggered', 'acknowledged', 'mitigated') GROUP BY severity, state";
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
        .collect()
}
