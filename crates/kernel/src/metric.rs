//! The program's own metrics, in the text format that every scraper reads.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

type Key = (&'static str, String);

/// A registry. Cheap to clone; a metric exists from its first use.
#[derive(Clone, Default)]
pub struct Metrics {
    inner: Arc<Mutex<Registry>>,
}

#[derive(Default)]
struct Registry {
    counters: BTreeMap<Key, Arc<AtomicU64>>,
    gauges: BTreeMap<Key, Arc<AtomicI64>>,
    histograms: BTreeMap<Key, Arc<Buckets>>,
    readers: Vec<Reader>,
    help: BTreeMap<&'static str, &'static str>,
}

type Reader = Arc<dyn Fn(&mut Vec<Reading>) + Send + Sync>;

/// A value that is read when somebody asks.
pub struct Reading {
    pub name: &'static str,
    pub labels: Vec<(&'static str, String)>,
    pub value: f64,
}

/// Most label sets that one registry holds; more are counted together, so that labels from outside cannot fill the memory.
const MAX_SERIES: usize = 20_000;

const BOUNDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

#[derive(Default)]
struct Buckets {
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum_micros: AtomicU64,
}

pub struct Counter(Arc<AtomicU64>);
pub struct Gauge(Arc<AtomicI64>);
pub struct Histogram(Arc<Buckets>);

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
}

impl Gauge {
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn add(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

impl Histogram {
    pub fn observe(&self, seconds: f64) {
        let bucket = BOUNDS
            .iter()
            .position(|bound| seconds <= *bound)
            .unwrap_or(BOUNDS.len());
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.0
            .sum_micros
            .fetch_add((seconds * 1e6) as u64, Ordering::Relaxed);
    }
}

impl Metrics {
    pub fn counter(&self, name: &'static str, labels: &[(&str, &str)]) -> Counter {
        Counter(self.entry(name, labels, |registry| &mut registry.counters))
    }

    pub fn gauge(&self, name: &'static str, labels: &[(&str, &str)]) -> Gauge {
        Gauge(self.entry(name, labels, |registry| &mut registry.gauges))
    }

    pub fn histogram(&self, name: &'static str, labels: &[(&str, &str)]) -> Histogram {
        Histogram(self.entry(name, labels, |registry| &mut registry.histograms))
    }

    /// Registers values that are read when somebody asks.
    pub fn reader(&self, reader: impl Fn(&mut Vec<Reading>) + Send + Sync + 'static) {
        self.lock().readers.push(Arc::new(reader));
    }

    /// What metrics mean, in a line each: `(name, text)`.
    pub fn describe(&self, texts: &[(&'static str, &'static str)]) {
        self.lock().help.extend(texts.iter().copied());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry<T: Default>(
        &self,
        name: &'static str,
        labels: &[(&str, &str)],
        map: impl Fn(&mut Registry) -> &mut BTreeMap<Key, Arc<T>>,
    ) -> Arc<T> {
        let mut registry = self.lock();
        let map = map(&mut registry);
        let key = (name, label_text(labels.iter().map(|(n, v)| (*n, *v))));
        if !map.contains_key(&key) && map.len() >= MAX_SERIES {
            return map
                .entry((name, String::from("{overflow=\"true\"}")))
                .or_default()
                .clone();
        }
        map.entry(key).or_default().clone()
    }

    /// Everything, in the Prometheus text format.
    pub fn render(&self) -> String {
        // Invariant: readers run without the registry's lock. They wait for locks whose holders count things here, and for disks.
        let readers = self.lock().readers.clone();
        let mut readings = Vec::new();
        for reader in &readers {
            reader(&mut readings);
        }
        let registry = self.lock();
        let mut out = String::new();
        let mut last = "";
        for ((name, labels), value) in &registry.counters {
            head(&mut out, &registry.help, &mut last, name, "counter");
            let _ = writeln!(out, "{name}{labels} {}", value.load(Ordering::Relaxed));
        }
        for ((name, labels), value) in &registry.gauges {
            head(&mut out, &registry.help, &mut last, name, "gauge");
            let _ = writeln!(out, "{name}{labels} {}", value.load(Ordering::Relaxed));
        }
        for ((name, labels), buckets) in &registry.histograms {
            head(&mut out, &registry.help, &mut last, name, "histogram");
            render_histogram(&mut out, name, labels, buckets);
        }
        readings.sort_by(|a, b| a.name.cmp(b.name));
        for reading in readings {
            let kind = if reading.name.ends_with("_total") {
                "counter"
            } else {
                "gauge"
            };
            head(&mut out, &registry.help, &mut last, reading.name, kind);
            let labels = label_text(reading.labels.iter().map(|(n, v)| (*n, v.as_str())));
            let _ = writeln!(out, "{}{labels} {}", reading.name, reading.value);
        }
        out
    }
}

fn head(
    out: &mut String,
    help: &BTreeMap<&'static str, &'static str>,
    last: &mut &'static str,
    name: &'static str,
    kind: &str,
) {
    if *last != name {
        *last = name;
        if let Some(text) = help.get(name) {
            let _ = writeln!(out, "# HELP {name} {text}");
        }
        let _ = writeln!(out, "# TYPE {name} {kind}");
    }
}

fn render_histogram(out: &mut String, name: &str, labels: &str, buckets: &Buckets) {
    let inner = labels.trim_start_matches('{').trim_end_matches('}');
    let comma = if inner.is_empty() { "" } else { "," };
    let mut total = 0;
    for (index, count) in buckets.counts.iter().enumerate() {
        total += count.load(Ordering::Relaxed);
        let bound = BOUNDS
            .get(index)
            .map_or_else(|| "+Inf".to_owned(), ToString::to_string);
        let _ = writeln!(out, "{name}_bucket{{{inner}{comma}le=\"{bound}\"}} {total}");
    }
    let sum = buckets.sum_micros.load(Ordering::Relaxed) as f64 / 1e6;
    let _ = writeln!(out, "{name}_sum{labels} {sum}\n{name}_count{labels} {total}");
}

fn label_text<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in labels {
        out.push(if out.is_empty() { '{' } else { ',' });
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let _ = write!(out, "{name}=\"{value}\"");
    }
    if !out.is_empty() {
        out.push('}');
    }
    out
}
