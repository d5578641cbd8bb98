//! Who may see, decide on and plan what: the one place where permissions of this slice meet its rows.

use std::collections::BTreeMap;

use kernel::slice::roles;
use kernel::{Actor, DbError, Problem, Role};
use sqlx::AnyConnection;

use crate::model::{Change, Target};

const APPROVE: &str = "changes.approve";
const PLAN: &str = "freezes.write";

/// A change is seen by those who see one of its targets, and by who asked for it.
pub(crate) fn sees(actor: &Actor, change: &Change) -> bool {
    !actor.is_scoped()
        || change.requested_by == actor.key()
        || change.targets.iter().any(|target| sees_target(actor, target))
}

fn sees_target(actor: &Actor, target: &Target) -> bool {
    actor.sees(target.team.as_deref(), &target.tags)
}

/// The change without targets that the actor may not see.
pub(crate) fn visible_part(actor: &Actor, mut change: Change) -> Change {
    if !actor.is_scoped() || change.requested_by == actor.key() {
        return change;
    }
    let (seen, hidden): (Vec<Target>, Vec<Target>) = change
        .targets
        .into_iter()
        .partition(|target| sees_target(actor, target));
    change.targets = seen;
    let names_hidden = |line: &str| hidden.iter().any(|target| line.contains(&target.name));
    let lines = change.plan_summary.lines().filter(|line| !names_hidden(line));
    change.plan_summary = lines.collect::<Vec<_>>().join("\n");
    for text in [&mut change.title, &mut change.reason] {
        if names_hidden(text) {
            text.clear();
        }
    }
    change.decision_note = change.decision_note.filter(|note| !names_hidden(note));
    change
}

/// Does the actor hold the permission on every target? What has no target concerns everything.
pub fn covers_all(
    actor: &Actor,
    permission: &str,
    holders: &[Role],
    targets: &[Target],
) -> Result<(), Problem> {
    if targets.is_empty() && !actor.may(permission, holders, None, &BTreeMap::new()) {
        return Err(Problem::forbidden(
            "it has no targets, so it concerns everything; your roles do not hold everywhere",
        ));
    }
    let beyond = targets
        .iter()
        .find(|target| !actor.may(permission, holders, target.team.as_deref(), &target.tags));
    match beyond {
        None => Ok(()),
        Some(target) => Err(Problem::forbidden(format_args!(
            "your roles do not cover {}",
            target.name
        ))),
    }
}

pub(crate) fn may_decide(actor: &Actor, change: &Change) -> Result<(), Problem> {
    covers_all(actor, APPROVE, roles::MANAGE, &change.targets)
}

/// May the actor plan freezes and windows for all items of `team` with these `tags`?
pub(crate) fn may_plan(
    actor: &Actor,
    team: Option<&str>,
    tags: &BTreeMap<String, String>,
) -> Result<(), Problem> {
    match actor.may(PLAN, roles::MANAGE, team, tags) {
        true => Ok(()),
        false => Err(Problem::forbidden(
            "it would cover items that your roles do not; name the team and the tags that your role holds for",
        )),
    }
}

/// Is there possibly an item that both the freeze or window covers and the actor sees?
pub(crate) fn sees_calendar(actor: &Actor, team: Option<&str>, tags: &BTreeMap<String, String>) -> bool {
    let is_apart = |own: &BTreeMap<String, String>| {
        own.iter()
            .any(|(name, value)| tags.get(name).is_some_and(|other| other != value))
    };
    actor.grants.iter().any(|grant| {
        let is_other_team = match (grant.scope.team.as_deref(), team) {
            (Some(own), Some(other)) => own != other,
            _ => false,
        };
        !is_other_team && !is_apart(&grant.scope.tags)
    })
}

/// Is `actor` a person other than whoever stands behind `requested_by`? Read from rows, so that it holds when the event log is
/// trimmed. The error says why not.
pub async fn second_person(
    connection: &mut AnyConnection,
    requested_by: &str,
    actor: &Actor,
) -> Result<Result<(), String>, DbError> {
    if actor.kind != kernel::ActorKind::Person {
        return Ok(Err("it is approved by a person, not by a service account".into()));
    }
    if requested_by == actor.key() {
        return Ok(Err("it is approved by somebody else than who asked for it".into()));
    }
    let Some(account) = requested_by.strip_prefix("service:") else {
        return Ok(Ok(()));
    };
    let mut holders = access::account_holders(connection, account).await?;
    // Whoever acts through an account also acts through those that it made.
    let mut next = 0;
    while let Some(holder) = holders.get(next).cloned() {
        next += 1;
        let Some(account) = holder.strip_prefix("service:") else {
            continue;
        };
        for one in access::account_holders(connection, account).await? {
            if !holders.contains(&one) {
                holders.push(one);
            }
        }
    }
    if holders.is_empty() {
        return Ok(Err(
            "it is not on record who can act through the service account that asked; create a new token of it and ask again".into(),
        ));
    }
    if holders.contains(&actor.key()) {
        return Ok(Err(
            "it is approved by somebody else than who can act through the service account that asked".into(),
        ));
    }
    Ok(Ok(()))
}
