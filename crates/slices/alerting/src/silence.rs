//! A silence: for some time, alerts with certain labels are not said aloud.

use kernel::slice::roles;
use kernel::{Actor, Id, Prefix, Scope, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::matcher::Matcher;
use crate::model::Phase;
use crate::reach::scopes_of;

#[derive(Debug)]
pub struct SilenceKind;
impl Prefix for SilenceKind {
    const PREFIX: &'static str = "sil";
}
pub type SilenceId = Id<SilenceKind>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Silence {
    #[schema(value_type = String)]
    pub id: SilenceId,
    pub matchers: Vec<Matcher>,
    pub comment: String,
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Timestamp,
    pub phase: Phase,
    /// Where it holds: the reach of who made it; empty: everywhere.
    #[serde(default)]
    pub scopes: Vec<Scope>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// `person:per_…`
    pub created_by: String,
    pub created_by_name: String,
    /// Counts the changes; send it as `If-Match`.
    pub version: i64,
}

impl Silence {
    pub fn new(
        actor: &Actor,
        matchers: Vec<Matcher>,
        comment: String,
        (starts_at, ends_at): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Self {
        Self {
            id: SilenceId::new(),
            matchers,
            comment,
            starts_at,
            ends_at,
            phase: Phase::at(starts_at, ends_at, now),
            scopes: scopes_of(actor, roles::OPERATE),
            created_at: now,
            created_by: actor.key(),
            created_by_name: actor.name.clone(),
            version: 1,
        }
    }
}
