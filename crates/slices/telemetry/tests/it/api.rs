//! The Prometheus API, logs and rule files over HTTP.

use logs::{Labels, Record};
use serde_json::json;

use crate::support::House;

#[tokio::test]
async fn grafana_gets_what_it_asks_for() {
    for house in House::both().await {
        let now = house.now_ms() / 1000 * 1000;
        for step in 0..60 {
            let at = now - (59 - step) * 1000;
            house
                .send(
                    "web-1",
                    at,
                    &[("http_requests_total", &[("code", "200")], step as f64)],
                )
                .await;
        }
        let seconds = now / 1000;
        for base in ["/api/v1", "/prometheus/api/v1"] {
            let (status, body) = house
                .get(&format!("{base}/query?query=http_requests_total&time={seconds}"))
                .await;
            assert_eq!(
                (status, &body["data"]["result"][0]["value"][1]),
                (200, &json!("59")),
                "{body}"
            );
            assert_eq!(body["data"]["result"][0]["metric"]["instance"], "web-1");
        }
        let form = format!(
            "query=rate(http_requests_total[30s])&start={}&end={seconds}&step=10s",
            seconds - 20
        );
        let (status, body) = house
            .call(
                "POST",
                "/api/v1/query_range",
                "application/x-www-form-urlencoded",
                &form,
            )
            .await;
        assert_eq!(
            (
                status,
                body["data"]["result"][0]["values"].as_array().unwrap().len()
            ),
            (200, 3),
            "{body}"
        );
        assert_eq!(body["data"]["result"][0]["values"][0][1], "1");
        let (_, body) = house.get("/api/v1/label/code/values").await;
        assert_eq!(body["data"], json!(["200"]));
        let (_, body) = house.get("/api/v1/series?match[]=http_requests_total").await;
        assert_eq!(body["data"][0]["__name__"], "http_requests_total");
        let (_, body) = house.get("/api/v1/status/buildinfo").await;
        assert_eq!(body["status"], "success");
        let (_, body) = house.get("/prometheus/api/v1/rules").await;
        assert!(body["data"]["groups"].as_array().unwrap().len() > 3);
    }
}

#[tokio::test]
async fn errors_have_prometheus_shape_and_say_where() {
    let house = House::both().await.remove(0);
    for (uri, status, kind) in [
        ("/api/v1/query", 400, "bad_data"),
        ("/api/v1/query?query=sum(", 400, "bad_data"),
        ("/api/v1/query?query=up&time=yesterday", 400, "bad_data"),
        (
            "/api/v1/query_range?query=up&start=10&end=5&step=1",
            400,
            "bad_data",
        ),
        (
            "/api/v1/query_range?query=up&start=0&end=100000000&step=1",
            400,
            "bad_data",
        ),
        ("/api/v1/series", 400, "bad_data"),
    ] {
        let (found, body) = house.get(uri).await;
        assert_eq!(
            (found, body["errorType"].as_str()),
            (status, Some(kind)),
            "{uri}: {body}"
        );
        assert_eq!(body["status"], "error");
    }
}

#[tokio::test]
async fn log_lines_are_found_and_counted() {
    let house = House::both().await.remove(0);
    let now = house.now_ms();
    let line = |n: i64, severity, text: &str| Record {
        at_ms: now - n * 1000,
        labels: Labels::new([("host", "web-1"), ("program", "nginx")]),
        severity: Some(severity),
        text: text.into(),
    };
    let lines = vec![
        line(3, 6, "GET /"),
        line(2, 3, "upstream timed out"),
        line(1, 6, "GET /health"),
    ];
    house.telemetry.ingest_lines(lines).await.unwrap();
    let (status, body) = house.get("/api/v1/logs/query?q=upstream").await;
    assert_eq!(
        (status, body["items"].as_array().unwrap().len()),
        (200, 1),
        "{body}"
    );
    assert_eq!(body["items"][0]["labels"]["program"], "nginx");
    let (_, body) = house.get("/api/v1/logs/query?limit=2").await;
    let next = body["next"].as_str().unwrap().to_owned();
    assert_eq!(body["items"][0]["text"], "GET /health");
    let (_, body) = house
        .get(&format!("/api/v1/logs/query?limit=2&cursor={next}"))
        .await;
    assert_eq!(body["items"][0]["text"], "GET /");
    let (_, body) = house.get("/api/v1/logs/histogram").await;
    let count = |field: &str| -> u64 {
        body["buckets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|b| b[field].as_u64().unwrap())
            .sum()
    };
    assert_eq!((count("total"), count("errors")), (3, 1));
    let (status, body) = house.get("/api/v1/logs/query?q=(").await;
    assert_eq!(status, 422, "{body}");
}

#[tokio::test]
async fn rule_files_are_checked_and_put_in_force() {
    for house in House::both().await {
        let good = "groups:\n- name: g\n  rules:\n  - alert: TooHot\n    expr: temperature > 30\n";
        let body = json!({ "name": "rooms", "text": good }).to_string();
        let (status, created) = house
            .call("POST", "/api/v1/rule-files", "application/json", &body)
            .await;
        assert_eq!(status, 200, "{created}");
        house
            .send("room-1", house.now_ms(), &[("temperature", &[], 35.0)])
            .await;
        assert!(house.topics().await.contains(&"alert.fired".to_owned()));
        let bad =
            json!({ "name": "x", "text": "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: sum(\n" })
                .to_string();
        let (status, problem) = house
            .call("POST", "/api/v1/rule-files", "application/json", &bad)
            .await;
        assert_eq!(status, 422);
        assert!(
            problem["detail"].as_str().unwrap().contains("line 5"),
            "{problem}"
        );
        let uri = format!("/api/v1/rule-files/{}", created["id"].as_str().unwrap());
        let stale = json!({ "name": "rooms", "text": good, "version": 7 }).to_string();
        assert_eq!(house.call("PUT", &uri, "application/json", &stale).await.0, 412);
        assert_eq!(house.call("DELETE", &uri, "application/json", "").await.0, 204);
        house
            .telemetry
            .ingest_samples("room-1", Vec::new())
            .await
            .unwrap();
        house.send("room-1", house.now_ms(), &[("other", &[], 1.0)]).await;
        assert!(
            house.topics().await.contains(&"alert.resolved".to_owned()),
            "removing a rule ends its alerts"
        );
    }
}
