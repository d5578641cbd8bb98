//! Tuning of the built-in rules: another threshold, duration or severity, or none at all, for some hosts, services or disks.
//!
//! A tuned rule becomes several: one for each tuning, which counts only what the tuning covers, and the rule itself for
//! everything else ([`apply`]). Where several tunings cover the same thing the most specific one counts: the one with more
//! labels, then the newest. [`preview`] evaluates a tuning over the past week before it is kept.

pub(crate) mod api;
pub(crate) mod apply;
pub(crate) mod preview;
pub(crate) mod store;

use std::collections::{BTreeMap, HashSet};

use alerting::Severity;
use kernel::{Id, Prefix, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

impl Prefix for Tuning {
    const PREFIX: &'static str = "tun";
}
pub(crate) type TuningId = Id<Tuning>;

/// What is tuned, where, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TuningBody {
    /// Name of an alert of a built-in pack.
    #[schema(min_length = 1, max_length = 200)]
    pub rule: String,
    /// Hosts, as a selector of the inventory: `tag:env=test`, `name=web-*`. All hosts when absent.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub hosts: Option<String>,
    /// Labels that the alert must have, for instance `instance`, `name` (of a service) or `mountpoint`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// In the unit of the rule.
    #[serde(default)]
    pub threshold: Option<f64>,
    /// How long the condition must last, in seconds.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 604_800)]
    pub for_s: Option<i64>,
    #[serde(default)]
    pub severity: Option<Severity>,
    /// No alert at all.
    #[serde(default)]
    pub is_off: bool,
    /// Why.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub note: String,
}

/// A tuning that is kept.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Tuning {
    #[schema(value_type = String)]
    pub id: TuningId,
    #[serde(flatten)]
    pub body: TuningBody,
    pub updated_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    pub version: i64,
}

/// The alerts that a tuning covers, ready to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// `None`: every host.
    pub hosts: Option<HashSet<String>>,
    pub labels: BTreeMap<String, String>,
}

impl Coverage {
    fn covers(&self, labels: &promql::Labels) -> bool {
        let is_of_host = |hosts: &HashSet<String>| hosts.contains(labels.get("instance"));
        self.hosts.as_ref().is_none_or(is_of_host)
            && self.labels.iter().all(|(name, value)| labels.get(name) == value)
    }
}

/// What of a rule's result counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub only: Option<Coverage>,
    pub without: Vec<Coverage>,
}

impl Limits {
    pub(crate) fn take(&self, labels: &promql::Labels) -> bool {
        self.only.as_ref().is_none_or(|only| only.covers(labels))
            && !self.without.iter().any(|without| without.covers(labels))
    }
}
