//! Proposals, changes and permits.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kernel::db::DbError;
use kernel::{Actor, Id, Prefix};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::decide::Verdict;

/// How long an unanswered or approved change stays open.
const OPEN_FOR: SignedDuration = SignedDuration::from_hours(72);

impl Prefix for Change {
    const PREFIX: &'static str = "chg";
}
pub type ChangeId = Id<Change>;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variant),* }
        impl $name {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// How much can go wrong.
    Risk { Low = "low", Medium = "medium", High = "high" }
}
words! {
    /// Who or what wants to act.
    Source { Person = "person", Schedule = "schedule", Alert = "alert", Pipeline = "pipeline" }
}
words! {
    /// Where a change stands.
    ChangeState {
        Requested = "requested", Approved = "approved", Granted = "granted", Refused = "refused",
        Rejected = "rejected", Succeeded = "succeeded", Failed = "failed", Cancelled = "cancelled",
    }
}
words! {
    /// How a granted change ended.
    Outcome { Succeeded = "succeeded", Failed = "failed", Cancelled = "cancelled" }
}

/// An item that a change touches, with what rules need to know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Target {
    pub item_id: String,
    pub name: String,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Id of the team whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
}

/// What somebody wants to do.
#[derive(Clone, Debug)]
pub struct Proposal {
    pub title: String,
    /// For instance `runbook`.
    pub kind: String,
    pub source: Source,
    pub risk: Risk,
    /// Somebody who may approve has agreed beforehand that this kind of change needs no second look.
    pub is_standard: bool,
    pub reason: String,
    /// Hash of exactly what will be done; an approval holds for it alone.
    pub plan_hash: String,
    /// What will be done, for the person who approves.
    pub plan_summary: String,
    pub targets: Vec<Target>,
}

/// The answer to a proposal.
#[derive(Debug)]
pub enum Decision {
    Granted(Permit),
    NeedsApproval { id: ChangeId, reason: String },
    Refused { id: ChangeId, reason: String },
}

/// The record of a proposal and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    #[schema(value_type = String)]
    pub id: ChangeId,
    pub title: String,
    pub kind: String,
    pub source: Source,
    pub risk: Risk,
    pub state: ChangeState,
    pub reason: String,
    pub plan_hash: String,
    pub plan_summary: String,
    pub targets: Vec<Target>,
    /// `person:per_…`
    pub requested_by: String,
    pub requested_by_name: String,
    #[schema(value_type = String, format = DateTime)]
    pub requested_at: Timestamp,
    /// After this, an unanswered or unredeemed change counts for nothing.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    pub decided_by: Option<String>,
    pub decided_by_name: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<Timestamp>,
    /// Why it was refused, needs approval, was approved or rejected.
    pub decision_note: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// Give it as `version` when you approve or reject, so that you decide on what you read.
    pub version: i64,
}

impl Change {
    pub(crate) fn proposed(proposal: &Proposal, actor: &Actor, now: Timestamp, verdict: &Verdict) -> Self {
        let (state, note) = match verdict {
            Verdict::Grant => (ChangeState::Granted, None),
            Verdict::AskApproval(reason) => (ChangeState::Requested, Some(reason.clone())),
            Verdict::Refuse(reason) => (ChangeState::Refused, Some(reason.clone())),
        };
        Self {
            id: ChangeId::new(),
            title: proposal.title.clone(),
            kind: proposal.kind.clone(),
            source: proposal.source,
            risk: proposal.risk,
            state,
            reason: proposal.reason.clone(),
            plan_hash: proposal.plan_hash.clone(),
            plan_summary: proposal.plan_summary.clone(),
            targets: proposal.targets.clone(),
            requested_by: actor.key(),
            requested_by_name: actor.name.clone(),
            requested_at: now,
            expires_at: now.checked_add(OPEN_FOR).unwrap_or(Timestamp::MAX),
            decided_by: None,
            decided_by_name: None,
            decided_at: None,
            decision_note: note,
            started_at: (state == ChangeState::Granted).then_some(now),
            finished_at: None,
            version: 1,
        }
    }
}

/// The right to carry out one plan on its targets. Its fields are private: nobody else can make one.
#[derive(Debug)]
pub struct Permit {
    change_id: ChangeId,
    plan_hash: String,
    targets: Vec<Target>,
}

impl Permit {
    // Invariant: called only with a change that is stored in state `granted` in the same transaction.
    pub(crate) fn of(change: &Change) -> Self {
        Self {
            change_id: change.id.clone(),
            plan_hash: change.plan_hash.clone(),
            targets: change.targets.clone(),
        }
    }

    pub fn change_id(&self) -> &ChangeId {
        &self.change_id
    }

    pub fn plan_hash(&self) -> &str {
        &self.plan_hash
    }

    pub fn targets(&self) -> &[Target] {
        &self.targets
    }
}

/// Why an approved change gives no permit.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    #[error("there is no such change")]
    Unknown,
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Db(#[from] DbError),
}
