//! Runs the collectors: each tick queues those that are due, waits for them up to the deadline, and takes what is there.
//! A collector that has not come back is reported as failed and is run again only when it has.

use std::time::{Duration, Instant};

use protocol::Sample;

use super::pool::{Job, Pool};
use super::series::Series;
use super::{CollectError, Collector, Every, Sink};

/// A collector that takes longer is given up for this tick and its thread is replaced.
const DEADLINE: Duration = Duration::from_millis(250);

/// One collector with its sink; travels to a worker and back.
struct Run {
    slot: usize,
    collector: Box<dyn Collector>,
    sink: Sink,
    at_ms: i64,
    took: Duration,
    outcome: Result<(), CollectError>,
}

impl Job for Run {
    fn run(&mut self) {
        let begun = Instant::now();
        self.outcome = self.collector.collect(&mut self.sink);
        self.took = begun.elapsed();
    }
}

struct Slot {
    name: &'static str,
    every: Every,
    next_ms: i64,
    home: Option<Run>,
    took: Duration,
    success: Option<bool>,
    complained: bool,
}

pub(crate) struct Sampler {
    pool: Pool<Run>,
    slots: Vec<Slot>,
    done: Vec<Run>,
    meta: Sink,
}

impl Sampler {
    pub(crate) fn new(collectors: Vec<Box<dyn Collector>>, series: &Series) -> Self {
        let slots = collectors.into_iter().enumerate().map(|(slot, collector)| Slot {
            name: collector.name(),
            every: collector.every(),
            next_ms: i64::MIN,
            home: Some(Run {
                slot,
                collector,
                sink: Sink::new(series.clone()),
                at_ms: 0,
                took: Duration::ZERO,
                outcome: Ok(()),
            }),
            took: Duration::ZERO,
            success: None,
            complained: false,
        });
        Self {
            pool: Pool::new("agent-collect"),
            slots: slots.collect(),
            done: Vec::new(),
            meta: Sink::new(series.clone()),
        }
    }

    /// One round at `at_ms`. Takes at most `limit`.
    pub(crate) async fn tick(&mut self, at_ms: i64, limit: Duration) -> Vec<Sample> {
        let mut due = Vec::new();
        for slot in &mut self.slots {
            if at_ms < slot.next_ms {
                continue;
            }
            let Some(mut run) = slot.home.take() else {
                slot.success = Some(false);
                continue;
            };
            run.at_ms = at_ms;
            slot.next_ms = match slot.every {
                Every::Tick => i64::MIN,
                // A little early is better than a whole tick late.
                Every::Millis(period) => at_ms + period - 50,
            };
            due.push(run);
        }
        self.pool.submit(due);
        self.pool.settle(limit, DEADLINE).await;
        self.pool.take_done(&mut self.done);
        let mut samples = Vec::with_capacity(512);
        for mut run in std::mem::take(&mut self.done) {
            if let Some(slot) = self.slots.get_mut(run.slot) {
                slot.note(&run);
                match run.outcome {
                    Ok(()) => run.sink.finish(run.at_ms, &mut samples),
                    Err(_) => run.sink.abandon(),
                }
                run.outcome = Ok(());
                slot.home = Some(run);
            }
        }
        self.report(at_ms, &mut samples);
        samples
    }

    fn report(&mut self, at_ms: i64, samples: &mut Vec<Sample>) {
        for slot in &mut self.slots {
            if slot.home.is_none() {
                slot.success = Some(false);
            }
            let Some(success) = slot.success else { continue };
            let labels = [("collector", slot.name)];
            self.meta.put(
                "node_scrape_collector_duration_seconds",
                &labels,
                slot.took.as_secs_f64(),
            );
            self.meta.put(
                "node_scrape_collector_success",
                &labels,
                f64::from(u8::from(success)),
            );
        }
        self.meta.finish(at_ms, samples);
    }
}

impl Slot {
    /// Keeps how a run went. A thing that the host does not have is not reported at all.
    fn note(&mut self, run: &Run) {
        self.took = run.took;
        self.success = match &run.outcome {
            Ok(()) => Some(true),
            Err(CollectError::Absent) => None,
            Err(_) => Some(false),
        };
        match &run.outcome {
            Ok(()) | Err(CollectError::Absent) => self.complained = false,
            Err(error) if !self.complained => {
                self.complained = true;
                tracing::warn!(collector = self.name, %error, "a collector failed");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fine;
    impl Collector for Fine {
        fn name(&self) -> &'static str {
            "fine"
        }
        fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
            out.put("fine", &[], 1.0);
            Ok(())
        }
    }

    struct Hung(std::sync::mpsc::Receiver<()>);
    impl Collector for Hung {
        fn name(&self) -> &'static str {
            "hung"
        }
        fn collect(&mut self, _: &mut Sink) -> Result<(), CollectError> {
            let _ = self.0.recv();
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_hung_collector_is_reported_and_the_others_go_on() {
        let (_release, until) = std::sync::mpsc::channel();
        let series = Series::default();
        let mut sampler = Sampler::new(vec![Box::new(Hung(until)), Box::new(Fine)], &series);
        for round in 0..3 {
            let samples = sampler.tick(round * 1000, Duration::from_millis(600)).await;
            let named = |name: &str, label: &str| {
                samples.iter().find(|s| {
                    let labels = series.labels(s.0).unwrap();
                    labels.iter().any(|(_, v)| v == name) && labels.iter().any(|(_, v)| v == label)
                })
            };
            assert!(named("fine", "fine").is_some(), "round {round}");
            assert_eq!(
                named("node_scrape_collector_success", "hung").map(|s| s.2),
                Some(0.0),
                "round {round}"
            );
        }
    }
}
