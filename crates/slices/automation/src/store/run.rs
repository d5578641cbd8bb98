//! Runs.

use kernel::clock::from_micros;
use kernel::db::{from_json, to_json};
use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{bad, parse};
use crate::model::{Run, RunId, RunState};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, runbook_id, runbook_name, runbook_version, text, inputs, targets, waves, state, wave, step, is_dry, ",
            "source, incident_id, alert_id, change_id, plan_hash, requested_by, requested_by_name, requested_at, started_at, ",
            "finished_at, note, event_seq, alert_fingerprint, alert FROM run ",
            $rest
        )
    };
}

pub(super) fn time(row: &AnyRow, index: usize) -> Result<Option<Timestamp>, DbError> {
    Ok(row.try_get::<Option<i64>, _>(index)?.map(from_micros))
}

pub(super) fn small(row: &AnyRow, index: usize) -> Result<usize, DbError> {
    Ok(usize::try_from(row.try_get::<i64, _>(index)?).unwrap_or(0))
}

fn read(row: &AnyRow) -> Result<Run, DbError> {
    let word = |index: usize| row.try_get::<String, _>(index);
    let state = word(8)?;
    Ok(Run {
        id: parse("run id", &word(0)?)?,
        runbook_id: word(1)?,
        runbook_name: word(2)?,
        runbook_version: row.try_get(3)?,
        text: word(4)?,
        inputs: from_json("run.inputs", &word(5)?)?,
        targets: from_json("run.targets", &word(6)?)?,
        waves: from_json("run.waves", &word(7)?)?,
        state: RunState::parse(&state).ok_or_else(|| bad("run state", &state))?,
        wave: small(row, 9)?,
        step: small(row, 10)?,
        is_dry: row.try_get::<i64, _>(11)? != 0,
        source: word(12)?,
        incident_id: row.try_get(13)?,
        alert_id: row.try_get(14)?,
        change_id: row.try_get(15)?,
        plan_hash: word(16)?,
        requested_by: word(17)?,
        requested_by_name: word(18)?,
        requested_at: from_micros(row.try_get(19)?),
        started_at: time(row, 20)?,
        finished_at: time(row, 21)?,
        note: row.try_get(22)?,
        event_seq: row.try_get(23)?,
        alert_fingerprint: row.try_get(24)?,
        alert: row
            .try_get::<Option<String>, _>(25)?
            .map(|text| from_json("run.alert", &text))
            .transpose()?,
    })
}

pub(crate) async fn insert(connection: &mut AnyConnection, run: &Run) -> Result<(), DbError> {
    let sql = "INSERT INTO run (id, runbook_id, runbook_name, runbook_version, text, inputs, targets, waves, state, wave, \
        step, is_dry, source, incident_id, alert_id, change_id, plan_hash, requested_by, requested_by_name, requested_at, \
        note, event_seq, alert_fingerprint, alert) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
        $19, $20, $21, $22, $23, $24)";
    sqlx::query(sql)
        .bind(run.id.as_str())
        .bind(&run.runbook_id)
        .bind(&run.runbook_name)
        .bind(run.runbook_version)
        .bind(&run.text)
        .bind(to_json("run.inputs", &run.inputs)?)
        .bind(to_json("run.targets", &run.targets)?)
        .bind(to_json("run.waves", &run.waves)?)
        .bind(run.state.as_str())
        .bind(run.wave as i64)
        .bind(run.step as i64)
        .bind(i64::from(run.is_dry))
        .bind(&run.source)
        .bind(run.incident_id.clone())
        .bind(run.alert_id.clone())
        .bind(run.change_id.clone())
        .bind(&run.plan_hash)
        .bind(&run.requested_by)
        .bind(&run.requested_by_name)
        .bind(run.requested_at.as_microsecond())
        .bind(run.note.clone())
        .bind(run.event_seq)
        .bind(run.alert_fingerprint.clone())
        .bind(
            run.alert
                .as_ref()
                .map(|alert| to_json("run.alert", alert))
                .transpose()?,
        )
        .execute(connection)
        .await?;
    Ok(())
}

/// Saves what changes while a run goes on.
pub(crate) async fn save(connection: &mut AnyConnection, run: &Run) -> Result<(), DbError> {
    let sql = "UPDATE run SET state = $1, wave = $2, step = $3, change_id = $4, started_at = $5, finished_at = $6, \
        note = $7, event_seq = $8 WHERE id = $9";
    sqlx::query(sql)
        .bind(run.state.as_str())
        .bind(run.wave as i64)
        .bind(run.step as i64)
        .bind(run.change_id.clone())
        .bind(run.started_at.map(Timestamp::as_microsecond))
        .bind(run.finished_at.map(Timestamp::as_microsecond))
        .bind(run.note.clone())
        .bind(run.event_seq)
        .bind(run.id.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn get(connection: &mut AnyConnection, id: &RunId) -> Result<Option<Run>, DbError> {
    let row = sqlx::query(select!("WHERE id = $1"))
        .bind(id.as_str())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Reads a run to change it. Invariant: until the transaction ends nobody else changes the run or its tasks; on PostgreSQL writers run
/// side by side, and what one has decided on an old state would undo what another has written.
pub(crate) async fn hold(connection: &mut AnyConnection, id: &RunId) -> Result<Option<Run>, DbError> {
    sqlx::query("UPDATE run SET id = id WHERE id = $1")
        .bind(id.as_str())
        .execute(&mut *connection)
        .await?;
    get(connection, id).await
}

/// Runs that are in line or at work, oldest first.
pub(crate) async fn active(connection: &mut AnyConnection) -> Result<Vec<Run>, DbError> {
    let sql = select!("WHERE state IN ('queued', 'running', 'cancelling') ORDER BY requested_at, id");
    sqlx::query(sql)
        .fetch_all(connection)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Runs that wait for somebody's word, oldest first.
pub(crate) async fn waiting(connection: &mut AnyConnection) -> Result<Vec<Run>, DbError> {
    let sql = select!(
        "WHERE state IN ('awaiting_person', 'awaiting_approval') ORDER BY requested_at, id LIMIT 1000"
    );
    sqlx::query(sql)
        .fetch_all(connection)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Newest first; empty filters do not narrow.
pub(crate) async fn list(
    connection: &mut AnyConnection,
    (state, runbook, incident): (&str, &str, &str),
    before: (i64, String),
    limit: i64,
) -> Result<Vec<Run>, DbError> {
    let sql = select!(
        "WHERE ($1 = '' OR state = $1) AND ($2 = '' OR runbook_id = $2) AND ($3 = '' OR incident_id = $3) \
         AND (requested_at < $4 OR (requested_at = $4 AND id < $5)) ORDER BY requested_at DESC, id DESC LIMIT $6"
    );
    let query = sqlx::query(sql)
        .bind(state)
        .bind(runbook)
        .bind(incident)
        .bind(before.0)
        .bind(before.1)
        .bind(limit);
    query.fetch_all(connection).await?.iter().map(read).collect()
}

/// Up to `most` runs that ended before, with their tasks; says how many.
pub(crate) async fn delete_old(
    connection: &mut AnyConnection,
    before_us: i64,
    most: i64,
) -> Result<u64, DbError> {
    let sql = "SELECT id FROM run WHERE finished_at < $1 ORDER BY finished_at, id LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(before_us)
        .bind(most)
        .fetch_all(&mut *connection)
        .await?;
    for row in &rows {
        let id: String = row.try_get(0)?;
        for sql in [
            "DELETE FROM run_task WHERE run_id = $1",
            "DELETE FROM run_secret WHERE run_id = $1",
            "DELETE FROM run WHERE id = $1",
        ] {
            sqlx::query(sql)
                .bind(id.clone())
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(rows.len() as u64)
}

/// The run is for this incident, when it was for none.
pub async fn adopt(connection: &mut AnyConnection, run: &str, incident: &str) -> Result<(), DbError> {
    sqlx::query("UPDATE run SET incident_id = $2 WHERE id = $1 AND incident_id IS NULL")
        .bind(run)
        .bind(incident)
        .execute(connection)
        .await?;
    Ok(())
}

/// What was for one incident is for another from now on.
pub async fn hand_over(connection: &mut AnyConnection, from: &str, into: &str) -> Result<(), DbError> {
    sqlx::query("UPDATE run SET incident_id = $2 WHERE incident_id = $1")
        .bind(from)
        .bind(into)
        .execute(connection)
        .await?;
    Ok(())
}

/// Runs that were started for an incident, newest first.
pub async fn of_incident(connection: &mut AnyConnection, incident: &str) -> Result<Vec<Run>, DbError> {
    let sql = select!("WHERE incident_id = $1 ORDER BY requested_at DESC LIMIT 100");
    sqlx::query(sql)
        .bind(incident)
        .fetch_all(connection)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// When an alert last started this runbook for the condition with this fingerprint.
pub(crate) async fn last_for(
    connection: &mut AnyConnection,
    runbook: &str,
    fingerprint: &str,
) -> Result<Option<Timestamp>, DbError> {
    let sql = "SELECT CAST(MAX(requested_at) AS BIGINT) FROM run \
        WHERE runbook_id = $1 AND source = 'alert' AND alert_fingerprint = $2";
    let row = sqlx::query(sql)
        .bind(runbook)
        .bind(fingerprint)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get::<Option<i64>, _>(0)?.map(from_micros))
}

/// Runs of this runbook that alerts started in a time. What a clock that ran ahead wrote into the future does not count.
pub(crate) async fn count_by_alert(
    connection: &mut AnyConnection,
    runbook: &str,
    (since, until): (Timestamp, Timestamp),
) -> Result<i64, DbError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM run \
        WHERE runbook_id = $1 AND source = 'alert' AND requested_at >= $2 AND requested_at <= $3";
    let row = sqlx::query(sql)
        .bind(runbook)
        .bind(since.as_microsecond())
        .bind(until.as_microsecond())
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

/// Runs of this runbook that alerts started and that have not ended, and those among them for this condition.
pub(crate) async fn open_by_alert(
    connection: &mut AnyConnection,
    runbook: &str,
    fingerprint: &str,
) -> Result<(i64, i64), DbError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT), \
        CAST(COALESCE(SUM(CASE WHEN alert_fingerprint = $2 THEN 1 ELSE 0 END), 0) AS BIGINT) FROM run \
        WHERE runbook_id = $1 AND source = 'alert' AND state NOT IN ('succeeded', 'failed', 'cancelled', 'rejected')";
    let row = sqlx::query(sql)
        .bind(runbook)
        .bind(fingerprint)
        .fetch_one(connection)
        .await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Runs that an alert asked for and that have not begun, or wait for a person.
pub(crate) async fn open_of_alert(connection: &mut AnyConnection, alert: &str) -> Result<Vec<Run>, DbError> {
    let sql = select!(
        "WHERE alert_id = $1 AND state IN ('awaiting_approval', 'awaiting_person', 'queued') ORDER BY id"
    );
    let rows = sqlx::query(sql).bind(alert).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

/// Runs that wait for a person and of which nobody was told yet.
pub(crate) async fn unannounced(connection: &mut AnyConnection) -> Result<Vec<Run>, DbError> {
    let sql = select!(
        "WHERE is_announced = 0 AND state IN ('awaiting_person', 'awaiting_approval') ORDER BY requested_at, id LIMIT 100"
    );
    sqlx::query(sql)
        .fetch_all(connection)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Whether people have been told that the run waits.
pub(crate) async fn set_announced(
    connection: &mut AnyConnection,
    id: &RunId,
    is_announced: bool,
) -> Result<(), DbError> {
    sqlx::query("UPDATE run SET is_announced = $2 WHERE id = $1")
        .bind(id.as_str())
        .bind(i64::from(is_announced))
        .execute(connection)
        .await?;
    Ok(())
}

/// The run that waits for a change to be decided.
pub async fn of_change(connection: &mut AnyConnection, change: &str) -> Result<Option<Run>, DbError> {
    let row = sqlx::query(select!("WHERE change_id = $1"))
        .bind(change)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}
