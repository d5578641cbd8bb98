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
        // What stands if it panics.
        self.outcome = Err(CollectError::Panicked);
        self.outcome = self.collector.collect(&mut self.sink);
        self.took = begun.elapsed();
    }
}

struct Slot {
    name: &'static str,
    every: Every,
    /// On the steady clock: setting the wall clock changes nothing of when it runs.
    next: Option<Duration>,
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
            next: None,
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

    /// One round at `at_ms`, `steady` after the start. Takes at most `limit`.
    pub(crate) async fn tick(&mut self, at_ms: i64, steady: Duration, limit: Duration) -> Vec<Sample> {
        let mut due = Vec::new();
        for slot in &mut self.slots {
            if slot.next.is_some_and(|next| steady < next) {
                continue;
            }
            let Some(mut run) = slot.home.take() else {
                slot.success = Some(false);
                continue;
            };
            run.at_ms = at_ms;
            slot.next = match slot.every {
                Every::Tick => None,
                // A little early is better than a whole tick late.
                Every::Millis(period) => {
                    Some(steady + Duration::from_millis(period.saturating_sub(50).max(0).unsigned_abs()))
                }
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
            let samples = sampler
                .tick(
                    round * 1000,
                    Duration::from_secs(round.unsigned_abs()),
                    Duration::from_millis(600),
                )
                .await;
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

    /// Runs once a minute; panics where `panics` says so.
    struct Minutely {
        panics: bool,
    }
    impl Collector for Minutely {
        fn name(&self) -> &'static str {
            if self.panics { "panics" } else { "minutely" }
        }
        fn every(&self) -> Every {
            Every::Millis(60_000)
        }
        fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
            assert!(!self.panics, "a fault in a collector");
            out.put("minutely", &[], 1.0);
            Ok(())
        }
    }

    /// Values of a metric in a round, by the label `collector`.
    fn value(series: &Series, samples: &[Sample], name: &str, collector: Option<&str>) -> Option<f64> {
        let is_it = |sample: &&Sample| {
            let labels = series.labels(sample.0).unwrap();
            let has = |key: &str, text: &str| labels.iter().any(|(k, v)| k == key && v == text);
            has("__name__", name) && collector.is_none_or(|collector| has("collector", collector))
        };
        samples.iter().find(is_it).map(|sample| sample.2)
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_ends_no_collection() {
        let series = Series::default();
        let mut sampler = Sampler::new(vec![Box::new(Minutely { panics: false })], &series);
        let limit = Duration::from_secs(5);
        let noon = 1_800_000_000_000;
        for (wall_ms, steady_s, runs) in [
            (noon, 0, true),
            (noon + 30_000, 30, false),
            // Set back by two hours: it runs when its minute is over all the same.
            (noon - 7_200_000 + 60_000, 60, true),
            // Set ahead: not before.
            (noon + 7_200_000, 90, false),
            (noon + 7_230_000, 120, true),
        ] {
            let samples = sampler.tick(wall_ms, Duration::from_secs(steady_s), limit).await;
            assert_eq!(
                value(&series, &samples, "minutely", None).is_some(),
                runs,
                "{steady_s} s"
            );
        }
    }

    #[tokio::test]
    async fn a_collector_that_panics_has_failed() {
        let series = Series::default();
        let mut sampler = Sampler::new(vec![Box::new(Minutely { panics: true }), Box::new(Fine)], &series);
        let samples = sampler.tick(0, Duration::ZERO, Duration::from_secs(5)).await;
        let success = |collector| {
            value(
                &series,
                &samples,
                "node_scrape_collector_success",
                Some(collector),
            )
        };
        assert_eq!((success("panics"), success("fine")), (Some(0.0), Some(1.0)));
    }
}
