//! People, teams, service accounts, grants, sessions and tokens. No I/O.

use kernel::{Grant, Id, Prefix, Role, Scope, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! ids {
    ($($tag:ident, $id:ident, $prefix:literal;)*) => {
        $(
            pub struct $tag;
            impl Prefix for $tag {
                const PREFIX: &'static str = $prefix;
            }
            pub type $id = Id<$tag>;
        )*
    };
}

ids! {
    PersonTag, PersonId, "per";
    TeamTag, TeamId, "team";
    ServiceTag, ServiceId, "svc";
    GrantTag, GrantId, "gra";
    SessionTag, SessionId, "ses";
    TokenTag, TokenId, "tok";
}

/// Somebody who signs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Person {
    #[schema(value_type = String)]
    pub id: PersonId,
    pub name: String,
    /// What they sign in with; upper and lower case do not differ.
    pub login: String,
    /// Empty when none is known.
    pub email: String,
    /// A disabled person keeps their name in the records and cannot act.
    pub is_disabled: bool,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub signed_in_at: Option<Timestamp>,
}

/// People who own things together. What is granted to a team is granted to its members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Team {
    #[schema(value_type = String)]
    pub id: TeamId,
    pub name: String,
    pub description: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A program that acts with API tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceAccount {
    #[schema(value_type = String)]
    pub id: ServiceId,
    pub name: String,
    pub description: String,
    pub is_disabled: bool,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A grant as it is stored: who holds which role, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldGrant {
    #[schema(value_type = String)]
    pub id: GrantId,
    /// Id of a person, a team or a service account.
    pub holder: String,
    pub role: Role,
    pub scope: Scope,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<&HeldGrant> for Grant {
    fn from(held: &HeldGrant) -> Self {
        Grant {
            role: held.role,
            scope: held.scope.clone(),
        }
    }
}

/// A signed-in browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub person: PersonId,
    /// SHA-256 of the secret in the cookie.
    pub hash: String,
    /// What a state-changing request repeats in `x-csrf-token`.
    pub csrf: String,
    pub created_at: Timestamp,
    pub rotated_at: Timestamp,
    pub seen_at: Timestamp,
    pub expires_at: Timestamp,
    pub address: String,
    pub user_agent: String,
}

/// An API token without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    #[schema(value_type = String)]
    pub id: TokenId,
    /// Id of the person or service account as which it acts.
    pub owner: String,
    pub name: String,
    /// The permissions that it is narrowed to (`incidents.*` covers all that begin so); absent: all of its owner's.
    pub permissions: Option<Vec<String>>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// Exact to a minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub used_at: Option<Timestamp>,
}
