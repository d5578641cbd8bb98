//! An alert finds its incident, ends, or is muted.

use jiff::SignedDuration;
use kernel::{DbError, Event};

use alerting::AlertData;

use super::Desk;
use super::life::{Beginning, begin};
use super::page_alert::annotation;
use crate::decide::group::{Candidate, Effect, Kind, Link, Newcomer, group, outranks};
use crate::events::{self, AlertPart, IncidentData};
use crate::model::{Incident, Member, Role, Severity, severity_of};
use crate::{place, store};

/// Names of alerts that say that a whole host is gone.
const HOST_GONE: [&str; 4] = [alerting::HOST_LOST, "HostDown", "NodeDown", "InstanceDown"];
const MAX_TITLE: usize = 200;
/// Alerts among which a new root is sought.
const MAX_ROOTS: i64 = 100;

impl Desk<'_> {
    /// `alert.fired`, and `alert.unmuted` of what has never been seen here.
    pub async fn alert_fired(&mut self, event: &Event, data: &AlertData) -> Result<(), DbError> {
        if let Some(mut member) = store::member::get(self.tx, data.alert_id.as_str()).await? {
            member.is_muted = false;
            self.note(&member, event).await?;
            return self.unmuted(&member).await;
        }
        let is_note = data.severity == alerting::Severity::Info;
        let mut member = self.member_of(event, data);
        member.kin = self.kin_of(&member).await?;
        let new = Newcomer {
            place: member.place.clone(),
            host: member.host.clone(),
            is_down: member.is_down,
            severity: member.severity,
            at: member.fired_at,
        };
        let up = self.terrain.climb(&new.place);
        let down = self.terrain.descend(&new.place);
        let mut wanted: std::collections::BTreeSet<&str> =
            up.keys().chain(down.keys()).map(String::as_str).collect();
        wanted.insert(&new.place);
        let open =
            store::member::presences(self.tx, &wanted, new.host.as_deref(), member.kin.as_deref()).await?;
        let limits = self.incidents.settings.limits();
        let since = new.at.saturating_sub(limits.kin_window_us);
        let rules = store::member::of_rule(self.tx, &member.rule, since).await?;
        for effect in group(&new, &open, &rules, &self.terrain, limits) {
            match effect {
                // A note joins what is open and calls nobody; else it stands with the alerts and on its item's timeline alone.
                Effect::Open | Effect::Merge { .. } | Effect::Candidate { .. } if is_note => {}
                Effect::Open => self.open_for(&mut member, event).await?,
                Effect::Merge { from, into, link } => self.merge_by_link(&from, &into, &link).await?,
                Effect::Join { incident, link } => {
                    if let Some(mut incident) = store::incident::get(self.tx, &incident).await? {
                        member.reason = self.reason(&link).await?;
                        member.path = link.path;
                        member.role = link.role;
                        self.join(&mut incident, &mut member, event).await?;
                    }
                }
                Effect::Candidate { other, link } => self.propose(&member.incident, &other, &link).await?,
            }
        }
        Ok(())
    }

    /// Somebody has resolved the incident while the alert was muted, and it still holds: that must not be lost.
    async fn unmuted(&mut self, member: &Member) -> Result<(), DbError> {
        let Some(mut incident) = store::incident::get(self.tx, &member.incident).await? else {
            return Ok(());
        };
        if incident.state.is_open() || member.resolved_at.is_some() {
            return Ok(());
        }
        let why = format!("{} is not muted any more and still fires", member.name);
        self.reopen(&mut incident, &why).await
    }

    /// `alert.resolved`
    pub async fn alert_resolved(&mut self, event: &Event, data: &AlertData) -> Result<(), DbError> {
        let Some(mut member) = store::member::get(self.tx, data.alert_id.as_str()).await? else {
            return Ok(());
        };
        if member.resolved_at.is_some() {
            return Ok(());
        }
        member.resolved_at = Some(event.at.as_microsecond());
        self.note(&member, event).await?;
        if let Some(mut incident) = store::incident::get(self.tx, &member.incident).await? {
            self.replace_root(&mut incident, &member).await?;
            self.settle(&mut incident).await?;
        }
        Ok(())
    }

    /// `alert.silenced` and `alert.suppressed`
    pub async fn alert_muted(&mut self, event: &Event, data: &AlertData) -> Result<(), DbError> {
        let Some(mut member) = store::member::get(self.tx, data.alert_id.as_str()).await? else {
            return Ok(());
        };
        member.is_muted = true;
        self.note(&member, event).await
    }

    /// Stores a member that has changed, and makes the event part of the story.
    async fn note(&mut self, member: &Member, event: &Event) -> Result<(), DbError> {
        let now = self.tx.now().as_microsecond();
        store::member::save(self.tx, member, now).await?;
        store::link::add_with_causes(self.tx, &member.incident, event.seq).await
    }

    fn member_of(&self, event: &Event, data: &AlertData) -> Member {
        let instance = data.labels.get("instance");
        let (place, host) = match (&data.item_id, instance) {
            (Some(item), _) => (item.clone(), Some(self.terrain.host(item).to_owned())),
            (None, Some(instance)) => {
                let place = format!("instance:{instance}");
                (place.clone(), Some(place))
            }
            (None, None) => (format!("fingerprint:{}", data.fingerprint), None),
        };
        let is_down = HOST_GONE.contains(&data.name.as_str()) && host.as_ref() == Some(&place);
        let summary =
            annotation(&data.annotations, &["summary", "message", "description"]).unwrap_or_else(|| {
                match instance {
                    Some(instance) => format!("{} on {instance}", data.name),
                    None => data.name.clone(),
                }
            });
        Member {
            alert: data.alert_id.as_str().to_owned(),
            incident: String::new(),
            fingerprint: data.fingerprint.clone(),
            name: data.name.clone(),
            summary: cut(&summary, MAX_TITLE),
            severity: data.severity,
            item: data.item_id.clone(),
            place,
            host,
            kin: None,
            rule: format!("{} {}", data.source, data.name).trim().to_owned(),
            is_down,
            is_muted: false,
            is_flapping: data.flapping,
            is_announced: true,
            role: Role::Root,
            reason: String::new(),
            path: Vec::new(),
            runbook: annotation(&data.annotations, &["runbook"]).map(|text| cut(&text, MAX_TITLE)),
            fired_at: event.at.as_microsecond(),
            resolved_at: None,
        }
    }

    /// The alert is linked to nothing open: it reopens what has just been resolved, or opens a new incident.
    async fn open_for(&mut self, member: &mut Member, event: &Event) -> Result<(), DbError> {
        let ago = SignedDuration::from_secs(i64::from(self.incidents.settings.reopen_within_s));
        let since = self.tx.now().saturating_sub(ago).unwrap_or(self.tx.now());
        let recent = store::incident::resolved_with(self.tx, &member.fingerprint, since).await?;
        if let Some(mut incident) = recent {
            incident.id.as_str().clone_into(&mut member.incident);
            member.reason = "The same alert had been in this incident.".into();
            self.note(member, event).await?;
            let why = format!("{} fires again", member.name);
            self.take_root(&mut incident, member, &why).await?;
            let (severity, _) = self.wanted_severity(member);
            if severity > incident.worst_seen {
                incident.worst_seen = severity;
                incident.severity = incident.severity.max(severity);
            }
            return self.reopen(&mut incident, &why).await;
        }
        let number = store::next_number(self.tx).await?;
        let beginning = Beginning {
            title: self.title_of(member).await?,
            summary: member.summary.clone(),
            severity: self.wanted_severity(member).0,
            team: self.team_of(member).await?,
            item: member.item.clone(),
            root_alert: Some(member.alert.clone()),
            is_declared: false,
        };
        let mut incident = begin(beginning, number, self.tx.now());
        incident.id.as_str().clone_into(&mut member.incident);
        member.reason = "The incident began with it.".into();
        self.note(member, event).await?;
        self.open_incident(&mut incident).await
    }

    /// Makes an alert part of an incident that is there, and sees what that changes.
    pub async fn join(
        &mut self,
        incident: &mut Incident,
        member: &mut Member,
        event: &Event,
    ) -> Result<(), DbError> {
        incident.id.as_str().clone_into(&mut member.incident);
        let root = match &incident.root_alert {
            Some(root) => store::member::get(self.tx, root).await?,
            None => None,
        };
        let is_root = root
            .as_ref()
            .is_none_or(|root| outranks(&candidate(member), &candidate(root), &self.terrain));
        if !is_root && member.role == Role::Root {
            member.role = Role::Member;
        }
        let is_note = member.severity == alerting::Severity::Info;
        let is_news = !is_note && self.is_news(incident, member, is_root).await?;
        member.is_announced = !is_news;
        self.note(member, event).await?;
        if !is_note {
            incident.resolve_at = None;
        }
        self.save(incident).await?;
        let data = IncidentData {
            alert: Some(AlertPart {
                alert_id: member.alert.clone(),
                name: member.name.clone(),
                reason: member.reason.clone(),
                path: member.path.clone(),
            }),
            ..IncidentData::of(incident, format!("{} joined: {}", member.summary, member.reason))
        };
        events::say(self.tx, &self.actor, events::GREW, &data).await?;
        if is_root {
            let why = member.reason.clone();
            self.take_root(incident, member, &why).await?;
        }
        let (severity, why) = self.wanted_severity(member);
        let is_worse = severity > incident.worst_seen && severity > incident.severity;
        self.escalate(incident, severity, &why).await?;
        if is_news && !is_worse {
            self.plan_announcement(incident, severity).await?;
        }
        Ok(())
    }

    /// The incident is about this alert from now on.
    pub async fn take_root(
        &mut self,
        incident: &mut Incident,
        root: &Member,
        why: &str,
    ) -> Result<(), DbError> {
        let now = self.tx.now().as_microsecond();
        let old = match &incident.root_alert {
            Some(old) if *old != root.alert => store::member::get(self.tx, old).await?,
            _ => None,
        };
        if let Some(mut old) = old {
            let is_below = self.terrain.climb(&old.place).contains_key(&root.place);
            old.role = if is_below { Role::Symptom } else { Role::Member };
            store::member::save(self.tx, &old, now).await?;
        }
        // As it is stored now: it may have been announced meanwhile.
        let stored = store::member::get(self.tx, &root.alert).await?;
        let root = Member {
            role: Role::Root,
            incident: incident.id.as_str().to_owned(),
            is_announced: stored.is_none_or(|stored| stored.is_announced),
            ..root.clone()
        };
        store::member::save(self.tx, &root, now).await?;
        incident.root_alert = Some(root.alert.clone());
        incident.item = root.item.clone().or(incident.item.take());
        incident.team = self.team_of(&root).await?.or(incident.team.take());
        let title = self.title_of(&root).await?;
        if incident.title_is_manual || title == incident.title {
            return self.save(incident).await;
        }
        let before = std::mem::replace(&mut incident.title, title);
        incident.summary = root.summary.clone();
        self.save(incident).await?;
        let data = IncidentData {
            before: Some(before.clone()),
            ..IncidentData::of(
                incident,
                format!("Now about \"{}\", not \"{before}\": {why}", incident.title),
            )
        };
        events::say(self.tx, &self.actor, events::RETITLED, &data)
            .await
            .map(|_| ())
    }

    /// The alert that the incident is named after has ended, and something else of it fires: it is about that now.
    async fn replace_root(&mut self, incident: &mut Incident, ended: &Member) -> Result<(), DbError> {
        if !incident.state.is_open() || incident.root_alert.as_deref() != Some(&ended.alert) {
            return Ok(());
        }
        let firing = store::member::firing(self.tx, incident.id.as_str(), MAX_ROOTS).await?;
        if firing.iter().any(|member| member.rule == ended.rule) {
            return Ok(());
        }
        let mut best: Option<&Member> = None;
        for member in firing.iter().filter(|member| member.role != Role::Symptom) {
            if best.is_none_or(|best| outranks(&candidate(member), &candidate(best), &self.terrain)) {
                best = Some(member);
            }
        }
        let Some(best) = best else { return Ok(()) };
        let why = format!("{} has ended and {} still fires", ended.name, best.name);
        self.take_root(incident, best, &why).await
    }

    async fn merge_by_link(&mut self, from: &str, into: &str, link: &Link) -> Result<(), DbError> {
        let (Some(mut from), Some(mut into)) = (
            store::incident::get(self.tx, from).await?,
            store::incident::get(self.tx, into).await?,
        ) else {
            return Ok(());
        };
        if store::candidate::is_dismissed(self.tx, from.id.as_str(), into.id.as_str()).await? {
            return Ok(());
        }
        let why = self.reason(link).await?;
        self.merge(&mut from, &mut into, &why, None).await
    }

    pub async fn reason(&mut self, link: &Link) -> Result<String, DbError> {
        let names = place::names(self.tx, vec![link.place.clone()]).await?;
        let name = names.get(&link.place).cloned().unwrap_or_default();
        Ok(match link.kind {
            Kind::SameItem => format!("It is about {name} too."),
            Kind::SameHost => format!("It is on the same host as {name}, at about the same time."),
            Kind::SameRule => "The same rule fired it at about the same time.".to_owned(),
            Kind::Kin => format!("It is the same about {name} on another host, at about the same time."),
            Kind::HostGone if link.role == Role::Root => {
                format!("The host that carries {name} is gone.")
            }
            Kind::HostGone => format!("It is on {name}, which is gone."),
            Kind::Upstream => {
                let way = place::way(self.tx, &link.path).await?;
                format!("{way}.")
            }
        })
    }

    pub async fn title_of(&mut self, member: &Member) -> Result<String, DbError> {
        if !member.is_down {
            return Ok(member.summary.clone());
        }
        let names = place::names(self.tx, vec![member.place.clone()]).await?;
        let name = names.get(&member.place).cloned().unwrap_or_default();
        Ok(cut(&format!("{name} is down"), MAX_TITLE))
    }

    pub async fn team_of(&mut self, member: &Member) -> Result<Option<String>, DbError> {
        match &member.item {
            Some(item) => Ok(place::item(self.tx, item).await?.and_then(|item| item.team)),
            None => Ok(None),
        }
    }

    /// The same alert on a service of the same name and team, wherever it runs.
    async fn kin_of(&mut self, member: &Member) -> Result<Option<String>, DbError> {
        let Some(id) = &member.item else { return Ok(None) };
        let item = place::item(self.tx, id)
            .await?
            .filter(|item| item.kind == "service");
        Ok(item.map(|item| {
            let team = item.team.unwrap_or_default();
            format!("{} {} {team}", member.name, item.key)
        }))
    }

    /// What an alert calls for, and why.
    pub fn wanted_severity(&self, member: &Member) -> (Severity, String) {
        let plain = severity_of(member.severity);
        if member.is_down && self.terrain.is_needed_from_outside(&member.place) {
            let why = format!("{}, and things elsewhere need what is on it", member.summary);
            return (Severity::Sev1.max(plain), why);
        }
        (plain, format!("{} is {}", member.name, member.severity))
    }
}

pub fn candidate(member: &Member) -> Candidate<'_> {
    Candidate {
        alert: &member.alert,
        place: &member.place,
        is_down: member.is_down,
        severity: member.severity,
        at: member.fired_at,
    }
}

pub fn cut(text: &str, max: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let line = line.trim();
    if line.chars().count() <= max {
        return line.to_owned();
    }
    let head: String = line.chars().take(max - 1).collect();
    format!("{head}…")
}
