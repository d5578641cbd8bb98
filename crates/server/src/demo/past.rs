//! What went wrong in the week before the start: the episodes, and how each shows in what hosts measure and write.

use super::host::{Host, State};
use super::speech::Mood;
use super::world::SHOP;

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The host's own service did not run.
    Down,
    /// `/var` filled.
    Full,
    /// The host's own service took all memory.
    Leak,
    /// A release of the shop application failed requests.
    BadRelease,
}

/// A package that was brought to another version.
#[derive(Debug)]
pub struct Upgrade {
    /// How long before the trouble.
    pub minutes_before: f64,
    pub from: &'static str,
    pub to: &'static str,
    /// The version that mended it; the host's own when `None`.
    pub mended_by: Option<&'static str>,
}

/// Who said or did what, how many minutes after the trouble began.
#[derive(Debug)]
pub enum Deed {
    Acknowledged(f64, &'static str),
    Said(f64, &'static str, &'static str),
}

impl Deed {
    pub fn minutes(&self) -> f64 {
        match self {
            Self::Acknowledged(minutes, _) | Self::Said(minutes, _, _) => *minutes,
        }
    }
}

#[derive(Debug)]
pub struct Episode {
    /// Hours before the start of the demonstration.
    pub hours_ago: f64,
    pub minutes: f64,
    pub host: &'static str,
    pub trouble: Trouble,
    /// Of the host's own package, or of the shop application everywhere.
    pub upgrade: Option<Upgrade>,
    /// In the order of time.
    pub deeds: &'static [Deed],
}

/// Oldest first; no two at a time.
pub const EPISODES: &[Episode] = &[
    Episode {
        hours_ago: 151.3,
        minutes: 42.0,
        host: "reports-2",
        trouble: Trouble::Full,
        upgrade: None,
        deeds: &[
            Deed::Acknowledged(6.2, "chen"),
            Deed::Said(
                11.5,
                "chen",
                "The nightly export left its debug log on: 90 GB since yesterday. Turning it off and rotating.",
            ),
        ],
    },
    Episode {
        hours_ago: 123.6,
        minutes: 7.4,
        host: "shop-db-1",
        trouble: Trouble::Down,
        upgrade: Some(Upgrade {
            minutes_before: 1.6,
            from: "15.7-0+deb12u1",
            to: "15.8-0+deb12u1",
            mended_by: None,
        }),
        deeds: &[
            Deed::Acknowledged(1.8, "chen"),
            Deed::Said(
                4.1,
                "chen",
                "Unattended upgrade restarted PostgreSQL and recovery takes its time. The shop waits for it.",
            ),
            Deed::Said(
                26.0,
                "ada",
                "Database packages are to be held back from unattended upgrades; I have put it on the list.",
            ),
        ],
    },
    Episode {
        hours_ago: 101.9,
        minutes: 19.0,
        host: "app-3",
        trouble: Trouble::Leak,
        upgrade: None,
        deeds: &[Deed::Acknowledged(3.4, "ben")],
    },
    Episode {
        hours_ago: 76.2,
        minutes: 23.5,
        host: "app-1",
        trouble: Trouble::BadRelease,
        upgrade: Some(Upgrade {
            minutes_before: 2.3,
            from: "2.13.2",
            to: "2.13.3",
            mended_by: Some("2.13.4"),
        }),
        deeds: &[
            Deed::Acknowledged(1.2, "ben"),
            Deed::Said(
                5.8,
                "ben",
                "Orders without a discount fail since 2.13.3 went out. The fix is being built.",
            ),
            Deed::Said(19.5, "ben", "2.13.4 is going out, host by host."),
        ],
    },
    Episode {
        hours_ago: 52.7,
        minutes: 11.2,
        host: "search-2",
        trouble: Trouble::Down,
        upgrade: None,
        deeds: &[
            Deed::Acknowledged(4.6, "ben"),
            Deed::Said(
                7.0,
                "ben",
                "Ended by the kernel for want of memory while it merged segments. Started again.",
            ),
        ],
    },
    Episode {
        hours_ago: 27.4,
        minutes: 9.8,
        host: "pay-2",
        trouble: Trouble::Down,
        upgrade: None,
        deeds: &[Deed::Acknowledged(2.5, "dana")],
    },
    Episode {
        hours_ago: 8.1,
        minutes: 2.2,
        host: "mail-1",
        trouble: Trouble::Down,
        upgrade: None,
        deeds: &[],
    },
];

/// Hours that an episode keeps from the beginning of the history, so that what led to it lies within.
const MARGIN_H: f64 = 1.0;

/// The episodes within the last `days`.
pub fn within(days: u32) -> impl Iterator<Item = &'static Episode> {
    let hours = f64::from(days) * 24.0 - MARGIN_H;
    EPISODES.iter().filter(move |episode| episode.hours_ago < hours)
}

impl Episode {
    /// Unix milliseconds of a moment so many minutes after it began, for a demonstration that starts at `now_ms`.
    pub fn at_ms(&self, minutes: f64, now_ms: i64) -> i64 {
        now_ms - (self.hours_ago * 3_600_000.0) as i64 + (minutes * 60_000.0) as i64
    }

    fn is_at(&self, t_ms: i64, now_ms: i64) -> bool {
        (self.at_ms(0.0, now_ms)..self.at_ms(self.minutes, now_ms)).contains(&t_ms)
    }

    pub fn strikes(&self, host: &Host) -> bool {
        match self.trouble {
            Trouble::BadRelease => host.spec.role.unit == SHOP,
            _ => host.spec.name == self.host,
        }
    }

    /// Share of the requests to `host` that fail meanwhile.
    pub fn failing(&self, host: &Host) -> f64 {
        let role = host.spec.role;
        let share = match self.trouble {
            Trouble::Down if self.host == "shop-db-1" => 0.8,
            Trouble::BadRelease => 0.25,
            _ => return 0.0,
        };
        match (role.serves_shop, role.unit == SHOP) {
            (true, true) => share,
            (true, false) => share * 0.9,
            (false, _) => 0.0,
        }
    }
}

/// The state of `host` at a moment of the week, from the `state` that it has when nothing is wrong.
pub fn shade(host: &Host, state: &mut State, t_ms: i64, now_ms: i64) {
    state.failed_requests = failed(host, t_ms, now_ms);
    for episode in EPISODES.iter().filter(|episode| episode.strikes(host)) {
        if let Some(version) = version(episode, t_ms, now_ms) {
            state.version = version;
        }
        let is_now = episode.is_at(t_ms, now_ms);
        let share = (t_ms - episode.at_ms(0.0, now_ms)) as f64 / (episode.minutes * 60_000.0);
        match episode.trouble {
            Trouble::Down if is_now => state.services[0].is_up = false,
            // It grew before anybody was told.
            Trouble::Full if (-3.0..1.0).contains(&share) => {
                state.filled = 0.72 * (1.0 + share / 3.0).min(1.0)
            }
            Trouble::Leak if (-4.0..1.0).contains(&share) => {
                state.leaked = 0.65 * (1.0 + share / 4.0).min(1.0)
            }
            _ => {}
        }
    }
}

/// The version before and during an episode; afterwards the one that mended it.
fn version(episode: &Episode, t_ms: i64, now_ms: i64) -> Option<&'static str> {
    let upgrade = episode.upgrade.as_ref()?;
    if t_ms < episode.at_ms(-upgrade.minutes_before, now_ms) {
        Some(upgrade.from)
    } else if t_ms < episode.at_ms(episode.minutes, now_ms) {
        Some(upgrade.to)
    } else {
        upgrade.mended_by
    }
}

/// Requests to `host` that failed up to a moment.
pub fn failed(host: &Host, t_ms: i64, now_ms: i64) -> f64 {
    let count = |episode: &Episode| {
        let share = episode.failing(host);
        let (from, to) = (
            episode.at_ms(0.0, now_ms),
            episode.at_ms(episode.minutes, now_ms).min(t_ms),
        );
        if share == 0.0 || to <= from {
            return 0.0;
        }
        share * host.requests.sum(from as f64 / 1000.0, to as f64 / 1000.0)
    };
    EPISODES.iter().map(count).sum()
}

/// How things stood for the services of `host`; `None` when its own was down.
pub fn mood(host: &Host, t_ms: i64, now_ms: i64) -> Option<Mood> {
    let mut mood = Mood::default();
    for episode in EPISODES.iter().filter(|episode| episode.is_at(t_ms, now_ms)) {
        mood.error_share = episode.failing(host);
        let is_here = episode.strikes(host);
        match episode.trouble {
            Trouble::Down if is_here => return None,
            Trouble::Down => mood.is_without_database = host.spec.role.unit == SHOP && mood.error_share > 0.0,
            Trouble::Full => mood.is_disk_full = is_here,
            Trouble::BadRelease if is_here => {
                mood.bad_release = episode.upgrade.as_ref().map(|upgrade| upgrade.to)
            }
            Trouble::Leak | Trouble::BadRelease => {}
        }
    }
    Some(mood)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::fault::Company;

    const NOW: i64 = 1_790_000_000_000;

    #[test]
    fn episodes_follow_each_other_and_strike_hosts_that_there_are() {
        let company = Company::new(NOW);
        let mut end = i64::MIN;
        for episode in EPISODES {
            let last = episode.deeds.last().map_or(0.0, Deed::minutes);
            let begin = episode.at_ms(-60.0, NOW);
            assert!(begin > end, "{episode:?}");
            end = episode.at_ms(episode.minutes.max(last), NOW);
            assert!(end < NOW);
            assert!(
                company.hosts.iter().any(|host| host.spec.name == episode.host),
                "{}",
                episode.host
            );
            assert!(
                episode.deeds.is_sorted_by(|a, b| a.minutes() < b.minutes()),
                "{episode:?}"
            );
        }
        assert_eq!(within(0).count(), 0);
        assert_eq!(within(7).count(), EPISODES.len());
    }

    #[test]
    fn the_week_ends_where_the_live_fleet_begins() {
        let company = Company::new(NOW);
        for host in &company.hosts {
            let live = host.lock().clone();
            let mut shaded = live.clone();
            shade(host, &mut shaded, NOW, NOW);
            assert_eq!(shaded.version, live.version, "{}", host.spec.name);
            assert!(shaded.services[0].is_up && shaded.filled == 0.0 && shaded.leaked == 0.0);
            assert!((shaded.failed_requests - live.failed_requests).abs() < 1e-6);
        }
    }

    #[test]
    fn a_bad_release_shows_on_every_host_of_the_shop() {
        let company = Company::new(NOW);
        let bad = EPISODES
            .iter()
            .find(|episode| episode.trouble == Trouble::BadRelease)
            .unwrap();
        let middle = bad.at_ms(bad.minutes / 2.0, NOW);
        for host in company.hosts.iter().filter(|host| host.spec.role.unit == SHOP) {
            let mut state = host.lock().clone();
            shade(host, &mut state, middle, NOW);
            assert_eq!(state.version, "2.13.3");
            assert_eq!(mood(host, middle, NOW).unwrap().bad_release, Some("2.13.3"));
            assert!(failed(host, middle, NOW) > failed(host, middle - 60_000, NOW));
        }
    }
}
