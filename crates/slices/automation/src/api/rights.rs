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

/// Acting needs the role on every target, not only seeing it; what has no target concerns everything.
pub(super) fn check_scope(actor: &Actor, run: &Run) -> Result<(), Problem> {
    change::covers_all(actor, "runs.start", roles::OPERATE, &crate::start::targets(run))
}

/// The run without the targets that the actor may not see.
pub(super) fn visible_part(actor: &Actor, mut run: Run) -> Run {
    if !actor.is_scoped() || run.requested_by == actor.key() {
        return run;
    }
    let sees = |target: &crate::RunTarget| actor.sees(target.team.as_deref(), &target.tags);
    let (seen, hidden): (Vec<_>, Vec<_>) = run.targets.into_iter().partition(sees);
    run.targets = seen;
    run.note = run
        .note
        .filter(|note| !hidden.iter().any(|target| note.contains(&target.name)));
    run
}

/// A run as the actor may see it.
pub(super) async fn find(connection: &mut AnyConnection, actor: &Actor, id: &str) -> Result<Run, Problem> {
    Ok(visible_part(actor, find_whole(connection, actor, id).await?))
}

async fn find_whole(connection: &mut AnyConnection, actor: &Actor, id: &str) -> Result<Run, Problem> {
    let parsed: RunId = id.parse().map_err(|_| Problem::not_found("run", &id))?;
    let run = store::run(connection, &parsed).await?;
    run.filter(|run| sees(actor, run))
        .ok_or_else(|| Problem::not_found("run", &id))
}

/// A run that the actor may act on, held for a change.
pub(super) async fn hold(tx: &mut Tx, actor: &Actor, id: &str) -> Result<Run, Problem> {
    let run = find_whole(tx, actor, id).await?;
    check_scope(actor, &run)?;
    store::hold(tx, &run.id)
        .await?
        .ok_or_else(|| Problem::not_found("run", &id))
}
