//! What access says on the timeline: a public contract.
//!
//! | topic | subject | data |
//! |---|---|---|
//! | `setup.completed`, `person.created`, `person.changed`, `person.disabled`, `person.enabled`, `person.removed` | person | [`PersonData`] |
//! | `password.changed` | person | [`PersonData`] |
//! | `session.opened`, `session.refused`, `session.closed` | person, or `sign-in` when the login is unknown | [`SessionData`] |
//! | `team.created`, `team.changed`, `team.removed` | team | [`NameData`] |
//! | `member.added`, `member.removed` | team | [`MemberData`] |
//! | `service_account.created`, `.changed`, `.removed` | service account | [`NameData`] |
//! | `grant.added`, `grant.removed` | holder | [`GrantData`] |
//! | `token.created`, `token.revoked` | token | [`TokenData`] |

use std::collections::BTreeMap;

use kernel::{Role, Scope, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::{HeldGrant, Person, Token};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PersonData {
    pub login: String,
    pub name: String,
    /// Fields that changed, as before and after. Passwords are never among them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<String, [String; 2]>,
}

impl PersonData {
    pub fn of(person: &Person) -> Self {
        Self {
            login: person.login.clone(),
            name: person.name.clone(),
            changes: BTreeMap::new(),
        }
    }
}

/// `login` is kept only when it is somebody's: what is typed there by mistake may be a password.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionData {
    pub login: Option<String>,
    pub address: String,
    pub user_agent: String,
    /// Why it was refused or closed: `wrong_password`, `unknown_login`, `disabled`, `signed_out`, `password_changed`, `revoked`.
    pub reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NameData {
    pub name: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<String, [String; 2]>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberData {
    pub person: String,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GrantData {
    pub grant: String,
    pub role: Role,
    pub scope: Scope,
}

impl GrantData {
    pub fn of(grant: &HeldGrant) -> Self {
        Self {
            grant: grant.id.to_string(),
            role: grant.role,
            scope: grant.scope.clone(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenData {
    pub owner: String,
    pub name: String,
    pub permissions: Option<Vec<String>>,
    pub expires_at: Option<Timestamp>,
}

impl TokenData {
    pub fn of(token: &Token) -> Self {
        Self {
            owner: token.owner.clone(),
            name: token.name.clone(),
            permissions: token.permissions.clone(),
            expires_at: token.expires_at,
        }
    }
}
