//! Durations such as `30s`, `5m`, `1h30m`.

use std::time::Duration;

/// Units from large to small, in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
/// Longer durations are typing mistakes.
const MAX_MS: u64 = 1_000 * 365 * 86_400_000;

/// Reads whole numbers with units that go from large to small, and plain `0`. The error says what to write.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("{text:?} is not a duration; write for example 30s, 5m or 1h30m");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut total, mut smallest) = (text, 0u64, 0);
    if rest.is_empty() {
        return Err(refuse());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
        let count: u64 = rest[..digits].parse().map_err(|_| refuse())?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let unit = UNITS
            .iter()
            .position(|(name, _)| *name == &rest[..letters])
            .ok_or_else(refuse)?;
        if unit < smallest {
            return Err(format!(
                "{text:?} is not a duration; its units must go from large to small"
            ));
        }
        smallest = unit + 1;
        let sum = count
            .checked_mul(UNITS[unit].1)
            .and_then(|ms| ms.checked_add(total));
        total = sum
            .filter(|ms| *ms <= MAX_MS)
            .ok_or_else(|| format!("{text:?} is longer than 1000 years"))?;
        rest = &rest[letters..];
    }
    Ok(Duration::from_millis(total))
}
