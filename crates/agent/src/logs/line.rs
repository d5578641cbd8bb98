//! Reading what a line of a log file says of itself: time, program, process, severity. Pure.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use protocol::LogLine;

use super::MAX_LINE;

/// What is known without looking at the line.
pub(crate) struct Context<'a> {
    pub(crate) now_ms: i64,
    /// The line was written after this.
    pub(crate) after_ms: i64,
    pub(crate) zone: &'a TimeZone,
}

/// A clock that was set between the writing of a line and its reading explains as much.
const AHEAD_MS: i64 = 1000;

impl Context<'_> {
    /// Nobody writes a line in the future, or into a file that was read to its end since.
    fn may_be(&self, at_ms: i64) -> bool {
        (self.after_ms..=self.now_ms.saturating_add(AHEAD_MS)).contains(&at_ms)
    }
}

/// A line of a file; `cut` is how many bytes the reader has left out at its end.
pub(crate) fn parse(bytes: &[u8], cut: u64, context: &Context<'_>) -> LogLine {
    let text = String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(bytes));
    // A time that cannot be is not believed: the time of reading stands, and the text keeps what it says.
    let (at_ms, rest) = time(&text, context)
        .filter(|(at_ms, _)| context.may_be(*at_ms))
        .unwrap_or((context.now_ms, &text));
    let is_dated = rest.len() != text.len();
    let syslog = if is_dated { header(rest) } else { None };
    let (program, pid, message) = match syslog {
        Some((program, pid, message)) => (Some(program.to_owned()), pid, message),
        None => (None, None, text.as_ref()),
    };
    let mut message = message.to_owned();
    if cut > 0 {
        message.push_str(&format!(" … ({cut} bytes cut)"));
    }
    LogLine {
        at_ms,
        severity: severity(&message),
        program,
        pid,
        text: message,
    }
}

/// The time that a line begins with, and what follows.
fn time<'a>(text: &'a str, context: &Context<'_>) -> Option<(i64, &'a str)> {
    let text = text.strip_prefix('[').unwrap_or(text);
    iso(text, context).or_else(|| bsd(text, context))
}

/// `2026-11-21T14:36:01.5+01:00`, `2026-11-21 14:36:01,123`, `2026/11/21 14:36:01`.
fn iso<'a>(text: &'a str, context: &Context<'_>) -> Option<(i64, &'a str)> {
    let head = text.get(..19)?;
    let bytes = head.as_bytes();
    let is_date = matches!(bytes.get(4), Some(b'-' | b'/'))
        && bytes.get(13) == Some(&b':')
        && bytes.get(16) == Some(&b':');
    if !is_date || !head.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let date: DateTime = head.replace('/', "-").replacen(' ', "T", 1).parse().ok()?;
    let mut rest = text.get(19..)?;
    let mut millis = 0;
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let end = fraction
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(fraction.len());
        let digits = fraction.get(..end)?;
        millis = format!("{digits:0<3}").get(..3)?.parse().ok()?;
        rest = fraction.get(end..)?;
    }
    let (zone, rest) = offset(rest).map_or((None, rest), |(zone, rest)| (Some(zone), rest));
    let zone = zone.unwrap_or_else(|| context.zone.clone());
    let at = date.to_zoned(zone).ok()?.timestamp().as_millisecond() + millis;
    Some((at, rest.trim_start_matches(']')))
}

/// `Z`, `+01:00` or `+0100`.
fn offset(text: &str) -> Option<(TimeZone, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((TimeZone::UTC, rest));
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours: i32 = text.get(1..3)?.parse().ok()?;
    let (minutes, rest) = match text.get(3..)?.strip_prefix(':') {
        Some(rest) => (rest.get(..2)?, rest.get(2..)?),
        None => (text.get(3..5)?, text.get(5..)?),
    };
    let seconds = sign * (hours * 3600 + minutes.parse::<i32>().ok()? * 60);
    Some((
        TimeZone::fixed(jiff::tz::Offset::from_seconds(seconds).ok()?),
        rest,
    ))
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// `Nov  1 14:36:01`: no year and no zone, so the latest such moment that is not in the future.
fn bsd<'a>(text: &'a str, context: &Context<'_>) -> Option<(i64, &'a str)> {
    let month = i8::try_from(MONTHS.iter().position(|name| text.starts_with(name))?).ok()? + 1;
    let day: i8 = text.get(4..6)?.trim_start().parse().ok()?;
    let number = |from: usize| text.get(from..from + 2)?.parse::<i8>().ok();
    let separated = text.get(3..4)? == " " && text.get(9..10)? == ":" && text.get(12..13)? == ":";
    let (hour, minute, second) = (number(7)?, number(10)?, number(13)?);
    if !separated {
        return None;
    }
    let now = Timestamp::from_millisecond(context.now_ms)
        .ok()?
        .to_zoned(context.zone.clone());
    let at = |year: i16| {
        let date = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        Some(
            date.to_zoned(context.zone.clone())
                .ok()?
                .timestamp()
                .as_millisecond(),
        )
    };
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let this_year = at(now.year()).filter(|at| *at < context.now_ms + DAY_MS);
    Some((this_year.or_else(|| at(now.year() - 1))?, text.get(15..)?))
}

/// ` host program[pid]: message` after the time of a syslog line.
fn header(text: &str) -> Option<(&str, Option<u32>, &str)> {
    let (host, rest) = text.strip_prefix(' ')?.split_once(' ')?;
    // A level is not a host: the line only begins like one of syslog's.
    if host.is_empty() || host.contains([':', '[', '=']) || level(host).is_some() {
        return None;
    }
    let (tag, message) = rest.split_once(':')?;
    let (program, pid) = match tag.split_once('[') {
        Some((program, pid)) => (program, Some(pid.strip_suffix(']')?.parse().ok()?)),
        None => (tag, None),
    };
    let is_program = !program.is_empty() && program.len() <= 48 && !program.contains(char::is_whitespace);
    is_program.then_some((program, pid, message.strip_prefix(' ').unwrap_or(message)))
}

/// A level word near the front of a line: in brackets, after `level=`, in capitals, or with a colon.
fn severity(text: &str) -> Option<u8> {
    let mut end = text.len().min(120);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = text.get(..end)?;
    head.split(|c: char| c.is_whitespace() || matches!(c, '[' | ']' | '|' | '<' | '>' | '"' | '(' | ')'))
        .find_map(level)
}

fn level(word: &str) -> Option<u8> {
    let (word, marked) = match word.split_once('=') {
        Some(("level" | "lvl" | "severity" | "LEVEL", level)) => (level, true),
        Some(_) => return None,
        None => (word.trim_end_matches([':', ',']), word.ends_with(':')),
    };
    if word.is_empty() || !(marked || word.chars().all(|c| c.is_ascii_uppercase()) || LOWER.contains(&word)) {
        return None;
    }
    Some(match word.to_ascii_lowercase().as_str() {
        "emerg" | "emergency" | "panic" => 0,
        "alert" => 1,
        "crit" | "critical" | "fatal" => 2,
        "err" | "error" => 3,
        "warn" | "warning" => 4,
        "notice" => 5,
        "info" => 6,
        "debug" | "trace" => 7,
        _ => return None,
    })
}

/// Words that are levels in small letters too; others (`alert`, `panic`) are ordinary words in a message.
const LOWER: [&str; 9] = [
    "emerg", "crit", "error", "warn", "warning", "notice", "info", "debug", "trace",
];

/// Cuts text to the longest line that is kept, at a character.
pub(crate) fn cut(text: &mut String) -> u64 {
    if text.len() <= MAX_LINE {
        return 0;
    }
    let mut end = MAX_LINE;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let over = (text.len() - end) as u64;
    text.truncate(end);
    over
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T15:00:00Z.
    const NOW_MS: i64 = 1_795_273_200_000;

    fn read(text: &str) -> LogLine {
        parse(
            text.as_bytes(),
            0,
            &Context {
                now_ms: NOW_MS,
                after_ms: NOW_MS - 400 * 24 * 3600 * 1000,
                zone: &TimeZone::UTC,
            },
        )
    }

    #[test]
    fn syslog_lines_old_and_new() {
        let line = read("Nov 21 14:59:58 web1 sshd[812]: error: no such user");
        assert_eq!(
            (line.at_ms, line.program.as_deref(), line.pid),
            (NOW_MS - 2000, Some("sshd"), Some(812))
        );
        assert_eq!(
            (line.text.as_str(), line.severity),
            ("error: no such user", Some(3))
        );
        let line = read("2026-11-21T16:00:00.25+01:00 web1 kernel: oops");
        assert_eq!(
            (line.at_ms, line.program.as_deref(), line.pid),
            (NOW_MS + 250, Some("kernel"), None)
        );
        // December in November is last year's.
        let line = read("Dec  1 00:00:00 web1 cron[1]: x");
        assert!(line.at_ms < NOW_MS - 300 * 24 * 3600 * 1000);
    }

    #[test]
    fn a_time_that_cannot_be_is_not_believed_and_the_text_keeps_it() {
        for text in [
            "1970-01-01 00:00:07 eth0: link is down",
            "2099-05-05 10:00:00 battery of the clock is empty",
            "2026-11-21T15:00:02Z web1 kernel: two seconds ahead",
            "Nov 22 14:00:00 web1 kernel: tomorrow",
        ] {
            let line = read(text);
            assert_eq!((line.at_ms, line.text.as_str()), (NOW_MS, text));
        }
        assert_eq!(read("2026-11-21T15:00:01Z web1 kernel: x").at_ms, NOW_MS + 1000);
    }

    #[test]
    fn other_formats_keep_their_text() {
        let text = "2026/11/21 14:59:59 [error] 31#31: *1 open() failed";
        let line = read(text);
        assert_eq!(
            (line.at_ms, line.severity, line.text.as_str()),
            (NOW_MS - 1000, Some(3), text)
        );
        let line = read("2026-11-21 14:59:59,500 WARN worker: slow");
        assert_eq!(
            (line.at_ms, line.severity, line.program.as_deref()),
            (NOW_MS - 500, Some(4), None)
        );
        let line = read("level=info msg=\"an error happened\"");
        assert_eq!((line.at_ms, line.severity), (NOW_MS, Some(6)));
        assert_eq!(read("nothing special").severity, None);
        assert_eq!(read("").text, "");
    }

    #[test]
    fn bytes_that_are_no_text_are_repaired() {
        let line = parse(
            b"a\xff\xfeb\r",
            7,
            &Context {
                now_ms: 1,
                after_ms: 0,
                zone: &TimeZone::UTC,
            },
        );
        assert!(line.text.starts_with("a\u{fffd}") && line.text.ends_with("b … (7 bytes cut)"));
    }

    #[test]
    fn strange_lines_do_no_harm() {
        for text in [
            "Nov",
            "Nov 21",
            "Nov 99 99:99:99 x y: z",
            "9999-99-99T99:99:99",
            "2026-11-21T14:59:59+",
            "Ünïcödé ünïcödé ünïcödé",
        ] {
            let _ = read(text);
        }
    }
}
