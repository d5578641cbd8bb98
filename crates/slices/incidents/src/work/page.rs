//! What people are told, and under which key, so that nobody is told twice.

use kernel::DbError;
use notify::{Page, PageKind};

use super::Desk;
use super::page_alert::page_alerts;
use crate::model::{Incident, Severity};
use crate::store;

/// Alerts that a page lists.
const LISTED: i64 = 10;

/// Why people are told.
#[derive(Clone, Copy, Debug)]
pub enum Why<'a> {
    Opened,
    Reopened,
    Worse,
    /// More alerts have joined what somebody works on.
    Grew,
    Reminder,
    Resolved,
    MergedInto(&'a Incident),
}

impl Why<'_> {
    fn kind(self) -> PageKind {
        match self {
            Self::Opened | Self::Reopened => PageKind::IncidentOpened,
            Self::Worse | Self::Grew | Self::Reminder => PageKind::IncidentUpdated,
            Self::Resolved | Self::MergedInto(_) => PageKind::IncidentResolved,
        }
    }

    /// Distinguishes this page from others about the incident. Growth is told once in five minutes.
    fn key(self, incident: &Incident, now_s: i64) -> String {
        let times = incident.reopened;
        match self {
            Self::Opened => "opened".into(),
            Self::Reopened => format!("reopened:{times}"),
            Self::Worse => format!("worse:{times}:{}", incident.severity.as_str()),
            Self::Grew => format!("grew:{}", now_s.div_euclid(300)),
            Self::Reminder => format!("reminder:{times}:{}", incident.reminded),
            Self::Resolved => format!("resolved:{times}"),
            Self::MergedInto(_) => "merged".into(),
        }
    }

    fn lead_in(self) -> String {
        match self {
            Self::Opened => String::new(),
            Self::Reopened => "It is back.".into(),
            Self::Worse => "It has become worse.".into(),
            Self::Grew => "More alerts have joined it.".into(),
            Self::Reminder => "Nobody has acknowledged it yet.".into(),
            Self::Resolved => "It is resolved.".into(),
            Self::MergedInto(other) => {
                format!("It is a part of incident #{}: {}.", other.number, other.title)
            }
        }
    }
}

/// Queues a page about an incident; `cause` is the event that it tells of.
pub async fn tell(desk: &mut Desk<'_>, incident: &Incident, why: Why<'_>, cause: i64) -> Result<(), DbError> {
    let members = store::member::of_incident(desk.tx, incident.id.as_str(), LISTED).await?;
    let (all, firing) = store::member::count(desk.tx, incident.id.as_str()).await?;
    let mut text: Vec<String> = vec![why.lead_in(), incident.summary.clone()];
    text.extend(incident.resolution.clone());
    text.retain(|line| !line.is_empty());
    let alerts = page_alerts(desk, &members).await?;
    let mut fields = vec![
        ("Incident".to_owned(), format!("#{}", incident.number)),
        ("Severity".to_owned(), incident.severity.to_string()),
        ("State".to_owned(), incident.state.as_str().to_owned()),
        ("Alerts".to_owned(), format!("{firing} firing of {all}")),
    ];
    fields.extend(incident.lead_name.clone().map(|name| ("Lead".to_owned(), name)));
    let runbook = members.iter().find_map(|member| member.runbook.clone());
    fields.extend(runbook.map(|runbook| ("Runbook".to_owned(), runbook)));
    let page = Page {
        dedup_key: format!(
            "incident:{}:{}",
            incident.id,
            why.key(incident, desk.tx.now().as_second())
        ),
        kind: why.kind(),
        severity: urgency(incident.severity),
        team: incident.team.clone(),
        title: format!("#{} {}", incident.number, incident.title),
        text: text.join("\n"),
        url_path: Some(format!("/incidents/{}", incident.id)),
        fields,
        alerts,
        alerts_left_out: u64::try_from(all - LISTED).unwrap_or(0),
        source: members.first().map(|member| member.name.clone()),
        ..Page::default()
    };
    let before = desk.tx.cause();
    desk.tx.set_cause(Some(cause));
    let actor = desk.actor.clone();
    let queued = notify::page(desk.tx, &actor, &page).await;
    desk.tx.set_cause(before);
    queued.map(|_| ())
}

fn urgency(severity: Severity) -> notify::Severity {
    match severity {
        Severity::Sev1 | Severity::Sev2 => notify::Severity::Critical,
        Severity::Sev3 => notify::Severity::Warning,
        Severity::Sev4 => notify::Severity::Info,
    }
}
