//! Who sees which alert: an alert belongs to the team and tags of its item; one without an item is seen by those whose role holds everywhere.

use std::collections::{HashMap, HashSet};

use kernel::{Actor, DbError, Role, Scope};
use sqlx::AnyConnection;

use crate::model::Alert;
use crate::{place, reach, store};

/// Remembers what it has looked up, for one request.
pub struct Sight<'a> {
    actor: &'a Actor,
    items: HashMap<String, bool>,
}

impl<'a> Sight<'a> {
    pub fn of(actor: &'a Actor) -> Self {
        Self {
            actor,
            items: HashMap::new(),
        }
    }

    pub async fn sees(&mut self, connection: &mut AnyConnection, alert: &Alert) -> Result<bool, DbError> {
        if !self.actor.is_scoped() {
            return Ok(true);
        }
        let Some(item) = &alert.item else { return Ok(false) };
        if let Some(known) = self.items.get(item) {
            return Ok(*known);
        }
        let is_seen = place::owner(connection, item)
            .await?
            .is_some_and(|owner| self.actor.sees(owner.team.as_deref(), &owner.tags));
        self.items.insert(item.clone(), is_seen);
        Ok(is_seen)
    }
}

/// What a silence or window says of who made it and where it holds.
pub struct MuteOrigin<'a> {
    pub id: &'a str,
    pub created_by: &'a str,
    pub scopes: &'a [Scope],
}

/// Which silences and windows an actor sees: their own, those that hold within their reach alone, and those that mute an alert
/// that they see.
pub struct MuteSight<'a> {
    actor: &'a Actor,
    reach: Vec<Scope>,
    muting: HashSet<String>,
}

impl<'a> MuteSight<'a> {
    pub async fn of(actor: &'a Actor, connection: &mut AnyConnection) -> Result<Self, DbError> {
        let mut muting = HashSet::new();
        if actor.is_scoped() {
            let mut sight = Sight::of(actor);
            for alert in store::alert::live(connection).await? {
                if alert.is_muted() && sight.sees(connection, &alert).await? {
                    muting.extend(alert.silenced_by);
                    muting.extend(alert.suppressed_by);
                }
            }
        }
        Ok(Self {
            actor,
            reach: actor.grants.iter().map(|grant| grant.scope.clone()).collect(),
            muting,
        })
    }

    pub fn sees(&self, mute: &MuteOrigin<'_>) -> bool {
        !self.actor.is_scoped()
            || mute.created_by == self.actor.key()
            || self.muting.contains(mute.id)
            || (!mute.scopes.is_empty() && reach::contains(&self.reach, mute.scopes))
    }
}

/// May the actor do it to things of everybody?
pub fn may_everywhere(actor: &Actor, permission: &str, roles: &[Role]) -> bool {
    actor.may(permission, roles, None, &Default::default())
}
