//! Where a mute holds: a silence or window of somebody whose role holds for some teams or tags mutes their items alone, now and later.

use std::collections::HashMap;

use kernel::{Actor, DbError, Role, Scope};
use sqlx::AnyConnection;

use crate::place::{self, Owner};

/// The scopes in which `actor` holds one of `roles`; empty when that is everywhere.
pub fn scopes_of(actor: &Actor, roles: &[Role]) -> Vec<Scope> {
    let held = actor.grants.iter().filter(|grant| roles.contains(&grant.role));
    let scopes: Vec<Scope> = held.map(|grant| grant.scope.clone()).collect();
    if scopes.iter().any(Scope::is_everywhere) {
        return Vec::new();
    }
    scopes
}

/// Does `outer` reach everything that `inner` does? Empty lists are everywhere.
pub fn contains(outer: &[Scope], inner: &[Scope]) -> bool {
    let is_within = |inner: &Scope| {
        outer
            .iter()
            .any(|outer| outer.covers(inner.team.as_deref(), &inner.tags))
    };
    outer.is_empty() || (!inner.is_empty() && inner.iter().all(is_within))
}

/// Whose items are, looked up once.
#[derive(Default)]
pub struct Owners {
    known: HashMap<String, Option<Owner>>,
}

impl Owners {
    /// Is the item within the scopes as it stands now? What is about no item is within everywhere alone.
    pub async fn is_within(
        &mut self,
        connection: &mut AnyConnection,
        scopes: &[Scope],
        item: Option<&str>,
    ) -> Result<bool, DbError> {
        if scopes.is_empty() {
            return Ok(true);
        }
        let Some(item) = item else { return Ok(false) };
        if !self.known.contains_key(item) {
            let owner = place::owner(connection, item).await?;
            self.known.insert(item.to_owned(), owner);
        }
        let owner = self.known.get(item).and_then(Option::as_ref);
        Ok(owner.is_some_and(|owner| {
            scopes
                .iter()
                .any(|scope| scope.covers(owner.team.as_deref(), &owner.tags))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_scope_contains_a_narrower_one() {
        let team = |team: &str| Scope {
            team: Some(team.into()),
            ..Scope::default()
        };
        let narrow = Scope {
            tags: [("env".to_owned(), "prod".to_owned())].into(),
            ..team("a")
        };
        assert!(contains(&[], &[]) && contains(&[], &[team("a")]));
        assert!(!contains(&[team("a")], &[]));
        assert!(contains(&[team("a")], std::slice::from_ref(&narrow)));
        assert!(!contains(&[narrow], &[team("a")]));
        assert!(!contains(&[team("a")], &[team("a"), team("b")]));
    }
}
