//! All SQL of the slice.

mod run;
mod runbook;

use kernel::DbError;

pub(crate) use run::{
    active, count_by_alert, insert as insert_run, last_for, list as list_runs, of_change as run_of_change,
    release_locks, save as save_run, save_task, task_of_command, tasks, try_lock,
};
pub use run::{get as run, lock_holder, of_incident};
pub(crate) use runbook::{delete, insert, list, mark_schedule, schedule_mark, text_of, update, versions};
pub use runbook::{enabled, get as runbook};

fn bad(what: &str, text: &str) -> DbError {
    DbError::Sqlx(sqlx::Error::Decode(
        format!("stored {what} \"{text}\" is not known").into(),
    ))
}

fn parse<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, DbError> {
    text.parse().map_err(|_| bad(what, text))
}
