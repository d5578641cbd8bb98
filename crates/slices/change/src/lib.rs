//! Permits: who may change what, when, and on whose word. See the README for the flow.

mod api;
mod api_calendar;
mod calendar;
mod decide;
mod model;
mod rights;
mod store;

use kernel::db::DbError;
use kernel::{Actor, Kernel, Migration, NewEvent, Slice, Tx};

use crate::decide::{Stage, Verdict};

pub use calendar::{Freeze, FreezeId, Window, WindowId};
pub use model::{
    Change, ChangeId, ChangeState, Decision, Outcome, Permit, Proposal, RedeemError, Risk, Source, Target,
};
pub use rights::{covers_all, second_person};
pub use store::{get, recent_on};

pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "change",
        sql: include_str!("../migrations/0001_change.sql"),
    },
    Migration {
        version: 2,
        name: "calendar_team",
        sql: include_str!("../migrations/0002_calendar_team.sql"),
    },
];

/// The capability.
pub fn slice(kernel: &Kernel) -> Slice {
    Slice {
        migrations: MIGRATIONS,
        routes: api::routes(kernel.clone()).merge(api_calendar::routes(kernel.clone())),
        permissions: api::PERMISSIONS,
        ..Slice::named("change")
    }
}

/// Asks for a permit. The proposal and the answer are recorded either way.
pub async fn request(tx: &mut Tx, actor: &Actor, proposal: &Proposal) -> Result<Decision, DbError> {
    let now = tx.now();
    let busy = store::busy_targets(tx, &proposal.targets, None).await?;
    let verdict = judge(tx, proposal.into(), Stage::Request, &busy).await?;
    let change = Change::proposed(proposal, actor, now, &verdict);
    store::insert(tx, &change).await?;
    let requested = tx
        .append(actor, NewEvent::new("change.requested", &change.id, &change))
        .await?;
    let system = Actor::system("change");
    Ok(match verdict {
        Verdict::Grant => {
            tx.append(
                &system,
                NewEvent::new("change.granted", &change.id, &change).caused_by(Some(requested)),
            )
            .await?;
            Decision::Granted(Permit::of(&change))
        }
        Verdict::AskApproval(reason) => Decision::NeedsApproval {
            id: change.id,
            reason,
        },
        Verdict::Refuse(reason) => {
            tx.append(
                &system,
                NewEvent::new("change.refused", &change.id, &change).caused_by(Some(requested)),
            )
            .await?;
            Decision::Refused {
                id: change.id,
                reason,
            }
        }
    })
}

/// Turns an approved change into its permit, once, for the plan that was approved.
pub async fn redeem(tx: &mut Tx, id: &ChangeId, plan_hash: &str) -> Result<Permit, RedeemError> {
    let now = tx.now();
    let change = store::hold(tx, id).await?.ok_or(RedeemError::Unknown)?;
    decide::may_redeem(&change, plan_hash, now)?;
    // Collisions that were there at the approval were seen by who approved.
    let busy = store::busy_targets(tx, &change.targets, change.decided_at).await?;
    if let Verdict::Refuse(reason) | Verdict::AskApproval(reason) =
        judge(tx, (&change).into(), Stage::Redeem, &busy).await?
    {
        return Err(RedeemError::Refused(reason));
    }
    let granted = Change {
        state: ChangeState::Granted,
        started_at: Some(now),
        ..change
    };
    store::update(tx, &granted).await?;
    tx.append(
        &Actor::system("change"),
        NewEvent::new("change.granted", &granted.id, &granted),
    )
    .await?;
    Ok(Permit::of(&granted))
}

/// Whether a granted change may go on now: asked before it begins and before each of its waves. The error says why not.
pub async fn recheck(tx: &mut Tx, id: &ChangeId) -> Result<Result<(), String>, DbError> {
    let Some(change) = store::get(tx, id).await? else {
        return Ok(Err("its change is not on record".into()));
    };
    if change.state != ChangeState::Granted {
        return Ok(Err(format!("its change is {}", change.state.as_str())));
    }
    // What has begun after this change was judged against it.
    Ok(match judge(tx, (&change).into(), Stage::Wave, &[]).await? {
        Verdict::Grant => Ok(()),
        Verdict::Refuse(reason) | Verdict::AskApproval(reason) => Err(reason),
    })
}

async fn judge(
    tx: &mut Tx,
    asked: decide::Asked<'_>,
    stage: Stage,
    busy: &[(String, String)],
) -> Result<Verdict, DbError> {
    let now = tx.now();
    let freezes = store::freezes_on(tx, now).await?;
    let windows = store::windows(tx).await?;
    let situation = decide::Situation {
        freezes: &freezes,
        windows: &windows,
        busy,
        now,
    };
    Ok(decide::judge(asked, stage, &situation))
}

/// Records how a granted change ended, or that one which still waits is not wanted any more. Saying it again changes nothing.
pub async fn finish(tx: &mut Tx, actor: &Actor, id: &ChangeId, outcome: Outcome) -> Result<(), DbError> {
    let Some(change) = store::hold(tx, id).await? else {
        return Ok(());
    };
    if !decide::may_finish(change.state, outcome) {
        return Ok(());
    }
    let state = match outcome {
        Outcome::Succeeded => ChangeState::Succeeded,
        Outcome::Failed => ChangeState::Failed,
        Outcome::Cancelled => ChangeState::Cancelled,
    };
    let change = Change {
        state,
        finished_at: Some(tx.now()),
        ..change
    };
    store::update(tx, &change).await?;
    tx.append(actor, NewEvent::new("change.finished", &change.id, &change))
        .await?;
    Ok(())
}
