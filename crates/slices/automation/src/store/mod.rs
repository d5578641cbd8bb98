//! All SQL of the slice.

mod lock;
mod run;
mod runbook;
pub(crate) mod secret;
mod task;

use kernel::DbError;

pub use lock::lock_holder;
pub(crate) use lock::{locks, release_locks, try_lock};
pub(crate) use run::delete_old as delete_old_runs;
pub(crate) use run::{
    active, count_by_alert, hold, insert as insert_run, last_for, list as list_runs, open_by_alert,
    open_of_alert, save as save_run, set_announced, unannounced, waiting,
};
pub use run::{
    adopt as adopt_run, get as run, hand_over as hand_over_runs, of_change as run_of_change, of_incident,
};
pub(crate) use runbook::{
    delete, heads, insert, list, mark_schedule, reset_schedule, schedule_marks, text_of, update, versions,
};
pub use runbook::{enabled, get as runbook};
pub(crate) use task::{deciding, save_task, task_of_command, tasks};

fn bad(what: &str, text: &str) -> DbError {
    DbError::Sqlx(sqlx::Error::Decode(
        format!("stored {what} \"{text}\" is not known").into(),
    ))
}

fn parse<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, DbError> {
    text.parse().map_err(|_| bad(what, text))
}
