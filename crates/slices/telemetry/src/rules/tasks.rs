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
        // Aligned to the interval, so that a restart does not shift the evaluations.
        let slot = now_ms.div_euclid(group.interval_ms);
        let is_due = last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(group.name.clone(), slot)
            != Some(slot);
        if is_due {
            engine.on_interval(group, now_ms);
        }
    }
}
