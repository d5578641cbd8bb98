//! The rules, without I/O: which channel takes a page, how long to wait after a failure, when to give up.

use std::time::Duration;

use crate::model::{Channel, Page, PageKind, Subscription};

/// A message that could not be sent for this long is given up.
pub const EXPIRES_S: i64 = 24 * 3600;
/// Nobody else takes a message for this long while it is being sent; the sender renews it.
pub const LEASE_S: i64 = 45;
/// Longest that a message waits between two attempts: one that would wait longer was dated by a clock that stepped back.
pub const LONGEST_WAIT_S: i64 = 3_700;

const FIRST_WAIT_S: f64 = 2.0;
const LONGEST_BACKOFF_S: f64 = 600.0;
/// A receiver that asks for more is not believed.
const LONGEST_RETRY_AFTER_S: f64 = 3600.0;
/// Waits after attempts whose outcome is not known: the receiver probably has the message, so it comes again rarely.
const UNKNOWN_WAITS_S: [i64; 3] = [600, 1_800, 3_600];

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver confirmed that it has it.
    Delivered,
    /// Handed over whole, and no word came back.
    Unknown { reason: String },
    /// Worth another attempt, not before `retry_after` when the receiver said so.
    Temporary {
        reason: String,
        retry_after: Option<Duration>,
    },
    /// This message would be refused again.
    Permanent { reason: String },
    /// The channel itself is wrong (address, credentials): every message would be refused until somebody changes it.
    Misconfigured { reason: String },
}

impl Outcome {
    /// As messages and metrics name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Unknown { .. } => "unknown",
            Self::Temporary { .. } => "failed",
            Self::Permanent { .. } => "refused",
            Self::Misconfigured { .. } => MISCONFIGURED,
        }
    }

    pub fn reason_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Delivered => None,
            Self::Unknown { reason }
            | Self::Temporary { reason, .. }
            | Self::Permanent { reason }
            | Self::Misconfigured { reason } => Some(reason),
        }
    }

    /// Why it is not delivered.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Delivered => None,
            Self::Unknown { reason }
            | Self::Temporary { reason, .. }
            | Self::Permanent { reason }
            | Self::Misconfigured { reason } => Some(reason),
        }
    }
}

/// The outcome of a message that waits for somebody to change its channel.
pub const MISCONFIGURED: &str = "misconfigured";

/// How many seconds to wait after the `unknowns`th attempt (from 1) without a confirmation; `None`: it is not repeated any more.
pub fn wait_unknown(unknowns: i64) -> Option<i64> {
    let index = usize::try_from(unknowns.saturating_sub(1)).ok()?;
    UNKNOWN_WAITS_S.get(index).copied()
}

/// Does this channel take the page?
pub fn takes(channel: &Channel, page: &Page) -> bool {
    if !channel.is_enabled {
        return false;
    }
    match &page.channels {
        Some(chosen) => chosen.contains(&channel.id),
        None => page.kind != PageKind::Test && is_subscribed(&channel.subscription, page),
    }
}

fn is_subscribed(subscription: &Subscription, page: &Page) -> bool {
    let kind = subscription.kinds.is_empty() || subscription.kinds.contains(&page.kind);
    let team = subscription.teams.is_empty()
        || page
            .team
            .as_ref()
            .is_some_and(|team| subscription.teams.contains(team));
    kind && team && page.severity >= subscription.min_severity
}

/// How long to wait after the `attempt`th failure (from 1). `jitter` from 0 to 1 spreads those that failed together.
pub fn wait(attempt: i64, retry_after: Option<Duration>, jitter: f64) -> Duration {
    let doublings = attempt.clamp(1, 30) as i32 - 1;
    let backoff = (FIRST_WAIT_S * 2f64.powi(doublings)).min(LONGEST_BACKOFF_S);
    let asked = retry_after.map_or(0.0, |asked| asked.as_secs_f64().min(LONGEST_RETRY_AFTER_S));
    // Between 75 % and 125 %, but never before the receiver asked for.
    Duration::from_secs_f64((backoff * (0.75 + 0.5 * jitter.clamp(0.0, 1.0))).max(asked))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kernel::clock::from_micros;

    use super::*;
    use crate::model::{ChannelConfig, ChannelId, Severity};

    fn channel(subscription: Subscription) -> Channel {
        Channel {
            id: ChannelId::new(),
            name: "c".into(),
            config: ChannelConfig::Webhook {
                url: "http://localhost/".into(),
                headers: BTreeMap::new(),
            },
            secrets: Vec::new(),
            is_enabled: true,
            subscription,
            title_template: String::new(),
            text_template: String::new(),
            created_at: from_micros(0),
            sent_at: None,
            failed_at: None,
            error: None,
        }
    }

    fn page(kind: PageKind, severity: Severity, team: Option<&str>) -> Page {
        Page {
            dedup_key: "k".into(),
            kind,
            severity,
            team: team.map(str::to_owned),
            title: "t".into(),
            text: String::new(),
            url_path: None,
            fields: Vec::new(),
            ..Page::default()
        }
    }

    #[test]
    fn a_channel_takes_what_it_subscribes_to() {
        let picky = channel(Subscription {
            min_severity: Severity::Warning,
            kinds: vec![PageKind::IncidentOpened],
            teams: vec!["team_a".into()],
        });
        let opened = PageKind::IncidentOpened;
        for (page, expected) in [
            (page(opened, Severity::Critical, Some("team_a")), true),
            (page(opened, Severity::Info, Some("team_a")), false),
            (page(opened, Severity::Critical, Some("team_b")), false),
            (page(opened, Severity::Critical, None), false),
            (
                page(PageKind::RunFinished, Severity::Critical, Some("team_a")),
                false,
            ),
        ] {
            assert_eq!(takes(&picky, &page), expected, "{page:?}");
        }
        let any = channel(Subscription::default());
        assert!(takes(&any, &page(PageKind::Custom, Severity::Info, None)));
        assert!(!takes(&any, &page(PageKind::Test, Severity::Info, None)));
        let chosen = Page {
            channels: Some(vec![picky.id.clone()]),
            ..page(PageKind::Custom, Severity::Info, None)
        };
        assert!(takes(&picky, &chosen) && !takes(&any, &chosen));
        let off = Channel {
            is_enabled: false,
            ..picky
        };
        assert!(!takes(&off, &chosen));
    }

    #[test]
    fn waits_grow_within_bounds_and_respect_the_receiver() {
        let seconds = |attempt, jitter| wait(attempt, None, jitter).as_secs_f64();
        assert_eq!(seconds(1, 0.5), 2.0);
        assert_eq!(seconds(4, 0.5), 16.0);
        assert_eq!(seconds(i64::MAX, 1.0), 750.0);
        for attempt in 1..60 {
            assert!(seconds(attempt, 0.0) <= seconds(attempt + 1, 0.0));
        }
        let asked = |s| wait(1, Some(Duration::from_secs(s)), 0.0).as_secs();
        assert_eq!(asked(90), 90);
        assert_eq!(asked(1_000_000), 3600);
    }

    #[test]
    fn a_lease_is_renewed_well_before_it_ends() {
        let renew = crate::Patience::default().renew_every.as_secs();
        assert!(renew as i64 * 2 + 10 <= LEASE_S);
    }

    #[test]
    fn an_unknown_outcome_is_repeated_rarely_and_a_few_times() {
        let waits: Vec<_> = (0..6).map(wait_unknown).collect();
        assert_eq!(waits, [None, Some(600), Some(1_800), Some(3_600), None, None]);
        for wait in waits.into_iter().flatten() {
            assert!(wait <= LONGEST_WAIT_S);
        }
    }
}
