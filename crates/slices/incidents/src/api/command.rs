//! What people do with an incident. Each command may be sent twice with the same effect as once; `If-Match` refuses what was
//! decided on an old state.

use alerting::IfMatch;
use axum::extract::State as Handle;
use kernel::http::{Json, Path};
use kernel::{Actor, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::sight;
use super::view::{IncidentView, view};
use super::{MAX_TEXT, MAX_TITLE, check_text, refuse};
use crate::decide::{Command, step};
use crate::events::{self, IncidentData};
use crate::model::{Incident, Severity, State};
use crate::work::Desk;
use crate::{Incidents, store};

type Answer = Result<Json<IncidentView>, Problem>;

/// Words for the story.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = IncidentNote)]
pub struct Note {
    pub note: Option<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = IncidentReason)]
pub struct Reason {
    pub reason: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IncidentAssignment)]
pub struct Assignment {
    /// Id of the person who is to lead; `null`: nobody. It must be there: nobody is taken off by an empty request.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true)]
    pub person: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IncidentComment)]
pub struct Comment {
    pub text: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IncidentSeverityChange)]
pub struct SeverityChange {
    pub severity: Severity,
    pub note: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IncidentRename)]
pub struct Rename {
    pub title: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IncidentMerge)]
pub struct Merge {
    /// Id of the incident that goes on.
    pub into: String,
    pub note: Option<String>,
}

/// A text that was given and is not empty, checked.
pub fn words(field: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    let mut errors = Vec::new();
    check_text(
        &mut errors,
        field,
        text.as_deref().unwrap_or_default(),
        false,
        MAX_TEXT,
    );
    refuse(errors)?;
    Ok(text.filter(|text| !text.trim().is_empty()))
}

/// Finds the incident inside the turn, checks who asks and what they have seen.
pub async fn begin(desk: &mut Desk<'_>, id: &str, seen: &IfMatch) -> Result<Incident, Problem> {
    let actor = desk.actor.clone();
    let incident = sight::find_to_change(desk.tx, &actor, id).await?;
    seen.check(incident.version)?;
    if let Some(other) = &incident.merged_into {
        return Err(Problem::conflict(format_args!(
            "incident #{} is a part of {other} now; do it there",
            incident.number
        )));
    }
    Ok(incident)
}

/// The state that a command leads to, `None` when it is so already.
fn next(incident: &Incident, command: Command) -> Result<Option<State>, Problem> {
    step(incident.state, command).map_err(Problem::conflict)
}

/// Nothing that fires is called resolved. What a silence mutes was answered for by somebody.
async fn refuse_while_firing(desk: &mut Desk<'_>, incident: &Incident) -> Result<(), Problem> {
    let firing = store::member::firing(desk.tx, incident.id.as_str(), 4).await?;
    if firing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = firing
        .iter()
        .take(3)
        .map(|member| member.summary.as_str())
        .collect();
    let more = if firing.len() > 3 { ", …" } else { "" };
    Err(Problem::conflict(format_args!(
        "still firing: {}{more}; silence it, split it off, or mark the incident as mitigated",
        names.join(", ")
    )))
}

macro_rules! command {
    ($(#[$doc:meta])* $name:ident, $path:literal, $body:ty, |$desk:ident, $incident:ident, $given:ident| $work:block) => {
        $(#[$doc])*
        #[utoipa::path(post, path = $path, tag = "incidents",
            params(("id" = String, Path), ("if-match" = Option<String>, Header, description = "the version that you have seen")),
            request_body = $body,
            responses((status = 200, body = IncidentView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
        pub async fn $name(
            Handle(incidents): Handle<Incidents>,
            actor: Actor,
            Path(id): Path<String>,
            seen: IfMatch,
            Json($given): Json<$body>,
        ) -> Answer {
            let mut tx = incidents.kernel.db.write().await?;
            let mut desk = Desk::open(&mut tx, actor, &incidents).await?;
            let $desk = &mut desk;
            let mut $incident = begin($desk, &id, &seen).await?;
            $work;
            let shown = view(&mut tx, $incident).await?;
            tx.commit().await?;
            Ok(Json(shown))
        }
    };
}

command!(
    /// Take an incident: nobody is paged about it again until it changes
    acknowledge_incident, "/api/v1/incidents/{id}/acknowledge", Note, |desk, incident, given| {
        let note = words("note", given.note)?;
        if let Some(state) = next(&incident, Command::Acknowledge)? {
            incident.state = state;
            incident.acknowledged_at = incident.acknowledged_at.or(Some(desk.tx.now()));
            incident.acknowledged_by = Some(desk.actor.id.clone());
            incident.acknowledged_by_name = Some(desk.actor.name.clone());
            incident.remind_at = None;
            desk.save(&mut incident).await?;
            let text = format!("{} acknowledged incident #{}", desk.actor.name, incident.number);
            let data = IncidentData { note, ..IncidentData::of(&incident, text) };
            events::say(desk.tx, &desk.actor, events::ACKNOWLEDGED, &data).await?;
        }
    }
);

command!(
    /// The users do not suffer any more; the cause is still there
    mitigate_incident, "/api/v1/incidents/{id}/mitigate", Note, |desk, incident, given| {
        let note = words("note", given.note)?;
        if let Some(state) = next(&incident, Command::Mitigate)? {
            incident.state = state;
            let now = desk.tx.now();
            incident.mitigated_at = Some(now);
            if incident.acknowledged_at.is_none() {
                incident.acknowledged_at = Some(now);
                incident.acknowledged_by = Some(desk.actor.id.clone());
                incident.acknowledged_by_name = Some(desk.actor.name.clone());
            }
            incident.remind_at = None;
            desk.save(&mut incident).await?;
            let text = format!("{} mitigated incident #{}", desk.actor.name, incident.number);
            let data = IncidentData { note, ..IncidentData::of(&incident, text) };
            events::say(desk.tx, &desk.actor, events::MITIGATED, &data).await?;
        }
    }
);

command!(
    /// Resolve an incident of which nothing fires any more
    resolve_incident, "/api/v1/incidents/{id}/resolve", Note, |desk, incident, given| {
        let note = words("note", given.note)?;
        if next(&incident, Command::Resolve)?.is_some() {
            refuse_while_firing(desk, &incident).await?;
            desk.resolve(&mut incident, None, note).await?;
        }
    }
);

command!(
    /// It is not over
    reopen_incident, "/api/v1/incidents/{id}/reopen", Reason, |desk, incident, given| {
        let reason = words("reason", given.reason)?;
        if next(&incident, Command::Reopen)?.is_some() {
            let why = reason.unwrap_or_else(|| format!("{} opened it again", desk.actor.name));
            desk.reopen(&mut incident, &why).await?;
        }
    }
);

command!(
    /// Nothing is left to be done about it
    close_incident, "/api/v1/incidents/{id}/close", Note, |desk, incident, given| {
        let note = words("note", given.note)?;
        if let Some(state) = next(&incident, Command::Close)? {
            incident.state = state;
            incident.closed_at = Some(desk.tx.now());
            desk.save(&mut incident).await?;
            let text = format!("{} closed incident #{}", desk.actor.name, incident.number);
            let data = IncidentData { note, ..IncidentData::of(&incident, text) };
            events::say(desk.tx, &desk.actor, events::CLOSED, &data).await?;
        }
    }
);

command!(
    /// Say who leads
    assign_incident, "/api/v1/incidents/{id}/assign", Assignment, |desk, incident, given| {
        let person = match given.person.filter(|id| !id.is_empty()) {
            None => None,
            Some(id) => {
                let person = match id.contains('\0') {
                    true => None,
                    false => access::store::person(desk.tx, &id).await?,
                };
                let person = person.filter(|person| !person.is_disabled);
                let missing = || Problem::invalid_field("person", "there is no such person who can sign in");
                Some(person.ok_or_else(missing)?)
            }
        };
        let lead = person.as_ref().map(|person| person.id.as_str().to_owned());
        if lead != incident.lead {
            let before = incident.lead_name.take();
            incident.lead = lead;
            incident.lead_name = person.map(|person| person.name);
            desk.save(&mut incident).await?;
            let text = match &incident.lead_name {
                Some(name) => format!("{name} leads incident #{}", incident.number),
                None => format!("Nobody leads incident #{}", incident.number),
            };
            let data = IncidentData { before, ..IncidentData::of(&incident, text) };
            events::say(desk.tx, &desk.actor, events::ASSIGNED, &data).await?;
        }
    }
);

command!(
    /// Write down what is known, done or next
    comment_incident, "/api/v1/incidents/{id}/comment", Comment, |desk, incident, given| {
        let mut errors = Vec::new();
        check_text(&mut errors, "text", &given.text, true, MAX_TEXT);
        refuse(errors)?;
        let text = format!("{} wrote", desk.actor.name);
        let data = IncidentData { note: Some(given.text), ..IncidentData::of(&incident, text) };
        events::say(desk.tx, &desk.actor, events::COMMENTED, &data).await?;
        desk.save(&mut incident).await?;
    }
);

command!(
    /// Say how bad it is
    set_incident_severity, "/api/v1/incidents/{id}/severity", SeverityChange, |desk, incident, given| {
        let note = words("note", given.note)?;
        if incident.severity != given.severity {
            let before = incident.severity;
            let is_worse = given.severity > before;
            incident.severity = given.severity;
            desk.plan_reminder(&mut incident);
            desk.save(&mut incident).await?;
            let name = &desk.actor.name;
            let text = format!("{name} changed the severity from {before} to {}", incident.severity);
            let data = IncidentData {
                before: Some(before.as_str().to_owned()),
                note,
                ..IncidentData::of(&incident, text)
            };
            let seq = events::say(desk.tx, &desk.actor, events::SEVERITY_CHANGED, &data).await?;
            if is_worse && incident.state.is_open() {
                desk.tell_worse(&mut incident, seq).await?;
            }
        }
    }
);

command!(
    /// Give it a better name; the program leaves the name alone from then on
    rename_incident, "/api/v1/incidents/{id}/rename", Rename, |desk, incident, given| {
        let mut errors = Vec::new();
        check_text(&mut errors, "title", &given.title, true, MAX_TITLE);
        refuse(errors)?;
        let title = given.title.trim().to_owned();
        if title != incident.title || !incident.title_is_manual {
            let before = std::mem::replace(&mut incident.title, title);
            incident.title_is_manual = true;
            desk.save(&mut incident).await?;
            let text = format!("{} renamed it from \"{before}\"", desk.actor.name);
            let data = IncidentData { before: Some(before), ..IncidentData::of(&incident, text) };
            events::say(desk.tx, &desk.actor, events::RETITLED, &data).await?;
        }
    }
);

/// Make it a part of another incident: its alerts and story move
#[utoipa::path(post, path = "/api/v1/incidents/{id}/merge", tag = "incidents",
    params(("id" = String, Path), ("if-match" = Option<String>, Header, description = "the version that you have seen")),
    request_body = Merge,
    responses((status = 200, body = IncidentView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn merge_incident(
    Handle(incidents): Handle<Incidents>,
    actor: Actor,
    Path(id): Path<String>,
    seen: IfMatch,
    Json(given): Json<Merge>,
) -> Answer {
    let note = words("note", given.note)?;
    if id == given.into {
        return Err(Problem::invalid_field(
            "into",
            "an incident cannot be a part of itself",
        ));
    }
    let mut tx = incidents.kernel.db.write().await?;
    let mut desk = Desk::open(&mut tx, actor, &incidents).await?;
    let who = desk.actor.clone();
    let mut from = sight::find_to_change(desk.tx, &who, &id).await?;
    let into = sight::find_to_change(desk.tx, &who, &given.into).await;
    let mut into =
        into.map_err(|_| Problem::invalid_field("into", "there is no such incident that you may change"))?;
    if from.merged_into.as_deref() == Some(into.id.as_str()) {
        return Ok(Json(view(&mut tx, into).await?));
    }
    seen.check(from.version)?;
    if from.merged_into.is_some() || into.merged_into.is_some() || !into.state.is_open() {
        return Err(Problem::conflict(
            "one of the two is a part of another incident already, or the one that goes on is not open",
        ));
    }
    let why = format!("{} merged them", who.name);
    desk.merge(&mut from, &mut into, &why, note).await?;
    desk.settle(&mut into).await?;
    let shown = view(&mut tx, into).await?;
    tx.commit().await?;
    Ok(Json(shown))
}
