//! Who sees which alert: an alert belongs to the team and tags of its item; one without an item is seen by those whose role holds everywhere.

use std::collections::HashMap;

use kernel::{Actor, DbError, Role};
use sqlx::AnyConnection;

use crate::model::Alert;
use crate::place;

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

/// May the actor do it to things of everybody?
pub fn may_everywhere(actor: &Actor, permission: &str, roles: &[Role]) -> bool {
    actor.may(permission, roles, None, &Default::default())
}
