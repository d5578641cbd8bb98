//! Own metrics in the text format.

use std::sync::{Arc, Barrier, Mutex};

use kernel::metric::{Metrics, Reading};

#[test]
fn metrics_render_in_the_text_format() {
    let metrics = Metrics::default();
    metrics.counter("a_total", &[("path", "/x\"y")]).add(2);
    metrics.gauge("b", &[]).set(-3);
    metrics.histogram("c_seconds", &[("q", "1")]).observe(0.004);
    metrics.reader(|out| {
        out.push(Reading {
            name: "d_bytes",
            labels: vec![],
            value: 1.5,
        })
    });
    metrics.describe(&[("b", "What b is.")]);
    let text = metrics.render();
    for line in [
        "# HELP b What b is.",
        "# TYPE a_total counter",
        "a_total{path=\"/x\\\"y\"} 2",
        "b -3",
        "c_seconds_bucket{q=\"1\",le=\"0.0025\"} 0",
        "c_seconds_bucket{q=\"1\",le=\"0.005\"} 1",
        "c_seconds_bucket{q=\"1\",le=\"+Inf\"} 1",
        "c_seconds_count{q=\"1\"} 1",
        "d_bytes 1.5",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
    }
}

/// What is read for the text may wait for a lock whose holder counts something meanwhile.
#[test]
fn a_reader_that_waits_for_somebody_who_counts_holds_nobody_up() {
    let metrics = Metrics::default();
    let busy = Arc::new(Mutex::new(()));
    let (reading, read) = (busy.clone(), Arc::new(Barrier::new(2)));
    let arrived = read.clone();
    metrics.reader(move |_| {
        arrived.wait();
        drop(reading.lock().unwrap());
    });
    let held = busy.lock().unwrap();
    let (rendering, done) = (metrics.clone(), std::sync::mpsc::channel());
    let renderer = std::thread::spawn(move || rendering.render());
    read.wait();
    let counting = metrics.clone();
    std::thread::spawn(move || {
        counting.counter("c_total", &[]).add(1);
        done.0.send(()).unwrap();
    });
    done.1.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
    drop(held);
    renderer.join().unwrap();
}
