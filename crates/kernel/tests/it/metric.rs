//! Own metrics in the text format.

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
