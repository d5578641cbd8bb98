//! What an alert is: the signal it comes from, the stored row, and what is said about it to others.

use std::collections::BTreeMap;
use std::fmt;

use kernel::{Id, Prefix, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::decide::Life;

/// Marks the ids of alerts.
#[derive(Debug)]
pub struct AlertKind;
impl Prefix for AlertKind {
    const PREFIX: &'static str = "alr";
}
pub type AlertId = Id<AlertKind>;

pub type Labels = BTreeMap<String, String>;

/// How bad it is, from harmless to urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertSeverity)]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// Reads the value of a `severity` label; what is not known counts as a warning.
    pub fn parse_or_warning(text: &str) -> Severity {
        match text {
            "info" | "none" | "low" => Self::Info,
            "critical" | "error" | "page" | "high" | "emergency" => Self::Critical,
            _ => Self::Warning,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One look at one condition: is it so, and since when is this known.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Who looks: `rule:<rule id>`, `fleet`.
    pub source: String,
    /// The alert's name.
    pub name: String,
    pub labels: Labels,
    /// Already rendered.
    pub annotations: Labels,
    pub severity: Severity,
    pub active: bool,
    pub value: Option<f64>,
    pub at: Timestamp,
    /// How long it must hold before it fires.
    pub for_ms: i64,
    /// How long it must be gone before it resolves.
    pub keep_firing_for_ms: i64,
}

impl Signal {
    /// The identity of the condition, the same for as long as name and labels are: FNV-1a 64 over the labels sorted by
    /// name (`alertname` among them), each name and value followed by 0xFF, as 16 hex digits. Prometheus Alertmanager counts the same way.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.name, &self.labels)
    }
}

pub fn fingerprint(name: &str, labels: &Labels) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut eat = |text: &str| {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    let mut pairs: Vec<(&str, &str)> = labels
        .iter()
        .filter(|(label, value)| label.as_str() != "alertname" && !value.is_empty())
        .map(|(label, value)| (label.as_str(), value.as_str()))
        .collect();
    pairs.push(("alertname", name));
    pairs.sort_unstable();
    for (label, value) in pairs {
        eat(label);
        eat(value);
    }
    format!("{hash:016x}")
}

/// An alert as it is stored: one row from the first signal to the resolve. When it fires again later, it is a new alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    pub id: AlertId,
    /// Its place among all alerts, counted when it is first stored; 0 before.
    pub seq: i64,
    pub fingerprint: String,
    pub name: String,
    pub severity: Severity,
    pub labels: Labels,
    pub annotations: Labels,
    /// The inventory item that it is about.
    pub item: Option<String>,
    pub value: Option<f64>,
    pub life: Life,
    /// The silence that mutes it.
    pub silenced_by: Option<String>,
    /// The maintenance window that mutes it.
    pub suppressed_by: Option<String>,
    /// `alert.fired` has been said.
    pub announced: bool,
    /// It has fired so often lately that it tells of a limit set too close.
    pub flapping: bool,
}

impl Alert {
    pub fn is_muted(&self) -> bool {
        self.silenced_by.is_some() || self.suppressed_by.is_some()
    }

    /// The value that a matcher sees under `label`; `alertname` and `severity` are always there.
    pub fn label(&self, label: &str) -> &str {
        match self.labels.get(label) {
            Some(value) => value,
            None if label == "alertname" => &self.name,
            None if label == "severity" => self.severity.as_str(),
            None => "",
        }
    }

    pub fn data(&self) -> AlertData {
        AlertData {
            alert_id: self.id.clone(),
            fingerprint: self.fingerprint.clone(),
            name: self.name.clone(),
            severity: self.severity,
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            item_id: self.item.clone(),
            value: self.value,
            source: self.life.sources.keys().next().cloned().unwrap_or_default(),
            active_since: kernel::clock::from_micros(self.life.active_since),
            flapping: self.flapping,
            silenced_by: self.silenced_by.clone(),
            suppressed_by: self.suppressed_by.clone(),
        }
    }
}

/// What `alert.*` events carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertData {
    #[schema(value_type = String)]
    pub alert_id: AlertId,
    pub fingerprint: String,
    pub name: String,
    pub severity: Severity,
    pub labels: Labels,
    pub annotations: Labels,
    pub item_id: Option<String>,
    pub value: Option<f64>,
    /// What evaluates the condition: `rule:<rule id>`, `fleet`.
    #[serde(default)]
    pub source: String,
    #[schema(value_type = String, format = DateTime)]
    pub active_since: Timestamp,
    #[serde(default)]
    pub flapping: bool,
    #[serde(default)]
    pub silenced_by: Option<String>,
    #[serde(default)]
    pub suppressed_by: Option<String>,
}

/// Where a silence or a maintenance window is in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MutePhase)]
pub enum Phase {
    /// It has not begun.
    Pending,
    Active,
    Expired,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
        }
    }

    pub fn parse(text: &str) -> Phase {
        match text {
            "pending" => Self::Pending,
            "active" => Self::Active,
            _ => Self::Expired,
        }
    }

    /// The phase at `now` of something that lasts from `starts` (inclusive) to `ends` (exclusive).
    pub fn at(starts: Timestamp, ends: Timestamp, now: Timestamp) -> Phase {
        if now >= ends {
            Self::Expired
        } else if now >= starts {
            Self::Active
        } else {
            Self::Pending
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_do_not_depend_on_where_the_name_stands() {
        let labels = Labels::from([("instance".into(), "a".into())]);
        let mut named = labels.clone();
        named.insert("alertname".into(), "x".into());
        assert_eq!(fingerprint("x", &labels), fingerprint("x", &named));
        assert_ne!(fingerprint("x", &labels), fingerprint("y", &labels));
        let mut empty = labels.clone();
        empty.insert("zone".into(), String::new());
        assert_eq!(fingerprint("x", &labels), fingerprint("x", &empty));
        assert_eq!(fingerprint("x", &labels).len(), 16);
    }
}
