//! Freezes and change windows: times, and the items that they cover.

use std::collections::BTreeMap;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use kernel::{Id, Prefix};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::Target;

impl Prefix for Freeze {
    const PREFIX: &'static str = "frz";
}
pub type FreezeId = Id<Freeze>;

impl Prefix for Window {
    const PREFIX: &'static str = "win";
}
pub type WindowId = Id<Window>;

/// A time in which covered items are left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Freeze {
    #[schema(value_type = String)]
    pub id: FreezeId,
    pub title: String,
    /// Covers items of this team; of all teams when absent.
    #[serde(default)]
    pub team: Option<String>,
    /// Covers items that carry all of these; all items when empty.
    pub tags: BTreeMap<String, String>,
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Timestamp,
    /// Low-risk remediation of an alert may go on.
    pub allows_remediation: bool,
    pub created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The hours of the week in which covered items may be changed at more than low risk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Window {
    #[schema(value_type = String)]
    pub id: WindowId,
    pub title: String,
    /// Covers items of this team; of all teams when absent.
    #[serde(default)]
    pub team: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// `mon` to `sun`: the day on which the window opens.
    pub days: Vec<String>,
    /// Minute of the day at which it opens.
    pub start_minute: u32,
    /// Minute of the day at which it closes; not after `start_minute` means the next day.
    pub end_minute: u32,
    /// IANA name, for instance `Europe/Berlin`.
    pub time_zone: String,
    pub created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

pub(crate) fn covers(team: Option<&str>, tags: &BTreeMap<String, String>, target: &Target) -> bool {
    team.is_none_or(|team| target.team.as_deref() == Some(team))
        && tags
            .iter()
            .all(|(name, value)| target.tags.get(name) == Some(value))
}

pub(crate) fn parse_day(text: &str) -> Option<Weekday> {
    Some(match text {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

impl Freeze {
    pub(crate) fn is_on(&self, now: Timestamp) -> bool {
        self.starts_at <= now && now < self.ends_at
    }
}

impl Window {
    /// Is `now` inside? Wall-clock time of the window's zone counts, so an hour that a clock change skips is not there.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        let Ok(zone) = TimeZone::get(&self.time_zone) else {
            return false;
        };
        let local = now.to_zoned(zone).datetime();
        let minute = u32::from(local.hour().unsigned_abs()) * 60 + u32::from(local.minute().unsigned_abs());
        let opens_on = |day: Weekday| self.days.iter().any(|d| parse_day(d) == Some(day));
        let today = local.date().weekday();
        let yesterday = today.previous();
        if self.start_minute < self.end_minute {
            return opens_on(today) && (self.start_minute..self.end_minute).contains(&minute);
        }
        (opens_on(today) && minute >= self.start_minute) || (opens_on(yesterday) && minute < self.end_minute)
    }

    /// When it opens next, looking two weeks ahead.
    pub(crate) fn next_opening(&self, now: Timestamp) -> Option<Timestamp> {
        let quarter = SignedDuration::from_mins(1);
        let mut at = now;
        for _ in 0..(14 * 24 * 60) {
            at = at.checked_add(quarter).ok()?;
            if self.is_open(at) {
                return Some(at);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[&str], start_minute: u32, end_minute: u32) -> Window {
        Window {
            id: WindowId::new(),
            title: "nightly".into(),
            team: None,
            tags: BTreeMap::new(),
            days: days.iter().map(ToString::to_string).collect(),
            start_minute,
            end_minute,
            time_zone: "Europe/Berlin".into(),
            created_by: "person:per_1".into(),
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_opens() {
        let night = window(&["sat"], 22 * 60, 2 * 60);
        // Berlin is two hours ahead of UTC in June.
        for (at, is_open) in [
            ("2026-06-06T19:59:00Z", false),
            ("2026-06-06T20:00:00Z", true),
            ("2026-06-06T23:59:00Z", true),
            ("2026-06-07T00:00:00Z", false),
            ("2026-06-07T21:00:00Z", false),
        ] {
            assert_eq!(night.is_open(at.parse().unwrap()), is_open, "{at}");
        }
        let next = night
            .next_opening("2026-06-07T00:00:00Z".parse().unwrap())
            .unwrap();
        assert_eq!(next.to_string(), "2026-06-13T20:00:00Z");
    }
}
