//! A maintenance window: for some time, alerts about certain items and everything on them are expected.

use kernel::slice::roles;
use kernel::{Actor, Id, Prefix, Scope, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::Phase;
use crate::reach::scopes_of;

#[derive(Debug)]
pub struct WindowKind;
impl Prefix for WindowKind {
    const PREFIX: &'static str = "mnt";
}
pub type WindowId = Id<WindowKind>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = MaintenanceWindow)]
pub struct Window {
    #[schema(value_type = String)]
    pub id: WindowId,
    pub title: String,
    /// Ids of the items meant, besides those that `selector` finds.
    pub items: Vec<String>,
    /// Finds items at the time an alert fires, for instance `kind=host tag:env=test`.
    pub selector: Option<String>,
    /// Also what depends on the items, not only what is on them.
    pub with_dependents: bool,
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

/// What a window is about, as a person asks for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coverage {
    pub items: Vec<String>,
    pub selector: Option<String>,
    pub with_dependents: bool,
}

impl Window {
    pub fn new(
        actor: &Actor,
        title: String,
        covers: Coverage,
        (starts_at, ends_at): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Self {
        Self {
            id: WindowId::new(),
            title,
            items: covers.items,
            selector: covers.selector,
            with_dependents: covers.with_dependents,
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
