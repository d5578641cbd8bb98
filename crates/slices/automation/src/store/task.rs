//! The tasks of runs: a step on a target.

use kernel::{DbError, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::run::{small, time};
use super::{bad, parse};
use crate::model::{RunId, RunTask, TaskState};

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

/// What the next move of a run depends on: the tasks of one step, those that have not ended, and those that ended badly.
pub(crate) async fn deciding(
    connection: &mut AnyConnection,
    run: &RunId,
    step: usize,
) -> Result<Vec<RunTask>, DbError> {
    let sql = "SELECT step, item_id, attempt, state, command_id, exit_code, note, started_at, finished_at \
        FROM run_task WHERE run_id = $1 AND (step = $2 OR state NOT IN ('ok', 'skipped')) ORDER BY step, item_id";
    sqlx::query(sql)
        .bind(run.as_str())
        .bind(step as i64)
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
