//! The time of a log line as it is stored: what it says, unless that cannot be.

/// A clock may be ahead by this much without being wrong.
const AHEAD_MS: i64 = 600_000;

/// What is known when a batch of lines comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// When the agent put the batch together, by its clock.
    pub batch_ms: i64,
    pub now_ms: i64,
    /// Lines from before this would be removed at once.
    pub oldest_ms: i64,
}

impl Frame {
    /// The time to store a line under, and whether it is another than the line says. A time before everything that is kept or far in
    /// the future is not believed: the line would be where nobody looks. Then the time of its reading stands; the text keeps what it says.
    pub(crate) fn time_of(self, line_ms: i64) -> (i64, bool) {
        let is_possible = |ms: i64| ms >= self.oldest_ms && ms <= self.now_ms.saturating_add(AHEAD_MS);
        if is_possible(line_ms) {
            return (line_ms, false);
        }
        let read_ms = if is_possible(self.batch_ms) {
            self.batch_ms.min(self.now_ms)
        } else {
            self.now_ms
        };
        (read_ms, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_times_give_way_to_the_time_of_reading() {
        const DAY: i64 = 86_400_000;
        let now = 20_000 * DAY;
        let frame = Frame {
            batch_ms: now - 5_000,
            now_ms: now,
            oldest_ms: now - 30 * DAY,
        };
        for (line_ms, expected, why) in [
            (now - 7_000, (now - 7_000, false), "as it says"),
            (
                now - 29 * DAY,
                (now - 29 * DAY, false),
                "an old line that is still kept",
            ),
            (
                now + 60_000,
                (now + 60_000, false),
                "a clock that is a little ahead",
            ),
            (7_000, (now - 5_000, true), "1970"),
            (47_000 * DAY, (now - 5_000, true), "2099"),
            (i64::MIN, (now - 5_000, true), "no time at all"),
            (now - 31 * DAY, (now - 5_000, true), "past what is kept"),
        ] {
            assert_eq!(frame.time_of(line_ms), expected, "{why}");
        }
        let lost = Frame { batch_ms: 3, ..frame };
        assert_eq!(lost.time_of(7_000), (now, true), "an agent without a clock");
        let ahead = Frame {
            batch_ms: now + 1_000,
            ..frame
        };
        assert_eq!(ahead.time_of(7_000), (now, true), "not ahead of the server");
    }
}
