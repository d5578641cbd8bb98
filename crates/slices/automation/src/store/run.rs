//! Runs, their tasks, and the locks on their targets.

use kernel::clock::from_micros;
use kernel::db::{from_json, to_json};
use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{bad, parse};
use crate::model::{Run, RunId, RunState, RunTask, TaskState};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, runbook_id, runbook_name, runbook_version, text, inputs, targets, waves, state, wave, step, is_dry, ",
            "source, incident_id, alert_id, change_id, plan_hash, requested_by, requested_by_name, requested_at, started_at, ",
            "finished_at, note, event_seq, alert_fingerprint FROM run ",
            $rest
        )
    };
}

fn time(row: &AnyRow, index: usize) -> Result<Option<Timestamp>, DbError> {
    Ok(row.try_get::<Option<i64>, _>(index)?.map(from_micros))
}

fn small(row: &AnyRow, index: usize) -> Result<usize, DbError> {
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
    })
}

pub(crate) async fn insert(connection: &mut AnyConnection, run: &Run) -> Result<(), DbError> {
    let sql = "INSERT INTO run (id, runbook_id, runbook_name, runbook_version, text, inputs, targets, waves, state, wave, \
        step, is_dry, source, incident_id, alert_id, change_id, plan_hash, requested_by, requested_by_name, requested_at, \
        note, event_seq, alert_fingerprint) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
        $19, $20, $21, $22, $23)";
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

/// Runs that have not ended, oldest first.
pub(crate) async fn active(connection: &mut AnyConnection) -> Result<Vec<Run>, DbError> {
    let sql = select!(
        "WHERE state IN ('queued', 'running', 'cancelling', 'awaiting_person') ORDER BY requested_at, id"
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

/// Runs of this runbook that alerts started since `since`.
pub(crate) async fn count_by_alert(
    connection: &mut AnyConnection,
    runbook: &str,
    since: Timestamp,
) -> Result<i64, DbError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM run WHERE runbook_id = $1 AND source = 'alert' AND requested_at >= $2";
    let row = sqlx::query(sql)
        .bind(runbook)
        .bind(since.as_microsecond())
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

fn read_task(row: &AnyRow) -> Result<RunTask, DbError> {
    let state: String = row.try_get(3)?;
    Ok(RunTask {
        step: small(row, 0)?,
        item_id: row.try_get(1)?,
        attempt: u32::try_from(row.try_get::<i64, _>(2)?).unwrap_or(1),
        state: TaskState::parse(&state).ok_or_else(|| bad("task state", &state))?,
        command_id: row.try_get(4)?,
        exit_code: row.try_get(5)?,
        note: row.try_get(6)?,
        started_at: time(row, 7)?,
        finished_at: time(row, 8)?,
    })
}

pub(crate) async fn tasks(connection: &mut AnyConnection, run: &RunId) -> Result<Vec<RunTask>, DbError> {
    let sql = "SELECT step, item_id, attempt, state, command_id, exit_code, note, started_at, finished_at \
        FROM run_task WHERE run_id = $1 ORDER BY step, item_id";
    sqlx::query(sql)
        .bind(run.as_str())
        .fetch_all(connection)
        .await?
        .iter()
        .map(read_task)
        .collect()
}

/// Writes a task; a new attempt replaces the one before.
pub(crate) async fn save_task(
    connection: &mut AnyConnection,
    run: &RunId,
    task: &RunTask,
) -> Result<(), DbError> {
    let sql = "INSERT INTO run_task (run_id, step, item_id, attempt, state, command_id, exit_code, note, started_at, finished_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
        ON CONFLICT (run_id, step, item_id) DO UPDATE SET attempt = excluded.attempt, state = excluded.state, \
        command_id = excluded.command_id, exit_code = excluded.exit_code, note = excluded.note, \
        started_at = excluded.started_at, finished_at = excluded.finished_at";
    sqlx::query(sql)
        .bind(run.as_str())
        .bind(task.step as i64)
        .bind(&task.item_id)
        .bind(i64::from(task.attempt))
        .bind(task.state.as_str())
        .bind(task.command_id.clone())
        .bind(task.exit_code)
        .bind(task.note.clone())
        .bind(task.started_at.map(Timestamp::as_microsecond))
        .bind(task.finished_at.map(Timestamp::as_microsecond))
        .execute(connection)
        .await?;
    Ok(())
}

/// The run and task that a command belongs to.
pub(crate) async fn task_of_command(
    connection: &mut AnyConnection,
    command: &str,
) -> Result<Option<(RunId, RunTask)>, DbError> {
    let sql = "SELECT step, item_id, attempt, state, command_id, exit_code, note, started_at, finished_at, run_id \
        FROM run_task WHERE command_id = $1";
    let row = sqlx::query(sql).bind(command).fetch_optional(connection).await?;
    row.map(|row| Ok((parse("run id", &row.try_get::<String, _>(9)?)?, read_task(&row)?)))
        .transpose()
}

/// Takes the lock of a target for a run. The run that holds it otherwise.
pub(crate) async fn try_lock(
    connection: &mut AnyConnection,
    item: &str,
    run: &RunId,
    now: Timestamp,
) -> Result<Option<String>, DbError> {
    let sql = "INSERT INTO target_lock (item_id, run_id, since) VALUES ($1, $2, $3) ON CONFLICT (item_id) DO NOTHING";
    let query = sqlx::query(sql)
        .bind(item)
        .bind(run.as_str())
        .bind(now.as_microsecond());
    query.execute(&mut *connection).await?;
    let holder = lock_holder(connection, item).await?;
    Ok(holder.filter(|holder| holder != run.as_str()))
}

/// The run that works on a target right now.
pub async fn lock_holder(connection: &mut AnyConnection, item: &str) -> Result<Option<String>, DbError> {
    let row = sqlx::query("SELECT run_id FROM target_lock WHERE item_id = $1")
        .bind(item)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

pub(crate) async fn release_locks(connection: &mut AnyConnection, run: &RunId) -> Result<(), DbError> {
    sqlx::query("DELETE FROM target_lock WHERE run_id = $1")
        .bind(run.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// The run that waits for a change to be decided.
pub(crate) async fn of_change(connection: &mut AnyConnection, change: &str) -> Result<Option<Run>, DbError> {
    let row = sqlx::query(select!("WHERE change_id = $1"))
        .bind(change)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}
