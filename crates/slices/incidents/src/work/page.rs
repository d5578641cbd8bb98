//! What people are notified of, and under which key, so that nobody is notified twice.
//!
//! Invariants: "resolved" is said of an incident alone of which nothing fires any more; every alert that joins and is no symptom
//! of what people know is in a notification within a bounded time (`announce_at`).

use kernel::DbError;
use notify::{Page, PageKind};

use super::Desk;
use super::page_alert::page_alerts;
use crate::model::{Incident, Member, Severity, severity_of};
use crate::store;

/// Alerts that a page lists.
const LISTED: i64 = 10;

/// What a merged incident had when it was merged.
pub struct Merged<'a> {
    pub into: &'a Incident,
    pub members: &'a [Member],
    pub all: i64,
    pub firing: i64,
}

/// Why people are told.
#[derive(Clone, Copy)]
pub enum Why<'a> {
    Opened,
    /// Alerts of an incident became one of their own; its number.
    SplitFrom(i64),
    Reopened,
    Worse,
    /// More alerts have joined.
    Grew,
    Reminder,
    Resolved,
    MergedInto(&'a Merged<'a>),
}

impl Why<'_> {
    fn kind(self) -> PageKind {
        match self {
            Self::Opened | Self::SplitFrom(_) | Self::Reopened => PageKind::IncidentOpened,
            Self::Worse | Self::Grew | Self::Reminder | Self::MergedInto(_) => PageKind::IncidentUpdated,
            Self::Resolved => PageKind::IncidentResolved,
        }
    }

    /// Distinguishes this page from others about the incident.
    fn key(self, incident: &Incident, cause: i64) -> String {
        let times = incident.reopened;
        match self {
            Self::Opened | Self::SplitFrom(_) => "opened".into(),
            Self::Reopened => format!("reopened:{times}"),
            Self::Worse => format!("worse:{times}:{cause}"),
            Self::Grew => format!("grew:{cause}"),
            Self::Reminder => format!("reminder:{times}:{}", incident.reminded),
            Self::Resolved => format!("resolved:{times}"),
            Self::MergedInto(_) => "merged".into(),
        }
    }

    fn lead_in(self, joined: i64) -> String {
        match self {
            Self::Opened => String::new(),
            Self::SplitFrom(number) => format!("Split off from incident #{number}."),
            Self::Reopened => "Reopened: it fires again.".into(),
            Self::Worse => "The severity was raised.".into(),
            Self::Grew if joined == 1 => "Another alert joined this incident:".into(),
            Self::Grew => format!("{joined} more alerts joined this incident:"),
            Self::Reminder => "Not acknowledged yet.".into(),
            Self::Resolved => "Resolved.".into(),
            Self::MergedInto(merged) => format!(
                "Merged into incident #{}: {}. {} of its {} alerts still firing.",
                merged.into.number, merged.into.title, merged.firing, merged.all
            ),
        }
    }

    /// The page shows all that there is to know, so that nothing is left to announce.
    fn announces(self) -> bool {
        !matches!(self, Self::Reminder | Self::MergedInto(_))
    }
}

/// What a page is made of.
struct Content {
    /// Alerts to list, the news first.
    listed: Vec<Member>,
    /// Alerts that nobody was notified of before.
    joined: i64,
    /// The worst that one of them calls for.
    worst: Severity,
    all: i64,
    firing: i64,
}

impl Content {
    async fn of(desk: &mut Desk<'_>, incident: &Incident, why: Why<'_>) -> Result<Content, DbError> {
        if let Why::MergedInto(merged) = why {
            return Ok(Content {
                listed: merged.members.to_vec(),
                joined: 0,
                worst: incident.severity,
                all: merged.all,
                firing: merged.firing,
            });
        }
        let id = incident.id.as_str();
        let (mut listed, joined) = store::member::unannounced(desk.tx, id, LISTED).await?;
        let worst = listed.iter().map(|member| severity_of(member.severity)).max();
        for member in store::member::of_incident(desk.tx, id, LISTED).await? {
            if !listed.iter().any(|known| known.alert == member.alert) && listed.len() < LISTED as usize {
                listed.push(member);
            }
        }
        let (all, firing) = store::member::count(desk.tx, id).await?;
        Ok(Content {
            listed,
            joined,
            worst: worst.unwrap_or(incident.severity).max(incident.severity),
            all,
            firing,
        })
    }

    fn text(&self, incident: &Incident, why: Why<'_>) -> String {
        let mut text: Vec<String> = vec![why.lead_in(self.joined)];
        if !matches!(why, Why::Grew) {
            text.push(incident.summary.clone());
        }
        if !matches!(why, Why::MergedInto(_)) {
            text.extend(incident.resolution.clone());
        }
        text.retain(|line| !line.is_empty());
        text.join("\n")
    }

    fn title(&self, incident: &Incident, why: Why<'_>) -> String {
        let title = format!("#{} {}", incident.number, incident.title);
        match (why, self.listed.first()) {
            (Why::Grew, Some(first)) if self.joined > 1 => {
                format!("{title}: {} and {} more alerts", first.summary, self.joined - 1)
            }
            (Why::Grew, Some(first)) => format!("{title}: {}", first.summary),
            (Why::MergedInto(merged), _) => format!("{title}: merged into #{}", merged.into.number),
            _ => title,
        }
    }

    fn fields(&self, incident: &Incident, why: Why<'_>) -> Vec<(String, String)> {
        let state = match why {
            Why::MergedInto(_) => "merged",
            _ => incident.state.as_str(),
        };
        let mut fields = vec![
            ("Incident".to_owned(), format!("#{}", incident.number)),
            ("Severity".to_owned(), incident.severity.to_string()),
            ("State".to_owned(), state.to_owned()),
            (
                "Alerts".to_owned(),
                format!("{} firing of {}", self.firing, self.all),
            ),
        ];
        fields.extend(incident.lead_name.clone().map(|name| ("Lead".to_owned(), name)));
        let runbook = self.listed.iter().find_map(|member| member.runbook.clone());
        fields.extend(runbook.map(|runbook| ("Runbook".to_owned(), runbook)));
        fields
    }
}

/// Queues a page about an incident; `cause` is the event that it tells of.
pub async fn tell(
    desk: &mut Desk<'_>,
    incident: &mut Incident,
    why: Why<'_>,
    cause: i64,
) -> Result<(), DbError> {
    let content = Content::of(desk, incident, why).await?;
    let page = Page {
        dedup_key: format!("incident:{}:{}", incident.id, why.key(incident, cause)),
        kind: why.kind(),
        severity: urgency(match why {
            // What joins is as urgent as it is, whatever somebody thought of the rest.
            Why::Grew => content.worst,
            _ => incident.severity,
        }),
        team: incident.team.clone(),
        title: content.title(incident, why),
        text: content.text(incident, why),
        url_path: Some(format!("/incidents/{}", incident.id)),
        fields: content.fields(incident, why),
        alerts: page_alerts(desk, &content.listed).await?,
        alerts_left_out: u64::try_from(content.all - content.listed.len() as i64).unwrap_or(0),
        source: content.listed.first().map(|member| member.name.clone()),
        ..Page::default()
    };
    let before = desk.tx.cause();
    desk.tx.set_cause(Some(cause));
    let actor = desk.actor.clone();
    let queued = notify::page(desk.tx, &actor, &page).await;
    desk.tx.set_cause(before);
    queued?;
    if !why.announces() {
        return Ok(());
    }
    store::member::mark_announced(desk.tx, incident.id.as_str()).await?;
    if incident.announce_at.take().is_some() {
        desk.save(incident).await?;
    }
    Ok(())
}

fn urgency(severity: Severity) -> notify::Severity {
    match severity {
        Severity::Sev1 | Severity::Sev2 => notify::Severity::Critical,
        Severity::Sev3 => notify::Severity::Warning,
        Severity::Sev4 => notify::Severity::Info,
    }
}
