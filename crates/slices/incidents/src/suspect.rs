//! What changed before an incident began, on its items and upstream of them, ranked with the reasons.
//!
//! Only what precedes the beginning counts: the last reopening, else the opening. What an alert or an incident asked for, dry runs
//! and runs that only read are no suspects. A change and its run are one. What failed is a symptom of its own failure, not its
//! cause; what its host's journal and samples say of who stopped it, or what grew, is evidence ([`host`]). Finding no change is an answer.
//!
//! The score is a chance computed from named weights in log-odds: nearness in time, place in the graph, kind of change, how usual
//! it is. It says "suspect", never "cause".

mod filter;
mod host;
mod journal;
mod weigh;
mod words;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use jiff::SignedDuration;
use kernel::{Actor, DbError, Event, Timestamp};
use serde::Serialize;
use serde_json::Value;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use self::filter::{Verdict, judge, occurred_at};
use self::weigh::weigh;
use crate::decide::terrain::Terrain;
use crate::model::{Hop, How, Incident};
use crate::{Incidents, place, store};

/// How long before the beginning a change is looked for.
const BACK: SignedDuration = SignedDuration::from_hours(2);
/// What failed may be told a little after its alert.
const SLACK: SignedDuration = SignedDuration::from_secs(60);
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
    /// The event that tells of it; none for what samples or log lines say.
    pub seq: Option<i64>,
    pub title: String,
    pub detail: String,
    /// `change`, `run`, `service`, `package`, `reboot`, `certificate`, `item`, `command` (of a person on the host) or `process` (that grew).
    pub kind: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// 0 to 1.
    pub score: f64,
    /// Why it is here, strongest reason first.
    pub evidence: Vec<String>,
    /// Id of what changed.
    pub subject: String,
}

/// What was found, and where it was looked for.
pub struct Findings {
    /// Likeliest first.
    pub suspects: Vec<Suspect>,
    /// What failed, oldest first.
    pub symptoms: Vec<Suspect>,
    pub from: Timestamp,
    pub until: Timestamp,
}

/// How a changed item lies to the incident.
struct Near {
    steps: usize,
    way: Vec<Hop>,
}

/// What suspects are sought for.
struct Search<'a> {
    incident: &'a Incident,
    /// The items of its alerts.
    items: Vec<String>,
    near: HashMap<String, Near>,
    from: Timestamp,
    until: Timestamp,
}

pub async fn find(
    incidents: &Incidents,
    connection: &mut AnyConnection,
    actor: &Actor,
    incident: &Incident,
    terrain: &Terrain,
) -> Result<Findings, DbError> {
    let mut items = store::member::items(connection, incident.id.as_str(), MAX_ITEMS).await?;
    items.extend(incident.item.clone());
    let until = incident.began_at();
    let search = Search {
        incident,
        near: surroundings(&items, terrain),
        items,
        from: until.saturating_sub(BACK).unwrap_or(until),
        until,
    };
    let mut found = Findings {
        suspects: Vec::new(),
        symptoms: Vec::new(),
        from: search.from,
        until,
    };
    from_events(connection, actor, &search, &mut found).await?;
    host::look(incidents, connection, actor, &search, terrain, &mut found).await?;
    found
        .suspects
        .sort_by(|a, b| b.score.total_cmp(&a.score).then(b.at.cmp(&a.at)));
    found.suspects.truncate(SHOWN);
    found.symptoms.sort_by_key(|symptom| symptom.at);
    found.symptoms.truncate(SHOWN);
    Ok(found)
}

async fn from_events(
    connection: &mut AnyConnection,
    actor: &Actor,
    search: &Search<'_>,
    found: &mut Findings,
) -> Result<(), DbError> {
    if search.near.is_empty() {
        return Ok(());
    }
    let events = events(connection, search).await?;
    let mut usual: HashMap<String, usize> = HashMap::new();
    for (event, _) in &events {
        *usual.entry(likeness(event)).or_default() += 1;
    }
    let mut suspects: BTreeMap<String, Suspect> = BTreeMap::new();
    for (event, weight) in &events {
        let closest = touched(event)
            .into_iter()
            .filter_map(|item| search.near.get(&item).map(|near| (near.steps, item)))
            .min();
        let Some((_, item)) = closest else { continue };
        let verdict = judge(connection, search, event).await?;
        if verdict == Verdict::Neither || !is_visible(connection, actor, &item).await? {
            continue;
        }
        let Some(near) = search.near.get(&item) else {
            continue;
        };
        let times = usual.get(&likeness(event)).copied().unwrap_or(1);
        let suspect = weigh(connection, search, event, (*weight, near, times)).await?;
        if verdict == Verdict::Symptom {
            found.symptoms.push(suspect);
            continue;
        }
        match suspects.entry(identity(event, &suspect)) {
            std::collections::btree_map::Entry::Vacant(slot) => {
                slot.insert(suspect);
            }
            std::collections::btree_map::Entry::Occupied(mut slot) => unite(slot.get_mut(), suspect),
        }
    }
    let mut ranked: Vec<Suspect> = suspects.into_values().collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.seq.cmp(&a.seq)));
    found.suspects.extend(rollouts(ranked, &events));
    Ok(())
}

/// The events of the time, with the weights of their kinds.
async fn events(connection: &mut AnyConnection, search: &Search<'_>) -> Result<Vec<(Event, f64)>, DbError> {
    let mut events = Vec::new();
    let Some(first) = store::link::first_since(connection, search.from).await? else {
        return Ok(events);
    };
    let to = search.until.saturating_add(SLACK).unwrap_or(search.until);
    let last = store::link::first_since(connection, to)
        .await?
        .unwrap_or(i64::MAX);
    for (topic, weight) in TOPICS {
        let found = store::link::of_topic(connection, topic, (first, last), SCAN).await?;
        events.extend(found.into_iter().map(|event| (event, weight)));
    }
    Ok(events)
}

/// Whoever sees a part of the fleet alone learns of changes there alone.
async fn is_visible(connection: &mut AnyConnection, actor: &Actor, item: &str) -> Result<bool, DbError> {
    if !actor.is_scoped() {
        return Ok(true);
    }
    let item = place::item(connection, item).await?;
    Ok(item.is_some_and(|item| actor.sees(item.team.as_deref(), &item.tags)))
}

/// A change and its run are one, and so are the beginning and the end of a run.
fn identity(event: &Event, suspect: &Suspect) -> String {
    let change = event.data.get("change_id").and_then(Value::as_str);
    match (event.topic.as_str(), change) {
        ("run.started" | "run.finished", Some(change)) => format!("act {change}"),
        ("change.granted" | "run.started" | "run.finished", _) => format!("act {}", event.subject),
        _ => format!("{} {}", suspect.subject, suspect.kind),
    }
}

/// Of two that are one, the run says what was done and when; the better score stands.
fn unite(known: &mut Suspect, other: Suspect) {
    let score = known.score.max(other.score);
    let is_better = match (known.kind.as_str(), other.kind.as_str()) {
        ("change", "run") => true,
        ("run", "change") => false,
        // The beginning of a run, not its end.
        ("run", "run") => other.at < known.at,
        _ => other.score > known.score,
    };
    if is_better {
        *known = other;
    }
    known.score = score;
}

/// The same packages brought to the same versions on several hosts are one suspect: the best of them stands for all.
fn rollouts(ranked: Vec<Suspect>, events: &[(Event, f64)]) -> Vec<Suspect> {
    let host_of = |(event, _): &(Event, f64)| Some((event.seq, event.data.get("host")?.as_str()?.to_owned()));
    let mut hosts: HashMap<i64, String> = events.iter().filter_map(host_of).collect();
    let mut kept: Vec<(Suspect, Vec<String>)> = Vec::new();
    let mut known: HashMap<(String, String), usize> = HashMap::new();
    for suspect in ranked {
        let host = suspect
            .seq
            .and_then(|seq| hosts.remove(&seq))
            .filter(|_| suspect.kind == "package");
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

/// Events that say the same kind of thing about the same thing.
fn likeness(event: &Event) -> String {
    let attribute = event
        .data
        .get("attribute")
        .and_then(Value::as_str)
        .unwrap_or_default();
    format!("{} {} {attribute}", event.topic, event.subject)
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
