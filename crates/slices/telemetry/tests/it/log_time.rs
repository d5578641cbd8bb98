//! Log lines with a time that cannot be are found where somebody looks for them.

use fleet::{HostRef, Intake};
use protocol::{Batch, Body, LogLine, LogSource};

use crate::support::House;

#[tokio::test]
async fn lines_of_a_host_without_a_clock_are_found_now() {
    for house in House::both().await {
        let now = house.now_ms();
        let line = |at_ms: i64, text: &str| LogLine {
            at_ms,
            severity: Some(4),
            program: None,
            pid: None,
            text: text.into(),
        };
        let first = "1970-01-01 00:00:07 eth0: link is down";
        let second = "2099-05-05 10:00:00 battery of the clock is empty";
        let batch = Batch {
            seq: 1,
            at_ms: now - 1000,
            spooled: false,
            body: vec![Body::Logs {
                source: LogSource {
                    kind: "file".into(),
                    name: "/var/log/board.log".into(),
                },
                lines: vec![
                    line(7_000, first),
                    line(4_081_658_400_000, second),
                    line(now - 60_000, "an honest line"),
                ],
            }],
        };
        let host = HostRef {
            agent_id: "agt_1".into(),
            item_id: "itm_1".into(),
            name: "board-1".into(),
        };
        house.telemetry.take(&host, 1, &batch).await.unwrap();
        let (status, page) = house.get("/api/v1/logs/query?oldest_first=true").await;
        assert_eq!(status, 200);
        let texts: Vec<_> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["text"].as_str().unwrap())
            .collect();
        assert_eq!(
            texts,
            ["an honest line", first, second],
            "in the last hour, with their text as it was"
        );
        let metrics = house.bed.kernel().metrics.render();
        assert!(metrics.contains("mainstay_log_lines_retimed_total{host=\"board-1\"} 2"));
    }
}
