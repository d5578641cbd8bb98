//! What an incident is: its states and severities, its members, and what is said about it. No I/O.

use std::fmt;

use kernel::{Id, Prefix, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug)]
pub struct IncidentKind;
impl Prefix for IncidentKind {
    const PREFIX: &'static str = "inc";
}
pub type IncidentId = Id<IncidentKind>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = IncidentState)]
pub enum State {
    /// Nobody has taken it yet.
    Triggered,
    /// Somebody works on it.
    Acknowledged,
    /// The users do not suffer any more; the cause is still there.
    Mitigated,
    Resolved,
    /// Nothing is left to be done about it.
    Closed,
}

impl State {
    pub const ALL: [State; 5] = [
        State::Triggered,
        State::Acknowledged,
        State::Mitigated,
        State::Resolved,
        State::Closed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Triggered => "triggered",
            Self::Acknowledged => "acknowledged",
            Self::Mitigated => "mitigated",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
        }
    }

    pub fn parse(text: &str) -> State {
        State::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .unwrap_or(Self::Closed)
    }

    pub fn is_open(self) -> bool {
        !matches!(self, Self::Resolved | Self::Closed)
    }
}

/// `sev1` is the worst. The order is by badness: `Sev4 < Sev1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = IncidentSeverity)]
pub enum Severity {
    Sev4,
    Sev3,
    Sev2,
    Sev1,
}

impl Severity {
    pub const ALL: [Severity; 4] = [Severity::Sev1, Severity::Sev2, Severity::Sev3, Severity::Sev4];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sev1 => "sev1",
            Self::Sev2 => "sev2",
            Self::Sev3 => "sev3",
            Self::Sev4 => "sev4",
        }
    }

    pub fn parse(text: &str) -> Severity {
        Severity::ALL
            .into_iter()
            .find(|severity| severity.as_str() == text)
            .unwrap_or(Self::Sev3)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sev1 => "SEV1",
            Self::Sev2 => "SEV2",
            Self::Sev3 => "SEV3",
            Self::Sev4 => "SEV4",
        })
    }
}

/// An incident: alerts that belong together, and the people who deal with them.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    pub id: IncidentId,
    /// For people to say.
    pub number: i64,
    pub title: String,
    /// A person has named it: the program leaves the name alone.
    pub title_is_manual: bool,
    pub summary: String,
    pub state: State,
    pub severity: Severity,
    /// The worst that an alert has called for so far; a person's choice stands until something worse comes.
    pub worst_seen: Severity,
    pub team: Option<String>,
    /// The item that it is about: that of the root alert.
    pub item: Option<String>,
    pub root_alert: Option<String>,
    /// Opened by a person; it does not resolve by itself.
    pub is_declared: bool,
    /// Id of the person who leads.
    pub lead: Option<String>,
    pub lead_name: Option<String>,
    pub opened_at: Timestamp,
    /// When it was last opened again.
    pub reopened_at: Option<Timestamp>,
    pub acknowledged_at: Option<Timestamp>,
    /// Id of who did it; the program itself is `incidents`.
    pub acknowledged_by: Option<String>,
    pub acknowledged_by_name: Option<String>,
    pub mitigated_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    pub resolved_by: Option<String>,
    pub resolved_by_name: Option<String>,
    pub resolution: Option<String>,
    pub closed_at: Option<Timestamp>,
    /// How often it was opened again.
    pub reopened: i64,
    pub merged_into: Option<String>,
    /// All alerts have ended; it resolves then unless one comes back.
    pub resolve_at: Option<Timestamp>,
    /// When those who were paged are reminded, for as long as nobody has acknowledged.
    pub remind_at: Option<Timestamp>,
    pub reminded: i64,
    /// When people are notified of the alerts that have joined since the last notification.
    pub announce_at: Option<Timestamp>,
    /// When they were last notified of alerts that joined.
    pub announced_at: Option<Timestamp>,
    pub version: i64,
}

impl Incident {
    /// The beginning of what is wrong now: the last reopening, else the opening.
    pub fn began_at(&self) -> Timestamp {
        self.reopened_at.unwrap_or(self.opened_at)
    }
}

/// What part an alert plays in its incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertRole)]
pub enum Role {
    /// What the incident is named after.
    Root,
    /// Belongs to it.
    Member,
    /// Follows from something upstream.
    Symptom,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Member => "member",
            Self::Symptom => "symptom",
        }
    }

    pub fn parse(text: &str) -> Role {
        match text {
            "root" => Self::Root,
            "symptom" => Self::Symptom,
            _ => Self::Member,
        }
    }
}

/// An alert in an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub alert: String,
    pub incident: String,
    pub fingerprint: String,
    pub name: String,
    pub summary: String,
    pub severity: alerting::Severity,
    pub item: Option<String>,
    /// The item, else the instance label, else the fingerprint: where it is, for grouping.
    pub place: String,
    /// The host that carries the place.
    pub host: Option<String>,
    /// What it shares with the same alert on the same service of other hosts; `None` when it is not about a service.
    pub kin: Option<String>,
    /// What evaluates it: a rule, or the alert's name where no rule does.
    pub rule: String,
    /// It says that the whole host is gone.
    pub is_down: bool,
    pub is_muted: bool,
    /// It comes and goes: its end is believed only after a while.
    pub is_flapping: bool,
    /// People have been notified of it, or need not be.
    pub is_announced: bool,
    pub role: Role,
    /// Why it is here, in a sentence.
    pub reason: String,
    /// From the symptom to its cause, when the reason is a way through the graph.
    pub path: Vec<Hop>,
    /// Runbook that the rule names.
    pub runbook: Option<String>,
    pub fired_at: i64,
    pub resolved_at: Option<i64>,
}

/// A step from a thing to one that carries it or that it needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Hop {
    /// Item id.
    pub from: String,
    pub how: How,
    /// Item id.
    pub to: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Runs on it or is a part of it.
    On,
    DependsOn,
}

/// The severity that an alert calls for.
pub fn severity_of(alert: alerting::Severity) -> Severity {
    match alert {
        alerting::Severity::Critical => Severity::Sev2,
        alerting::Severity::Warning => Severity::Sev3,
        alerting::Severity::Info => Severity::Sev4,
    }
}
