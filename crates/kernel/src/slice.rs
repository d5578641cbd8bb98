//! A capability as a value: what it stores, serves, listens to and does by itself.

use crate::actor::Role;
use crate::event::Consumer;
use crate::http::problem::Code;
use crate::task::Task;

/// One capability. The server is a list of these.
pub struct Slice {
    pub name: &'static str,
    pub migrations: &'static [Migration],
    /// Routes with their state already given.
    pub routes: utoipa_axum::router::OpenApiRouter,
    pub consumers: Vec<Consumer>,
    pub tasks: Vec<Task>,
    /// Who may call what. A route without an entry cannot be called; a coverage test finds it.
    pub permissions: &'static [Endpoint],
    /// Problem types beyond the kernel's own.
    pub problems: &'static [Code],
}

impl Slice {
    /// A slice with nothing but a name, for the `..` of a literal.
    pub fn named(name: &'static str) -> Self {
        Self {
            name,
            migrations: &[],
            routes: utoipa_axum::router::OpenApiRouter::new(),
            consumers: Vec::new(),
            tasks: Vec::new(),
            permissions: &[],
            problems: &[],
        }
    }
}

/// One step of a slice's schema. `{{blob}}` and `{{serial}}` stand for what the two databases call differently.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub version: i64,
    pub name: &'static str,
    pub sql: &'static str,
}

/// An entry of the permission table.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// Upper case: `GET`.
    pub method: &'static str,
    /// As the router has it: `/api/v1/incidents/{id}`.
    pub path: &'static str,
    pub allow: Allow,
}

#[derive(Clone, Copy, Debug)]
pub enum Allow {
    /// Anybody, signed in or not.
    Public,
    /// Anybody who is signed in.
    SignedIn,
    /// Holders of the permission: `noun.verb`, carried by these roles.
    Permission(&'static str, &'static [Role]),
}

/// Role sets that most tables need.
pub mod roles {
    use super::Role::{self, Administrator, Auditor, Manager, Operator, Viewer};

    /// Everybody may read.
    pub const READ: &[Role] = &[Viewer, Operator, Manager, Administrator, Auditor];
    /// People who respond to incidents and run things.
    pub const OPERATE: &[Role] = &[Operator, Manager, Administrator];
    /// People who approve and plan.
    pub const MANAGE: &[Role] = &[Manager, Administrator];
    /// People who set the house up.
    pub const ADMINISTER: &[Role] = &[Administrator];
    /// People who read what others did.
    pub const AUDIT: &[Role] = &[Manager, Administrator, Auditor];
}
