//! What cannot be read is said in the answer: a gap never passes for "nothing was there".

use std::path::Path;

use tsdb::{Labels, SeriesData};

use crate::support::House;

const HOUR: i64 = 3_600_000;

/// Makes a file unreadable, for root too.
fn spoil(folder: &Path, start: &str, file: &str) {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let found = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(start))
        .map(|entry| entry.path())
        .next()
        .unwrap();
    let path = if file.is_empty() { found } else { found.join(file) };
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
}

fn warnings(answer: &serde_json::Value) -> usize {
    answer["warnings"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn answers_about_samples_say_what_is_missing() {
    let house = House::both().await.remove(0);
    let now = house.now_ms();
    let past = now - 48 * HOUR;
    let labels = Labels::from_pairs([("__name__", "load"), ("instance", "web-1")]);
    let samples = vec![(past, 1.0), (past + 1000, 2.0)];
    house
        .telemetry
        .tsdb()
        .import(&[SeriesData { labels, samples }])
        .unwrap();
    spoil(&house.bed.dir().join("metrics/blocks"), "b", "index");
    let (from, to) = (past / 1000 - 10, now / 1000);
    for path in [
        format!("query?query=load&time={}", past / 1000 + 1),
        format!("query_range?query=load&start={from}&end={to}&step=600"),
        format!("series?match[]=load&start={from}&end={to}"),
        format!("labels?start={from}&end={to}"),
        format!("label/instance/values?start={from}&end={to}"),
    ] {
        let (status, answer) = house.get(&format!("/api/v1/{path}")).await;
        assert_eq!((status, warnings(&answer)), (200, 1), "{path}: {answer}");
    }
    let (_, answer) = house.get(&format!("/api/v1/query?query=load&time={to}")).await;
    assert_eq!(warnings(&answer), 0, "nothing is missing from what was not asked");
}

#[tokio::test]
async fn answers_about_lines_say_what_is_missing() {
    let house = House::both().await.remove(0);
    let now = house.now_ms();
    let record = logs::Record {
        at_ms: now - 1000,
        labels: logs::Labels::new([("host", "web-1")]),
        severity: Some(6),
        text: "a line".into(),
    };
    house.telemetry.ingest_lines(vec![record]).await.unwrap();
    for later in [0, 7 * HOUR] {
        house.telemetry.logs().maintain_aged(now + later, now).unwrap();
    }
    spoil(&house.bed.dir().join("logs"), "seg-", "");
    for path in ["query", "histogram"] {
        let (status, answer) = house.get(&format!("/api/v1/logs/{path}")).await;
        assert_eq!((status, warnings(&answer)), (200, 1), "{path}: {answer}");
    }
}
