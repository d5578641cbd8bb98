//! Who sees and may change which incident: it belongs to its team, and to the teams and tags of the items of its alerts.

use kernel::slice::roles;
use kernel::{Actor, DbError, Problem};
use sqlx::AnyConnection;

use super::{READ, WRITE};
use crate::model::{Incident, IncidentId};
use crate::{place, store};

/// Items of one incident that are looked at.
const MAX_ITEMS: i64 = 200;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    See,
    Change,
}

pub async fn sees(
    connection: &mut AnyConnection,
    actor: &Actor,
    incident: &Incident,
) -> Result<bool, DbError> {
    if !actor.is_scoped() {
        return Ok(true);
    }
    reaches(connection, actor, incident, Wish::See).await
}

/// The incident, when the actor may see it.
pub async fn find(connection: &mut AnyConnection, actor: &Actor, id: &str) -> Result<Incident, Problem> {
    let missing = || Problem::not_found("incident", &id);
    if id.parse::<IncidentId>().is_err() {
        return Err(missing());
    }
    let incident = store::incident::get(connection, id).await?.ok_or_else(missing)?;
    if sees(connection, actor, &incident).await? {
        Ok(incident)
    } else {
        Err(missing())
    }
}

/// The incident, when the actor may change it.
pub async fn find_to_change(
    connection: &mut AnyConnection,
    actor: &Actor,
    id: &str,
) -> Result<Incident, Problem> {
    let incident = find(connection, actor, id).await?;
    let is_allowed = actor.may(WRITE, roles::OPERATE, None, &Default::default())
        || reaches(connection, actor, &incident, Wish::Change).await?;
    if is_allowed {
        Ok(incident)
    } else {
        Err(Problem::forbidden(
            "your role may not change incidents of these items",
        ))
    }
}

async fn reaches(
    connection: &mut AnyConnection,
    actor: &Actor,
    incident: &Incident,
    wish: Wish,
) -> Result<bool, DbError> {
    let test = |team: Option<&str>, tags: &std::collections::BTreeMap<String, String>| match wish {
        Wish::See => actor.sees(team, tags) && actor.may_somewhere(READ, roles::READ),
        Wish::Change => actor.may(WRITE, roles::OPERATE, team, tags),
    };
    if incident.team.is_some() && test(incident.team.as_deref(), &Default::default()) {
        return Ok(true);
    }
    let mut items = store::member::items(connection, incident.id.as_str(), MAX_ITEMS).await?;
    items.extend(incident.item.clone());
    for id in items {
        if let Some(item) = place::item(connection, &id).await?
            && test(item.team.as_deref(), &item.tags)
        {
            return Ok(true);
        }
    }
    Ok(false)
}
