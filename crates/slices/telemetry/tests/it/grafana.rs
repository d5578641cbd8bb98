//! What Grafana asks: at "Save & test", in its metric explorer and for a panel, by GET and by form.

use serde_json::{Value, json};

use crate::support::House;

const FORM: &str = "application/x-www-form-urlencoded";
const AT: i64 = 1_767_225_600;

async fn house() -> House {
    let house = House::both().await.remove(0);
    house.telemetry.tsdb().set_clock((AT + 60) * 1000);
    let mut batch = tsdb::Batch::new();
    let mut put = |name: &str, code: &str, at_ms: i64, value: f64| {
        let labels = [
            ("__name__", name),
            ("code", code),
            ("instance", "web-1"),
            ("job", "mainstay"),
        ];
        batch.push(&tsdb::Labels::from_pairs(labels), at_ms, value);
    };
    for step in 0..60 {
        let at_ms = (AT - 59 + step) * 1000;
        put("requests_total", "200", at_ms, step as f64);
        put("requests_total", "500", at_ms, 0.0);
        put("temperature", "", at_ms, 21.5);
    }
    house.telemetry.tsdb().append(&batch).unwrap();
    house
}

/// The same by GET and by POST, under both bases.
async fn ask(house: &House, path: &str, form: &str) -> (u16, Value) {
    let got = house.get(&format!("/api/v1/{path}?{form}")).await;
    for base in ["/api/v1", "/prometheus/api/v1"] {
        let posted = house.call("POST", &format!("{base}/{path}"), FORM, form).await;
        assert_eq!(posted, got, "POST {base}/{path} {form}");
        assert_eq!(house.get(&format!("{base}/{path}?{form}")).await, got);
    }
    got
}

#[tokio::test]
async fn save_and_test_passes() {
    let house = house().await;
    let (status, body) = ask(&house, "query", &format!("query=1%2B1&time={AT}")).await;
    assert_eq!(status, 200);
    assert_eq!(
        body["data"],
        json!({ "resultType": "scalar", "result": [AT, "2"] })
    );
    let (status, body) = house.get("/api/v1/status/buildinfo").await;
    assert_eq!((status, &body["status"]), (200, &json!("success")));
    assert!(body["data"]["version"].as_str().unwrap().starts_with("2."));
}

#[tokio::test]
async fn the_metric_explorer_finds_names_labels_and_values() {
    let house = house().await;
    let names = ["requests_total", "temperature"];
    let (_, body) = house
        .get("/api/v1/label/__name__/values?match[]=%7Binstance%3D%22web-1%22%7D")
        .await;
    assert_eq!(body["data"], json!(names));
    let (_, body) = ask(&house, "labels", "match[]=requests_total").await;
    assert_eq!(body["data"], json!(["__name__", "code", "instance", "job"]));
    let (_, body) = house.get("/api/v1/label/code/values?match[]=temperature").await;
    assert_eq!(body["data"], json!([]));
    let (_, body) = ask(&house, "series", "match[]=temperature&match[]=requests_total").await;
    assert_eq!(body["data"].as_array().unwrap().len(), 3);
    let (_, body) = house.get("/api/v1/metadata?metric=requests_total&limit=10").await;
    assert_eq!(body["data"]["requests_total"][0]["type"], "counter");
    let early = format!("match[]=temperature&start=0&end={}", AT - 7 * 86_400);
    assert_eq!(ask(&house, "series", &early).await.1["data"], json!([]));
    let everything = "start=-292273086-05-16T16:47:06Z&end=292277025-08-18T07:12:54.999999999Z";
    assert_eq!(
        ask(&house, "labels", everything).await.1["data"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    let (status, body) = ask(&house, "query_exemplars", "query=requests_total&start=1&end=2").await;
    assert_eq!((status, &body["data"]), (200, &json!([])));
    let (_, body) = ask(
        &house,
        "format_query",
        "query=sum%20by(code)%20(rate(requests_total%5B1m%5D))",
    )
    .await;
    assert_eq!(body["data"], "sum by (code) (rate(requests_total[1m]))");
}

#[tokio::test]
async fn limits_cut_and_say_so() {
    let house = house().await;
    for (path, form) in [
        ("series", "match[]=requests_total&limit=1".to_owned()),
        ("labels", "limit=1".to_owned()),
        ("query", format!("query=requests_total&time={AT}&limit=1")),
        (
            "query_range",
            format!("query=requests_total&start={AT}&end={AT}&step=1&limit=1"),
        ),
    ] {
        let (status, body) = ask(&house, path, &form).await;
        let list = body["data"].as_array().or(body["data"]["result"].as_array());
        assert_eq!((status, list.unwrap().len()), (200, 1), "{path}: {body}");
        assert_eq!(
            body["warnings"],
            json!(["results truncated due to limit"]),
            "{path}"
        );
        let (_, body) = ask(&house, path, &form.replace("limit=1", "limit=50")).await;
        assert_eq!(body.get("warnings"), None, "{path}");
    }
}

#[tokio::test]
async fn times_and_steps_come_in_every_form() {
    let house = house().await;
    let rfc = "2026-01-01T00:00:00Z";
    let offset = "2026-01-01T02:00:00%2B02:00";
    let forms = [
        AT.to_string(),
        format!("{AT}.000"),
        rfc.to_owned(),
        offset.to_owned(),
    ];
    for time in &forms {
        let (status, body) = ask(&house, "query", &format!("query=temperature&time={time}")).await;
        assert_eq!(
            (status, &body["data"]["result"][0]["value"]),
            (200, &json!([AT, "21.5"])),
            "{time}"
        );
    }
    for step in ["15", "15.0", "15s", "0m15s", "15000ms"] {
        let form = format!("query=temperature&start={}&end={rfc}&step={step}", AT - 30);
        let (status, body) = ask(&house, "query_range", &form).await;
        assert_eq!(
            (
                status,
                body["data"]["result"][0]["values"].as_array().unwrap().len()
            ),
            (200, 3),
            "{step}: {body}"
        );
    }
    let (_, body) = ask(
        &house,
        "query",
        &format!("query=temperature&time={AT}.5&timeout=5s"),
    )
    .await;
    assert_eq!(body["data"]["result"][0]["value"][0], json!(AT as f64 + 0.5));
}

#[tokio::test]
async fn faults_have_one_shape() {
    let house = house().await;
    for (path, form, kind) in [
        ("query", "", "bad_data"),
        ("query", "query=sum(", "bad_data"),
        ("query", "query=up&time=yesterday", "bad_data"),
        ("query", "query=up&timeout=long", "bad_data"),
        ("query", "query=up&limit=-1", "bad_data"),
        ("query_range", "query=up&start=10&end=5&step=1", "bad_data"),
        ("query_range", "query=up&start=1&end=5", "bad_data"),
        ("query_range", "query=up&start=1&end=5&step=0", "bad_data"),
        ("query_range", "query=up&start=1&end=5&step=-15s", "bad_data"),
        ("query_range", "query=up&start=0&end=100000000&step=1", "bad_data"),
        ("series", "", "bad_data"),
        ("series", "match[]=", "bad_data"),
        ("series", "match[]=up&start=5&end=1", "bad_data"),
        ("labels", "match[]=%7B", "bad_data"),
    ] {
        let (status, body) = ask(&house, path, form).await;
        assert_eq!(
            (status, &body["status"], &body["errorType"]),
            (400, &json!("error"), &json!(kind)),
            "{path} {form}"
        );
        assert!(body["error"].as_str().is_some_and(|text| !text.is_empty()));
    }
    let clash = format!("query=requests_total%20%2B%20on(instance)%20requests_total&time={AT}");
    let (status, body) = ask(&house, "query", &clash).await;
    assert_eq!((status, &body["errorType"]), (422, &json!("execution")), "{body}");
}
