//! The event log: everything that happened, in one order, with who did it and what led to it.
//!
//! Flow: a slice appends in the transaction of its state change ([`crate::Tx::append`]); consumers follow with durable cursors
//! ([`consume`]); people read it as audit trail and timeline, browsers as a live feed ([`api`]). Samples and log lines never go here.

pub mod api;
mod attempt;
pub mod consume;
mod list;
pub mod measure;
pub mod parked;
mod parked_api;
pub mod store;

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AnyError, BoxFuture, Timestamp, Tx};

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Place in the order of everything.
    pub seq: i64,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `noun.past_tense`, for instance `incident.opened`.
    pub topic: String,
    /// Id of the thing that it happened to.
    pub subject: String,
    /// `person:per_…`, `service:…`, `agent:…` or `system:…`.
    pub actor: String,
    pub actor_name: String,
    /// The event that led to this one.
    pub cause: Option<i64>,
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
}

impl Event {
    /// The payload as the speaker's type.
    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.data)
    }
}

/// An event to be appended.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub topic: &'static str,
    pub subject: String,
    /// Overrides the transaction's cause.
    pub cause: Option<i64>,
    pub data: serde_json::Value,
}

impl NewEvent {
    pub fn new(topic: &'static str, subject: impl ToString, data: &impl Serialize) -> Self {
        let data = serde_json::to_value(data).unwrap_or(serde_json::Value::Null);
        Self {
            topic,
            subject: subject.to_string(),
            cause: None,
            data,
        }
    }

    pub fn caused_by(mut self, cause: Option<i64>) -> Self {
        self.cause = cause;
        self
    }
}

type Handler =
    Box<dyn for<'a> Fn(&'a mut Tx, &'a Event) -> BoxFuture<'a, Result<(), AnyError>> + Send + Sync>;

/// A durable follower of the log. The handler's writes and the cursor commit together, so each event takes effect once.
pub struct Consumer {
    /// Never change it: the cursor is stored under it.
    pub name: &'static str,
    /// Exact topics, or prefixes that end in `*`.
    pub topics: &'static [&'static str],
    pub(crate) handler: Handler,
    deadline: Duration,
    parked_in_a_row: AtomicU32,
}

impl Consumer {
    pub fn new<F>(name: &'static str, topics: &'static [&'static str], handler: F) -> Self
    where
        F: for<'a> Fn(&'a mut Tx, &'a Event) -> BoxFuture<'a, Result<(), AnyError>> + Send + Sync + 'static,
    {
        Self {
            name,
            topics,
            handler: Box::new(handler),
            deadline: attempt::DEADLINE,
            parked_in_a_row: AtomicU32::new(0),
        }
    }

    /// How long the handler may take for one event before it is taken back and counts as failed.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    pub(crate) fn wants(&self, topic: &str) -> bool {
        self.topics.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(head) => topic.starts_with(head),
            None => *wanted == topic,
        })
    }
}
