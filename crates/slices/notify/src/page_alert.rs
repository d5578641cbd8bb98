//! An alert as a message shows it: what, where, since when, its value, its annotations, its runbook.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::tz::TimeZone;
use kernel::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Page, Severity};
use crate::template::cut;

/// Alerts of one page that are kept; the rest is counted in [`Page::alerts_left_out`].
pub const ALERTS_MAX: usize = 10;
const LABELS_MAX: usize = 30;
const LINE_MAX: usize = 300;
const DESCRIPTION_MAX: usize = 1_500;

/// One of the alerts that a page is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct PageAlert {
    pub name: String,
    pub severity: Severity,
    pub is_resolved: bool,
    pub summary: String,
    /// The rule's `description` annotation, rendered.
    pub description: String,
    /// The value of the expression when it fired.
    pub value: Option<String>,
    pub service: Option<String>,
    pub host: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    pub runbook_url: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// The other annotations of its rule.
    pub annotations: BTreeMap<String, String>,
}

impl PageAlert {
    /// Without what a database or a mail header does not take, and bounded.
    pub(crate) fn clean(&self) -> Self {
        let pairs = |all: &BTreeMap<String, String>| {
            let pairs = all.iter().take(LABELS_MAX);
            pairs
                .map(|(name, value)| (line(name, LINE_MAX), block(value, LINE_MAX)))
                .collect()
        };
        let optional = |text: &Option<String>| {
            let text = text.as_deref().map(|text| line(text, LINE_MAX));
            text.filter(|text| !text.is_empty())
        };
        Self {
            name: line(&self.name, LINE_MAX),
            severity: self.severity,
            is_resolved: self.is_resolved,
            summary: line(&self.summary, LINE_MAX),
            description: block(self.description.trim(), DESCRIPTION_MAX),
            value: optional(&self.value),
            service: optional(&self.service),
            host: optional(&self.host),
            since: self.since,
            // A link that is cut leads nowhere.
            runbook_url: self
                .runbook_url
                .as_deref()
                .map(|url| line(url, 2_000))
                .filter(|url| !url.is_empty()),
            labels: pairs(&self.labels),
            annotations: pairs(&self.annotations),
        }
    }

    fn write(&self, text: &mut String) {
        let state = if self.is_resolved { "resolved" } else { "firing" };
        let what = if self.summary.is_empty() {
            &self.name
        } else {
            &self.summary
        };
        let _ = writeln!(text, "- {what} ({}, {state})", self.severity.as_str());
        let place = [("Service", &self.service), ("Host", &self.host)];
        let place: Vec<String> = place
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}: {}", value.as_ref()?)))
            .collect();
        let mut lines = vec![place.join(" · ")];
        lines.extend(self.since.map(|since| format!("Since: {}", at(since))));
        lines.extend(self.value.as_ref().map(|value| format!("Value: {value}")));
        if self.description != *what {
            lines.extend(self.description.lines().map(str::to_owned));
        }
        for (name, value) in &self.annotations {
            if value != what {
                lines.push(format!("{name}: {}", value.replace('\n', " ")));
            }
        }
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !labels.is_empty() {
            lines.push(format!("Alert: {} · Labels: {}", self.name, labels.join(", ")));
        }
        lines.extend(self.runbook_url.as_ref().map(|url| format!("Runbook: {url}")));
        for line in lines.iter().filter(|line| !line.is_empty()) {
            let _ = writeln!(text, "  {line}");
        }
    }
}

/// `2026-03-01 12:00:00 UTC`
pub fn at(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%d %H:%M:%S UTC")
        .to_string()
}

/// The list of a page's alerts, with how many were left out; empty when it is about none.
pub fn list(page: &Page) -> String {
    let mut text = String::new();
    for alert in &page.alerts {
        alert.write(&mut text);
    }
    if page.alerts_left_out > 0 {
        let noun = if page.alerts_left_out == 1 {
            "alert"
        } else {
            "alerts"
        };
        let _ = writeln!(text, "- and {} more {noun}", page.alerts_left_out);
    }
    text.trim_end().to_owned()
}

/// One line without control characters, at most `max` characters.
pub fn line(text: &str, max: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    cut(line.trim(), max)
}

/// Several lines without control characters, at most `max` characters.
pub fn block(text: &str, max: usize) -> String {
    let block: String = text
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect();
    cut(&block, max)
}
