//! Who acts: a person, a service account, an agent or the system itself, with the roles that they hold.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    Person,
    Service,
    Agent,
    System,
}

impl ActorKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Service => "service",
            Self::Agent => "agent",
            Self::System => "system",
        }
    }
}

/// What somebody is trusted with. The roles are not a ladder: an auditor reads everything and changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Viewer,
    Operator,
    Manager,
    Administrator,
    Auditor,
}

impl Role {
    pub const ALL: [Role; 5] = [
        Role::Viewer,
        Role::Operator,
        Role::Manager,
        Role::Administrator,
        Role::Auditor,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Manager => "manager",
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
        }
    }

    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// Where a grant holds: a team's things, items with certain tags, or (both empty) everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Scope {
    /// Id of the team whose things are meant.
    pub team: Option<String>,
    /// Every tag must be on the item with this value.
    pub tags: BTreeMap<String, String>,
}

impl Scope {
    pub fn is_everywhere(&self) -> bool {
        self.team.is_none() && self.tags.is_empty()
    }

    /// Does the scope cover a thing of `team` with these `tags`?
    pub fn covers(&self, team: Option<&str>, tags: &BTreeMap<String, String>) -> bool {
        let team_matches = self.team.as_deref().is_none_or(|wanted| team == Some(wanted));
        team_matches
            && self
                .tags
                .iter()
                .all(|(name, value)| tags.get(name) == Some(value))
    }
}

/// A role, and where it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Grant {
    pub role: Role,
    #[serde(default)]
    pub scope: Scope,
}

/// Who acts. Handlers take it as an argument; the event log keeps its `key` and `name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub kind: ActorKind,
    pub id: String,
    pub name: String,
    pub grants: Vec<Grant>,
    /// When present, a token narrowed to these permissions.
    pub only: Option<Vec<String>>,
}

impl Actor {
    /// A part of the program that acts by itself.
    pub fn system(part: &str) -> Self {
        Self {
            kind: ActorKind::System,
            id: part.into(),
            name: part.into(),
            grants: Vec::new(),
            only: None,
        }
    }

    /// `person:per_…`, as the event log stores it.
    pub fn key(&self) -> String {
        format!("{}:{}", self.kind.as_str(), self.id)
    }

    pub fn has_role(&self, role: Role) -> bool {
        self.grants.iter().any(|grant| grant.role == role)
    }

    /// May this actor use a permission that `roles` carry, somewhere at least?
    pub fn may_somewhere(&self, permission: &str, roles: &[Role]) -> bool {
        self.token_allows(permission) && self.grants.iter().any(|grant| roles.contains(&grant.role))
    }

    /// May this actor use it on a thing of `team` with `tags`?
    pub fn may(
        &self,
        permission: &str,
        roles: &[Role],
        team: Option<&str>,
        tags: &BTreeMap<String, String>,
    ) -> bool {
        self.token_allows(permission)
            && self
                .grants
                .iter()
                .any(|grant| roles.contains(&grant.role) && grant.scope.covers(team, tags))
    }

    /// Are there things that this actor may not see? When false, lists need no filter.
    pub fn is_scoped(&self) -> bool {
        !self.grants.iter().any(|grant| grant.scope.is_everywhere())
    }

    /// Is a thing of `team` with `tags` inside any of this actor's grants?
    pub fn sees(&self, team: Option<&str>, tags: &BTreeMap<String, String>) -> bool {
        self.grants.iter().any(|grant| grant.scope.covers(team, tags))
    }

    fn token_allows(&self, permission: &str) -> bool {
        self.only.as_ref().is_none_or(|only| {
            only.iter().any(|allowed| {
                allowed == permission
                    || allowed
                        .strip_suffix('*')
                        .is_some_and(|head| permission.starts_with(head))
            })
        })
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(grants: Vec<Grant>, only: Option<Vec<&str>>) -> Actor {
        let only = only.map(|list| list.into_iter().map(String::from).collect());
        Actor {
            kind: ActorKind::Person,
            id: "per_1".into(),
            name: "Ann".into(),
            grants,
            only,
        }
    }

    #[test]
    fn a_scope_narrows_a_role() {
        let tags = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
        let scope = Scope {
            team: None,
            tags: tags.clone(),
        };
        let actor = person(
            vec![Grant {
                role: Role::Operator,
                scope,
            }],
            None,
        );
        assert!(actor.may("runs.start", &[Role::Operator], None, &tags));
        assert!(!actor.may("runs.start", &[Role::Operator], None, &BTreeMap::new()));
        assert!(!actor.may("runs.start", &[Role::Manager], None, &tags));
        assert!(actor.is_scoped());
    }

    #[test]
    fn a_token_narrows_its_owner() {
        let everywhere = Grant {
            role: Role::Administrator,
            scope: Scope::default(),
        };
        let actor = person(vec![everywhere], Some(vec!["incidents.*"]));
        assert!(actor.may_somewhere("incidents.read", &[Role::Administrator]));
        assert!(!actor.may_somewhere("people.write", &[Role::Administrator]));
    }
}
