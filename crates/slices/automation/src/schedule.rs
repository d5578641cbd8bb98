//! When schedules are due. Cron with five fields, in the wall-clock time of a zone.

use croner::Cron;
use croner::parser::CronParser;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A start that was missed for longer than this (the server was down) is left out.
const CATCH_UP_US: i64 = 10 * 60 * 1_000_000;

pub(crate) fn parse(text: &str) -> Result<Cron, String> {
    let is_five = text.split_whitespace().count() == 5 || text.starts_with('@');
    if !is_five {
        return Err(format!(
            "\"{text}\" is no schedule; write five fields: minute hour day month weekday, for example 0 3 * * *"
        ));
    }
    CronParser::new()
        .parse(text)
        .map_err(|error| format!("\"{text}\" is no schedule: {error}"))
}

/// Whether a stored time was written by a clock that ran ahead: it must not silence a schedule until then. A small step back is
/// waited out, so that no start is made twice.
pub(crate) fn is_ahead(stored: Timestamp, now: Timestamp) -> bool {
    stored.as_microsecond() > now.as_microsecond().saturating_add(CATCH_UP_US)
}

/// The newest start in `(last, now]` that is still worth making.
pub(crate) fn due(cron: &str, time_zone: &str, last: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let (cron, zone) = (parse(cron).ok()?, TimeZone::get(time_zone).ok()?);
    let earliest = Timestamp::from_microsecond(now.as_microsecond() - CATCH_UP_US)
        .ok()?
        .max(last);
    let mut at = earliest.to_zoned(zone);
    let mut found = None;
    loop {
        let next = cron.find_next_occurrence(&at, false).ok()?;
        if next.timestamp() > now {
            return found;
        }
        found = Some(next.timestamp());
        at = next;
    }
}

/// When it comes next.
pub(crate) fn next(cron: &str, time_zone: &str, now: Timestamp) -> Option<Timestamp> {
    let (cron, zone) = (parse(cron).ok()?, TimeZone::get(time_zone).ok()?);
    cron.find_next_occurrence(&now.to_zoned(zone), false)
        .ok()
        .map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_due_once_and_old_misses_are_left_out() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let three = |last, now| due("0 3 * * *", "Europe/Berlin", at(last), at(now)).map(|t| t.to_string());
        assert_eq!(
            three("2026-06-01T00:59:00Z", "2026-06-01T01:00:30Z").as_deref(),
            Some("2026-06-01T01:00:00Z")
        );
        assert_eq!(three("2026-06-01T01:00:00Z", "2026-06-01T01:00:30Z"), None);
        assert_eq!(three("2026-06-01T00:00:00Z", "2026-06-01T05:00:00Z"), None);
        // Every minute, and a clock that jumps by hours: one start.
        let minutely = due(
            "* * * * *",
            "UTC",
            at("2026-06-01T00:00:00Z"),
            at("2026-06-01T09:00:10Z"),
        );
        assert_eq!(
            minutely.map(|t| t.to_string()).as_deref(),
            Some("2026-06-01T09:00:00Z")
        );
        assert!(parse("61 * * * *").is_err() && parse("* * *").is_err());
    }
}
