//! A batch that comes again after a crash between the intake and the noting of its number changes nothing.

use fleet::{HostRef, Intake};
use protocol::{Batch, Body, Gap, LogLine, LogSource, Sample, SeriesDef};

use crate::support::House;

fn host() -> HostRef {
    HostRef {
        agent_id: "agt_1".into(),
        item_id: "itm_1".into(),
        name: "web-1".into(),
    }
}

fn batch(house: &House, seq: u64) -> Batch {
    let at_ms = house.now_ms() / 1000 * 1000 + seq as i64;
    let logs = |name: &str, text: String| Body::Logs {
        source: LogSource {
            kind: "journal".into(),
            name: name.into(),
        },
        lines: vec![LogLine {
            at_ms,
            severity: Some(4),
            program: None,
            pid: None,
            text,
        }],
    };
    let define = vec![SeriesDef {
        id: 1,
        labels: vec![("__name__".into(), "node_load1".into())],
    }];
    let gap = Gap {
        from_ms: 1,
        to_ms: 2,
        batches: 3,
        samples: 0,
        lines: 0,
        reason: "the spool was full".into(),
    };
    Batch {
        seq,
        at_ms,
        spooled: false,
        body: vec![
            Body::Metrics {
                epoch: 1,
                define,
                samples: vec![Sample(1, at_ms, 0.5)],
            },
            logs("nginx", format!("request {seq}")),
            logs("cron", format!("job {seq}")),
            Body::Gap(gap),
        ],
    }
}

impl House {
    async fn lines(&self) -> Vec<String> {
        let query = logs::Query::new(i64::MIN, i64::MAX);
        let page = self.telemetry.logs().query(&query).unwrap();
        let mut texts: Vec<String> = page.records.into_iter().map(|found| found.record.text).collect();
        texts.sort();
        texts
    }

    async fn gaps(&self) -> usize {
        self.topics()
            .await
            .iter()
            .filter(|topic| *topic == "telemetry.gap")
            .count()
    }
}

#[tokio::test]
async fn lines_and_gaps_are_stored_once_over_a_crash_after_the_intake() {
    for house in House::both().await {
        let first = batch(&house, 1);
        let second = batch(&house, 2);
        house.telemetry.take(&host(), 1, &first).await.unwrap();
        house.telemetry.take(&host(), 1, &second).await.unwrap();
        // The server dies here: the numbers of the batches reach no database, so the agent sends both again.
        let house = house.restarted().await;
        house.telemetry.take(&host(), 2, &first).await.unwrap();
        house.telemetry.take(&host(), 2, &second).await.unwrap();
        house.telemetry.take(&host(), 2, &second).await.unwrap();
        assert_eq!(house.lines().await, ["job 1", "job 2", "request 1", "request 2"]);
        assert_eq!(house.gaps().await, 2);
        let third = batch(&house, 3);
        house.telemetry.take(&host(), 2, &third).await.unwrap();
        assert_eq!((house.lines().await.len(), house.gaps().await), (6, 3));
        let other = HostRef {
            agent_id: "agt_2".into(),
            ..host()
        };
        house.telemetry.take(&other, 3, &first).await.unwrap();
        assert_eq!(
            house.lines().await.len(),
            8,
            "another agent has numbers of its own"
        );
    }
}
