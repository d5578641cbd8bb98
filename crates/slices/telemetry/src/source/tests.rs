//! PromQL over the store gives what it gives over a plain list of the same samples: whether they lie in the head, in blocks,
//! across the border of the two, came late, or were read back from the log.

use std::collections::BTreeMap;

use promql::{Options, Series, Source, SourceError};
use tsdb::{Batch, Durability, Labels, Tsdb};

use super::StoreSource;

/// A repeatable stream of numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// The first value of each series and instant.
#[derive(Default)]
struct Plain(BTreeMap<Labels, BTreeMap<i64, f64>>);

impl Source for Plain {
    fn select(
        &self,
        matchers: &[promql::Matcher],
        start_ms: i64,
        end_ms: i64,
        _: usize,
    ) -> Result<Vec<Series>, SourceError> {
        let mut found = Vec::new();
        for (labels, samples) in &self.0 {
            let samples: Vec<_> = samples.range(start_ms..=end_ms).map(|(t, v)| (*t, *v)).collect();
            if !samples.is_empty() && matchers.iter().all(|m| m.matches(labels.value(&m.name))) {
                let labels = super::query_labels(labels);
                found.push(Series { labels, samples });
            }
        }
        Ok(found)
    }
}

fn options() -> tsdb::Options {
    tsdb::Options {
        block_ms: 60_000,
        max_block_ms: 240_000,
        out_of_order_ms: 3_600_000,
        wal_segment_bytes: 8192,
        durability: Durability::Async,
        ..tsdb::Options::default()
    }
}

const QUERIES: &[&str] = &[
    "c",
    "g offset 37s",
    "{__name__=~\"c|g\", zone=\"\"}",
    "c{zone!=\"\"}",
    "c{zone=~\"\"}",
    "c{zone!~\"\"}",
    "c{zone=~\"a|\"}",
    "c{zone!~\"a|\"}",
    "c{zone!~\"[a-b]\", host=~\".+\"}",
    "c{zone=~\".*\", host!~\"h1.*\"}",
    "rate(c[1m])",
    "increase(c[37s])",
    "irate(c[2m])",
    "delta(g[90s])",
    "resets(c[3m])",
    "changes(g[3m])",
    "sum by (host) (rate(c[2m]))",
    "max_over_time(g[5m])",
    "avg_over_time(g[61s])",
    "count_over_time(c[1m])",
    "quantile_over_time(0.9, g[4m])",
    "last_over_time(g[10m]) - g",
    "deriv(g[2m])",
    "max_over_time(rate(c[1m])[3m:10s])",
    "topk(2, c) or bottomk(1, g)",
    "absent(c{host=\"h9\"})",
    "c and on(host) g > 0",
    "count(c) by (zone)",
    "rate(c[1m] @ 300)",
    "timestamp(g)",
];

const MINUTE: i64 = 60_000;

/// Adds a stretch of time: counters that fall now and then, gauges that end with stale markers, holes, and late samples.
fn grow(dice: &mut Dice, db: &Tsdb, plain: &mut Plain, from: i64, until: i64) {
    let mut batch = Batch::new();
    for series in 0..8u64 {
        let is_counter = series < 5;
        let host = format!("h{}", series % 3);
        let mut labels = Labels::from_pairs([
            ("__name__", if is_counter { "c" } else { "g" }),
            ("host", host.as_str()),
        ]);
        if series % 4 != 0 {
            labels = labels.with("zone", ["a", "b", "ab"][(series % 3) as usize]);
        }
        if dice.below(6) == 0 {
            continue;
        }
        let mut value = dice.below(1000) as f64;
        let mut t = from + dice.below(9000) as i64;
        while t < until {
            value = match dice.below(40) {
                0 => 0.0,
                _ => value + dice.below(70) as f64 / 7.0,
            };
            let shown = match dice.below(60) {
                0 => tsdb::stale_nan(),
                1 if !is_counter => f64::NAN,
                _ => value,
            };
            // One in a few comes late by up to five minutes, into a window that may be on disk already.
            let at = if dice.below(8) == 0 {
                t - dice.below(300_000) as i64
            } else {
                t
            };
            let samples = plain.0.entry(labels.clone()).or_default();
            if at >= 0 && !samples.contains_key(&at) {
                samples.insert(at, shown);
                batch.push(&labels, at, shown);
            }
            t += 1000 + dice.below(9000) as i64;
            if dice.below(90) == 0 {
                t += 200_000;
            }
        }
    }
    let outcome = db.append(&batch).unwrap();
    assert_eq!(outcome.rejected_total(), 0);
}

/// Values by bits, so that a NaN equals itself.
fn shown(value: &promql::Value) -> String {
    format!("{value:?}")
}

fn compare(db: &Tsdb, plain: &Plain, dice: &mut Dice, until: i64) {
    let source = StoreSource::new(db, None);
    for text in QUERIES {
        let expr = promql::parse(text).unwrap();
        let options = Options::default();
        // On borders of windows as well as beside them.
        let around = [0, 1, -1, dice.below(60_000) as i64][dice.below(4) as usize];
        let at = dice.below((until / MINUTE) as u64 + 2) as i64 * MINUTE + around;
        let ours = promql::instant(&source, &expr, at, &options).unwrap();
        let theirs = promql::instant(plain, &expr, at, &options).unwrap();
        assert_eq!(shown(&ours.value), shown(&theirs.value), "{text} at {at}");
        let step = 777 + dice.below(50_000) as i64;
        let ours = promql::range(&source, &expr, at, at + 4 * MINUTE, step, &options).unwrap();
        let theirs = promql::range(plain, &expr, at, at + 4 * MINUTE, step, &options).unwrap();
        assert_eq!(
            shown(&ours.value),
            shown(&theirs.value),
            "{text} from {at} by {step}"
        );
    }
}

#[test]
fn the_store_answers_as_a_plain_list_does() {
    for seed in 1..=12 {
        let dir = tempfile::tempdir().unwrap();
        let mut dice = Dice(0x9e37_79b9 * seed);
        let mut db = Tsdb::open(dir.path(), options()).unwrap();
        let mut plain = Plain::default();
        let mut now = 0;
        for _ in 0..6 {
            let until = now + 30_000 + dice.below(120_000) as i64;
            db.set_clock(until);
            grow(&mut dice, &db, &mut plain, now, until);
            now = until;
            if dice.below(3) > 0 {
                db.maintain(now).unwrap();
            }
            if dice.below(3) == 0 {
                drop(db);
                db = Tsdb::open(dir.path(), options()).unwrap();
            }
            compare(&db, &plain, &mut dice, now);
        }
        assert!(db.notices().is_empty(), "seed {seed}");
    }
}
