//! The duties of the rules: evaluate each group on its interval, and hand waiting signals to alerting.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kernel::{AnyError, Task, Wake};

use super::engine::RuleEngine;
use super::pack;

/// How often it is looked whether a group is due.
const TICK: Duration = Duration::from_secs(1);
/// How often it is read which hosts are seen by whom.
const AUDIENCE_MS: i64 = 15_000;

/// How soon a tuning follows the tags and names of hosts.
const FOLLOW: Duration = Duration::from_secs(60);

pub(crate) fn tasks(engine: &RuleEngine) -> Vec<Task> {
    let follower = engine.clone();
    let flusher = engine.clone();
    let evaluator = engine.clone();
    let last: Arc<Mutex<HashMap<String, i64>>> = Arc::default();
    let read_in = Arc::new(AtomicI64::new(i64::MIN));
    vec![
        Task::new("telemetry.tunings", FOLLOW, Wake::default(), move |kernel| {
            let engine = follower.clone();
            async move { Ok(pack::follow_hosts(&kernel, &engine).await?) }
        }),
        Task::new("telemetry.rules", TICK, Wake::default(), move |kernel| {
            let (engine, last, read_in) = (evaluator.clone(), last.clone(), read_in.clone());
            async move {
                let now_ms = kernel.clock.now_ms();
                let slot = now_ms.div_euclid(AUDIENCE_MS);
                if read_in.swap(slot, Ordering::Relaxed) != slot {
                    engine.read_audience().await?;
                }
                let work = engine.clone();
                tokio::task::spawn_blocking(move || evaluate_due(&work, &last, now_ms)).await?;
                engine.flush().await
            }
        }),
        Task::new("telemetry.signals", TICK, Wake::default(), move |_| {
            let engine = flusher.clone();
            async move {
                engine
                    .flush()
                    .await
                    .map_err(|error| -> AnyError { format!("signals wait: {error}").into() })
            }
        }),
    ]
}

fn evaluate_due(engine: &RuleEngine, last: &Mutex<HashMap<String, i64>>, now_ms: i64) {
    let rules = engine.rules();
    for group in &rules.groups {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = take_turn(&mut last, &group.name, group.interval_ms, now_ms);
        drop(last);
        if is_due {
            engine.on_interval(group, now_ms);
        }
    }
}

/// Is the group due? Turns are aligned to the interval, so that a restart does not shift them. Any other slot than the last one is
/// a new turn, a lower one too: a clock that is set, by hours in either direction, delays a group by no more than its interval.
fn take_turn(last: &mut HashMap<String, i64>, group: &str, interval_ms: i64, now_ms: i64) -> bool {
    let slot = now_ms.div_euclid(interval_ms);
    last.insert(group.to_owned(), slot) != Some(slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_delays_no_group_by_more_than_its_interval() {
        const INTERVAL: i64 = 15_000;
        let mut last = HashMap::new();
        let (mut offset, mut waited) = (0, 0);
        for second in 0..600 {
            match second {
                120 => offset = 7_200_000,
                300 => offset = 0,
                420 => offset = -7_200_007,
                _ => {}
            }
            let now_ms = 1_700_000_000_000 + second * 1000 + offset;
            waited = if take_turn(&mut last, "g", INTERVAL, now_ms) {
                0
            } else {
                waited + 1000
            };
            assert!(waited < INTERVAL, "second {second}");
        }
    }
}
