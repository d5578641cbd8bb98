//! What a page says of each alert: its rule's own words, value, labels, where it is and since when.

use std::collections::{BTreeMap, HashMap};

use alerting::Alert;
use inventory::{Item, ItemId};
use kernel::DbError;
use kernel::clock::from_micros;
use notify::PageAlert;

use super::Desk;
use crate::model::Member;

/// Annotations that have a place of their own in a message.
const SHOWN_APART: [&str; 5] = ["summary", "description", "message", "runbook", "runbook_url"];

/// The members as messages show them, in their order.
pub async fn page_alerts(desk: &mut Desk<'_>, members: &[Member]) -> Result<Vec<PageAlert>, DbError> {
    let ids: Vec<&str> = members.iter().map(|member| member.alert.as_str()).collect();
    let alerts = alerting::store::alert::by_ids(desk.tx, &ids).await?;
    let places = members
        .iter()
        .flat_map(|member| [member.item.as_deref(), member.host.as_deref()]);
    let places: Vec<ItemId> = places.flatten().filter_map(|id| id.parse().ok()).collect();
    let items = inventory::store::by_ids(desk.tx, &places).await?;
    let shown = members
        .iter()
        .map(|member| page_alert(member, alerts.get(&member.alert), &items));
    Ok(shown.collect())
}

fn page_alert(member: &Member, alert: Option<&Alert>, items: &HashMap<ItemId, Item>) -> PageAlert {
    let item = |id: Option<&String>| items.get(&id?.parse().ok()?);
    let labels = alert.map(|alert| alert.labels.clone()).unwrap_or_default();
    let annotations = alert.map(|alert| alert.annotations.clone()).unwrap_or_default();
    let label = |name: &str| labels.get(name).filter(|text| !text.is_empty()).cloned();
    let own = item(member.item.as_ref());
    let host = item(member.host.as_ref()).map(|item| item.name.clone());
    let service = own
        .filter(|item| item.kind == "service")
        .map(|item| item.name.clone());
    PageAlert {
        name: member.name.clone(),
        severity: urgency(member.severity),
        is_resolved: member.resolved_at.is_some(),
        summary: member.summary.clone(),
        description: annotation(&annotations, &["description", "message"]).unwrap_or_default(),
        value: alert.and_then(|alert| alert.value).map(|value| value.to_string()),
        service: service.or_else(|| label("service")),
        host: host.or_else(|| label("host")).or_else(|| label("instance")),
        since: Some(from_micros(member.fired_at)),
        runbook_url: annotation(&annotations, &["runbook_url", "runbook"]),
        annotations: annotations
            .into_iter()
            .filter(|(name, value)| !SHOWN_APART.contains(&name.as_str()) && !value.is_empty())
            .collect(),
        labels,
    }
}

/// The first of these annotations that says something.
pub fn annotation(all: &BTreeMap<String, String>, names: &[&str]) -> Option<String> {
    let said = names.iter().filter_map(|name| all.get(*name));
    said.map(|text| text.trim())
        .find(|text| !text.is_empty())
        .map(str::to_owned)
}

fn urgency(severity: alerting::Severity) -> notify::Severity {
    match severity {
        alerting::Severity::Critical => notify::Severity::Critical,
        alerting::Severity::Warning => notify::Severity::Warning,
        alerting::Severity::Info => notify::Severity::Info,
    }
}
