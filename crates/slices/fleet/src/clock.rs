//! How far a host's clock is from the server's, and times of its observations as the server would have said them.
//!
//! An agent says its clock with the greeting and with every pong. A clock that is off by more than [`TOLERANCE_MS`] is not believed:
//! every time that the agent sends is moved by the offset. Without that, what a clock that is ahead says is refused as too new,
//! and no alert of the host could ever fire.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use protocol::{Batch, Body};

/// Clocks that are this near are left alone.
pub const TOLERANCE_MS: i64 = 5_000;
/// The correction changes when it would be wrong by more than this.
const STEP_MS: i64 = 2_000;
/// A pong that came later than this after its ping says too little.
const MOST_DOUBT: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub struct HostClock {
    offset_ms: Option<i64>,
    shift_ms: i64,
    ping: Option<(u64, Instant)>,
    nonce: u64,
}

impl HostClock {
    /// The host's time less the server's; `None` when the agent has not said it.
    pub fn offset_ms(&self) -> Option<i64> {
        self.offset_ms
    }

    /// What is to be taken off the times that the agent sends.
    pub fn shift_ms(&self) -> i64 {
        self.shift_ms
    }

    /// The number of a ping that goes out now.
    pub fn ping(&mut self, now: Instant) -> u64 {
        self.nonce += 1;
        self.ping = Some((self.nonce, now));
        self.nonce
    }

    /// An answer to a ping.
    pub fn pong(&mut self, nonce: u64, agent_ms: i64, server_ms: i64, now: Instant) {
        let Some((asked, at)) = self.ping.filter(|(asked, _)| *asked == nonce) else {
            return;
        };
        self.ping = None;
        let round_trip = now.duration_since(at);
        if asked == nonce && round_trip <= MOST_DOUBT {
            let half_ms = i64::try_from(round_trip.as_millis() / 2).unwrap_or(0);
            self.measured(agent_ms.saturating_add(half_ms), server_ms);
        }
    }

    /// Both clocks at one moment.
    pub fn measured(&mut self, agent_ms: i64, server_ms: i64) {
        let offset_ms = agent_ms.saturating_sub(server_ms);
        self.offset_ms = Some(offset_ms);
        let wanted = if offset_ms.saturating_abs() <= TOLERANCE_MS {
            0
        } else {
            // Whole seconds: a batch that comes again has the same times.
            offset_ms.saturating_add(500).div_euclid(1000) * 1000
        };
        if (wanted == 0) != (self.shift_ms == 0)
            || wanted.saturating_sub(self.shift_ms).saturating_abs() > STEP_MS
        {
            self.shift_ms = wanted;
        }
    }
}

/// The batch with the server's times. What was spooled while the clock was further ahead than now is not left in the future.
pub fn corrected(batch: &Batch, shift_ms: i64, now_ms: i64) -> Cow<'_, Batch> {
    let ahead_ms = batch.at_ms.saturating_sub(now_ms);
    let shift_ms = match shift_ms {
        shift if ahead_ms.saturating_sub(shift) > TOLERANCE_MS && batch.spooled => ahead_ms,
        shift => shift,
    };
    if shift_ms == 0 {
        return Cow::Borrowed(batch);
    }
    let mut batch = batch.clone();
    for body in &mut batch.body {
        shift(body, shift_ms);
    }
    Cow::Owned(batch)
}

fn shift(body: &mut Body, by_ms: i64) {
    let back = |at: &mut i64| *at = at.saturating_sub(by_ms);
    match body {
        Body::Metrics { samples, .. } => samples.iter_mut().for_each(|sample| back(&mut sample.1)),
        Body::Logs { lines, .. } => lines.iter_mut().for_each(|line| back(&mut line.at_ms)),
        Body::Units { changes } => changes.iter_mut().for_each(|change| back(&mut change.at_ms)),
        Body::Gap(gap) => {
            back(&mut gap.from_ms);
            back(&mut gap.to_ms);
        }
        Body::Facts(facts) => {
            back(&mut facts.boot_at_ms);
            let started = facts
                .services
                .iter_mut()
                .map(|service| &mut service.started_at_ms);
            let containers = facts
                .containers
                .iter_mut()
                .map(|container| &mut container.started_at_ms);
            started.chain(containers).flatten().for_each(back);
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::Sample;

    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn small_differences_are_left_alone_and_large_ones_corrected() {
        let mut clock = HostClock::default();
        assert_eq!((clock.offset_ms(), clock.shift_ms()), (None, 0));
        for (offset, shift) in [
            (3_000, 0),
            (2 * HOUR_MS + 400, 2 * HOUR_MS),
            (2 * HOUR_MS + 1_900, 2 * HOUR_MS),
            (2 * HOUR_MS + 3_000, 2 * HOUR_MS + 3_000),
            (-26 * HOUR_MS, -26 * HOUR_MS),
            (100, 0),
            (-1_700_000_000_000, -1_700_000_000_000),
        ] {
            clock.measured(1_800_000_000_000 + offset, 1_800_000_000_000);
            assert_eq!(
                (clock.offset_ms(), clock.shift_ms()),
                (Some(offset), shift),
                "{offset}"
            );
        }
    }

    #[test]
    fn a_late_pong_says_nothing() {
        let mut clock = HostClock::default();
        let now = Instant::now();
        let nonce = clock.ping(now);
        clock.pong(nonce + 7, HOUR_MS, 0, now);
        assert_eq!(clock.offset_ms(), None);
        clock.pong(nonce, HOUR_MS, 0, now + Duration::from_secs(5));
        assert_eq!(clock.offset_ms(), None);
        let nonce = clock.ping(now);
        clock.pong(nonce, HOUR_MS, 200, now + Duration::from_millis(400));
        assert_eq!(clock.offset_ms(), Some(HOUR_MS));
    }

    fn batch(at_ms: i64, spooled: bool) -> Batch {
        let samples = vec![Sample(1, at_ms, 1.0)];
        let body = vec![Body::Metrics {
            epoch: 0,
            define: vec![],
            samples,
        }];
        Batch {
            seq: 1,
            at_ms,
            spooled,
            body,
        }
    }

    fn time_of(batch: &Batch) -> i64 {
        match &batch.body[0] {
            Body::Metrics { samples, .. } => samples[0].1,
            _ => 0,
        }
    }

    #[test]
    fn times_are_the_servers() {
        let now = 1_800_000_000_000;
        let ahead = batch(now + 2 * HOUR_MS, false);
        assert_eq!(time_of(&corrected(&ahead, 2 * HOUR_MS, now)), now);
        assert_eq!(
            corrected(&ahead, 2 * HOUR_MS, now).at_ms,
            ahead.at_ms,
            "its number is the agent's"
        );
        let right = batch(now, false);
        assert!(matches!(corrected(&right, 0, now), Cow::Borrowed(_)));
        // The clock was ahead when it went to the spool, and is right now.
        assert_eq!(time_of(&corrected(&batch(now + HOUR_MS, true), 0, now)), now);
        assert_eq!(
            time_of(&corrected(&batch(now - HOUR_MS, true), 0, now)),
            now - HOUR_MS
        );
    }
}
