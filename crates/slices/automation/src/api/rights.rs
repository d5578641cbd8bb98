//! Who sees a run, and who may act on its targets.

use kernel::slice::roles;
use kernel::{Actor, Problem, Tx};
use sqlx::AnyConnection;

use crate::model::{Run, RunId};
use crate::store;

/// A run is seen by those who see one of its targets, and by who asked for it.
pub(super) fn sees(actor: &Actor, run: &Run) -> bool {
    !actor.is_scoped()
        || run.requested_by == actor.key()
        || run
            .targets
            .iter()
            .any(|target| actor.sees(target.team.as_deref(), &target.tags))
}

/// Acting needs the role on every target, not only seeing it.
pub(super) fn check_scope(actor: &Actor, run: &Run) -> Result<(), Problem> {
    let is_beyond = |target: &&crate::RunTarget| {
        !actor.may("runs.start", roles::OPERATE, target.team.as_deref(), &target.tags)
    };
    match run.targets.iter().find(is_beyond) {
        None => Ok(()),
        Some(target) => Err(Problem::forbidden(format_args!(
            "your roles do not let you act on {}",
            target.name
        ))),
    }
}

pub(super) async fn find(connection: &mut AnyConnection, actor: &Actor, id: &str) -> Result<Run, Problem> {
    let parsed: RunId = id.parse().map_err(|_| Problem::not_found("run", &id))?;
    let run = store::run(connection, &parsed).await?;
    run.filter(|run| sees(actor, run))
        .ok_or_else(|| Problem::not_found("run", &id))
}

/// A run that the actor may act on, held for a change.
pub(super) async fn hold(tx: &mut Tx, actor: &Actor, id: &str) -> Result<Run, Problem> {
    let run = find(tx, actor, id).await?;
    check_scope(actor, &run)?;
    store::hold(tx, &run.id)
        .await?
        .ok_or_else(|| Problem::not_found("run", &id))
}
