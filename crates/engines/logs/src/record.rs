//! One log line, its place in the order of all lines, and the names of severities.
use crate::labels::Labels;
use std::fmt;
use std::str::FromStr;

/// A log line as it comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it was said, milliseconds since the epoch.
    pub at_ms: i64,
    /// Who said it.
    pub labels: Labels,
    /// Syslog severity, 0 (emergency) to 7 (debug).
    pub severity: Option<u8>,
    /// The line, without its newline.
    pub text: String,
}

/// The place of a line: lines are ordered by time, then by the order of arrival. Stable for the life of the
/// line, over sealing and restarts, and so usable as a paging cursor. Its text form is `TIME-NUMBER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// Order of arrival in this store.
    pub seq: u64,
}

impl Position {
    pub(crate) fn new(at_ms: i64, seq: u64) -> Self {
        Position { at_ms, seq }
    }

    /// The smallest position after this one.
    pub(crate) fn successor(self) -> Self {
        match self.seq.checked_add(1) {
            Some(seq) => Position { seq, ..self },
            None => Position {
                at_ms: self.at_ms.saturating_add(1),
                seq: 0,
            },
        }
    }

    /// The largest position before this one.
    pub(crate) fn predecessor(self) -> Self {
        match self.seq.checked_sub(1) {
            Some(seq) => Position { seq, ..self },
            None => Position {
                at_ms: self.at_ms.saturating_sub(1),
                seq: u64::MAX,
            },
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at_ms, self.seq)
    }
}

impl FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.rsplit_once('-').and_then(|(at_ms, seq)| {
            let digits = seq.bytes().all(|byte| byte.is_ascii_digit());
            digits.then_some(Position {
                at_ms: at_ms.parse().ok()?,
                seq: seq.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| {
            format!("cursor \"{text}\" is not of the form TIME-NUMBER; take it from the last page")
        })
    }
}

/// A line with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it stands.
    pub position: Position,
    /// What it says.
    pub record: Record,
}

const SEVERITIES: [&str; 8] = [
    "emergency",
    "alert",
    "critical",
    "error",
    "warning",
    "notice",
    "info",
    "debug",
];

/// The name of a syslog severity, "unknown" above 7.
pub fn severity_name(number: u8) -> &'static str {
    SEVERITIES.get(usize::from(number)).copied().unwrap_or("unknown")
}

/// The syslog number of a severity, given as number, full name or the usual short name.
pub fn severity_number(name: &str) -> Option<u8> {
    let lower = name.to_ascii_lowercase();
    let full = match lower.as_str() {
        "emerg" | "panic" => "emergency",
        "crit" | "fatal" => "critical",
        "err" => "error",
        "warn" => "warning",
        "information" | "informational" => "info",
        "trace" => "debug",
        other => other,
    };
    let by_name = SEVERITIES.iter().position(|known| *known == full);
    by_name
        .or_else(|| lower.parse().ok().filter(|number| *number < 8))
        .map(|number| number as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_text_form() {
        for position in [
            Position::new(-5, 7),
            Position::new(i64::MIN, u64::MAX),
            Position::new(0, 0),
        ] {
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        for bad in ["", "5", "a-b", "5-", "5--1", "5-+1"] {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
    }

    #[test]
    fn severities_have_names_and_numbers() {
        assert_eq!(severity_number("WARN"), Some(4));
        assert_eq!(severity_number("err"), Some(3));
        assert_eq!(severity_number("7"), Some(7));
        assert_eq!(severity_number("8"), None);
        assert_eq!(severity_name(6), "info");
    }
}
