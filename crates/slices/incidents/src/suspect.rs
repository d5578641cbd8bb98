//! What changed shortly before an incident, on its items and upstream of them, ranked with the reasons.
//!
//! The score is a chance computed from named weights in log-odds: nearness in time, place in the graph, kind of change, how usual
//! it is. It says "suspect", never "cause".

mod words;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use jiff::SignedDuration;
use kernel::{DbError, Event};
use serde::Serialize;
use serde_json::Value;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use self::words::{describe, span};
use crate::decide::terrain::Terrain;
use crate::model::{Hop, How, Incident};
use crate::{place, store};

/// How long before the opening a change is looked for.
const BACK: SignedDuration = SignedDuration::from_hours(2);
/// What an agent tells a little late still counts as before.
const SLACK: SignedDuration = SignedDuration::from_secs(30);
/// Events of one topic that are looked at.
const SCAN: i64 = 500;
/// Steps upstream that are looked at.
const MAX_STEPS: usize = 2;
const MAX_ITEMS: i64 = 20;
const SHOWN: usize = 10;

/// Topics that tell of changes, with the weight of their kind.
const TOPICS: [(&str, f64); 7] = [
    ("change.granted", 0.8),
    ("run.started", 0.8),
    ("run.finished", 0.6),
    ("service.changed", 0.6),
    ("package.changed", 0.9),
    ("item.changed", 0.4),
    ("item.retired", 0.3),
];

/// Something that may have led to the incident.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Suspect {
    /// The event that tells of it.
    pub seq: i64,
    pub title: String,
    pub detail: String,
    /// `change`, `run`, `service`, `package`, `reboot`, `certificate` or `item`.
    pub kind: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: kernel::Timestamp,
    /// 0 to 1.
    pub score: f64,
    /// Why it is here, strongest reason first.
    pub evidence: Vec<String>,
    /// Id of what changed.
    pub subject: String,
}

/// How a changed item lies to the incident.
struct Near {
    steps: usize,
    way: Vec<Hop>,
}

pub async fn find(
    connection: &mut AnyConnection,
    incident: &Incident,
    terrain: &Terrain,
) -> Result<Vec<Suspect>, DbError> {
    let mut items = store::member::items(connection, incident.id.as_str(), MAX_ITEMS).await?;
    items.extend(incident.item.clone());
    let near = surroundings(&items, terrain);
    if near.is_empty() {
        return Ok(Vec::new());
    }
    let from = incident
        .opened_at
        .saturating_sub(BACK)
        .unwrap_or(incident.opened_at);
    let to = incident
        .opened_at
        .saturating_add(SLACK)
        .unwrap_or(incident.opened_at);
    let Some(first) = store::link::first_since(connection, from).await? else {
        return Ok(Vec::new());
    };
    let last = store::link::first_since(connection, to)
        .await?
        .unwrap_or(i64::MAX);
    let mut events = Vec::new();
    for (topic, weight) in TOPICS {
        let found = store::link::of_topic(connection, topic, (first, last), SCAN).await?;
        events.extend(found.into_iter().map(|event| (event, weight)));
    }
    let mut usual: HashMap<String, usize> = HashMap::new();
    for (event, _) in &events {
        *usual.entry(likeness(event)).or_default() += 1;
    }
    let mut suspects: BTreeMap<String, Suspect> = BTreeMap::new();
    for (event, weight) in &events {
        let closest = touched(event)
            .into_iter()
            .filter_map(|item| near.get(&item).map(|near| (near.steps, item)))
            .min();
        let Some((_, item)) = closest else { continue };
        if is_own(event, incident) || is_first_sight(event) {
            continue;
        }
        let Some(around) = near.get(&item) else { continue };
        let times = usual.get(&likeness(event)).copied().unwrap_or(1);
        let suspect = weigh(connection, incident, event, *weight, around, times).await?;
        let slot = suspects
            .entry(format!("{}{}", suspect.subject, suspect.kind))
            .or_insert_with(|| suspect.clone());
        if suspect.score > slot.score {
            *slot = suspect;
        }
    }
    let mut ranked: Vec<Suspect> = suspects.into_values().collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.seq.cmp(&a.seq)));
    let mut ranked = rollouts(ranked, &events);
    ranked.truncate(SHOWN);
    Ok(ranked)
}

/// The same packages brought to the same versions on several hosts are one suspect: the best of them stands for all.
fn rollouts(ranked: Vec<Suspect>, events: &[(Event, f64)]) -> Vec<Suspect> {
    let host_of = |(event, _): &(Event, f64)| Some((event.seq, event.data.get("host")?.as_str()?.to_owned()));
    let mut hosts: HashMap<i64, String> = events.iter().filter_map(host_of).collect();
    let mut kept: Vec<(Suspect, Vec<String>)> = Vec::new();
    let mut known: HashMap<(String, String), usize> = HashMap::new();
    for suspect in ranked {
        let host = hosts.remove(&suspect.seq).filter(|_| suspect.kind == "package");
        let Some(host) = host else {
            kept.push((suspect, Vec::new()));
            continue;
        };
        match known.entry((suspect.title.clone(), suspect.detail.clone())) {
            Entry::Occupied(slot) => kept[*slot.get()].1.push(host),
            Entry::Vacant(slot) => {
                slot.insert(kept.len());
                kept.push((suspect, vec![host]));
            }
        }
    }
    let name = |(mut suspect, mut hosts): (Suspect, Vec<String>)| {
        match hosts.as_slice() {
            [] => {}
            [host] => suspect.title = format!("{} on {host}", suspect.title),
            several => {
                suspect.title = format!("{} on {} hosts", suspect.title, several.len());
                hosts.sort();
                let more = if hosts.len() > 4 { " …" } else { "" };
                let shown: Vec<&str> = hosts.iter().take(4).map(String::as_str).collect();
                suspect.evidence.push(format!("on {}{more}", shown.join(", ")));
            }
        }
        suspect
    };
    kept.into_iter().map(name).collect()
}

/// What was learnt when a thing was first looked at has not changed then: a boot, say, may be months old.
fn is_first_sight(event: &Event) -> bool {
    event.topic == "item.changed" && event.data["before"].is_null()
}

/// The items of an incident, what is on them, what carries them and what they need.
fn surroundings(items: &[String], terrain: &Terrain) -> HashMap<String, Near> {
    let mut near: HashMap<String, Near> = HashMap::new();
    let mut put = |item: String, steps: usize, way: Vec<Hop>| {
        let slot = near.entry(item).or_insert(Near {
            steps: usize::MAX,
            way: Vec::new(),
        });
        if steps < slot.steps {
            *slot = Near { steps, way };
        }
    };
    for item in items {
        put(item.clone(), 0, Vec::new());
        for (other, way) in terrain.climb(item) {
            if way.len() <= MAX_STEPS {
                put(other, way.len(), way);
            }
        }
        // What is on the same host: a package set, a sister service.
        for (other, way) in terrain.descend(terrain.host(item)) {
            if way.len() == 1 && way.iter().all(|hop| hop.how == How::On) {
                put(other, 2, Vec::new());
            }
        }
    }
    near
}

/// The items that an event speaks of.
fn touched(event: &Event) -> Vec<String> {
    let mut found = Vec::new();
    let mut take = |value: Option<&Value>| {
        let text = value
            .and_then(Value::as_str)
            .filter(|text| text.starts_with("itm_"));
        found.extend(text.map(str::to_owned));
    };
    for field in ["item", "item_id", "host"] {
        take(event.data.get(field));
    }
    for list in ["targets", "items"] {
        for entry in event
            .data
            .get(list)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            take(Some(entry));
            take(entry.get("item_id"));
            take(entry.get("id"));
        }
    }
    if event.subject.starts_with("itm_") {
        found.push(event.subject.clone());
    }
    found
}

/// A run that was started to mend this incident is no suspect.
fn is_own(event: &Event, incident: &Incident) -> bool {
    event.data.get("incident_id").and_then(Value::as_str) == Some(incident.id.as_str())
}

/// Events that say the same kind of thing about the same thing.
fn likeness(event: &Event) -> String {
    let attribute = event
        .data
        .get("attribute")
        .and_then(Value::as_str)
        .unwrap_or_default();
    format!("{} {} {attribute}", event.topic, event.subject)
}

async fn weigh(
    connection: &mut AnyConnection,
    incident: &Incident,
    event: &Event,
    kind_weight: f64,
    near: &Near,
    times: usize,
) -> Result<Suspect, DbError> {
    let seconds = incident.opened_at.duration_since(event.at).as_secs_f64();
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
    let mut reasons = vec![(nearness, span(seconds)), (place, where_), (rarity, how_often)];
    if event.actor.starts_with("person:") {
        reasons.push((0.2, format!("done by {}", event.actor_name)));
    }
    reasons.sort_by(|a, b| b.0.total_cmp(&a.0));
    let odds = nearness + place + kind_weight + rarity - 0.8;
    let score = 1.0 / (1.0 + (-odds).exp());
    Ok(Suspect {
        seq: event.seq,
        title,
        detail,
        kind: kind.to_owned(),
        at: event.at,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_speaks_of_items_in_several_ways() {
        let event = Event {
            seq: 1,
            at: kernel::Timestamp::UNIX_EPOCH,
            topic: "run.started".into(),
            subject: "run_1".into(),
            actor: String::new(),
            actor_name: String::new(),
            cause: None,
            data: serde_json::json!({ "host": "itm_h", "targets": [{ "item_id": "itm_a" }, "itm_b"], "name": "itm" }),
        };
        assert_eq!(touched(&event), ["itm_h", "itm_a", "itm_b"]);
    }
}
