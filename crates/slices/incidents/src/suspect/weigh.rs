//! How likely an event led to an incident, and why.

use kernel::{DbError, Event};
use serde_json::Value;
use sqlx::AnyConnection;

use super::words::{describe, span};
use super::{Near, Search, Suspect, occurred_at};
use crate::place;

/// `kind_weight` of the topic, where it lies, and how often its like was in the time.
pub async fn weigh(
    connection: &mut AnyConnection,
    search: &Search<'_>,
    event: &Event,
    (kind_weight, near, times): (f64, &Near, usize),
) -> Result<Suspect, DbError> {
    let at = occurred_at(event);
    let seconds = search.until.duration_since(at).as_secs_f64();
    let nearness = 2.0 * (-seconds.max(0.0) / 1_200.0).exp() - 0.7;
    let place = match near.steps {
        0 => 0.9,
        1 => 0.5,
        _ => 0.1,
    };
    let (kind, title, detail) = describe(event);
    let kind_weight = match kind {
        "reboot" => 1.0,
        "service" if is_failure(event) => kind_weight + 0.2,
        "item" if event.actor.starts_with("person:") => kind_weight + 0.4,
        _ => kind_weight,
    };
    let rarity = -0.4 * (times as f64).ln();
    let where_ = match near.steps {
        0 => "on an item of the incident".to_owned(),
        _ if near.way.is_empty() => "on the same host".to_owned(),
        _ => place::way(connection, &near.way).await?,
    };
    let how_often = if times > 1 {
        format!("{times} times in the two hours before")
    } else {
        "once in the two hours before".to_owned()
    };
    let mut reasons = vec![
        (nearness, span(seconds, search.incident.reopened_at.is_some())),
        (place, where_),
        (rarity, how_often),
    ];
    if event.actor.starts_with("person:") {
        reasons.push((0.2, format!("done by {}", event.actor_name)));
    }
    reasons.sort_by(|a, b| b.0.total_cmp(&a.0));
    let odds = nearness + place + kind_weight + rarity - 0.8;
    let score = 1.0 / (1.0 + (-odds).exp());
    Ok(Suspect {
        seq: Some(event.seq),
        title,
        detail,
        kind: kind.to_owned(),
        at,
        score: (score * 1_000.0).round() / 1_000.0,
        evidence: reasons.into_iter().map(|(_, text)| text).collect(),
        subject: event.subject.clone(),
    })
}

fn is_failure(event: &Event) -> bool {
    matches!(
        event.data.get("state").and_then(Value::as_str),
        Some("failed" | "inactive" | "deactivating")
    )
}
