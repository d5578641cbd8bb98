//! A rule file in the manner of those that teams keep, from its loading to what its alerts say. The expectations were checked
//! against Prometheus' own rule tester.

use std::time::Duration;

use serde_json::{Value, json};
use tsdb::{Batch, Labels};

use crate::support::House;

const FILE: &str = include_str!("rules/field.yaml");

type Series = (&'static str, &'static [(&'static str, &'static str)], f64);

const WEB: (&str, &str) = ("instance", "web-1.example.org");
const DB: (&str, &str) = ("instance", "db-2.example.org");
const NODE: (&str, &str) = ("job", "node");
const DISK: [(&str, &str); 5] = [
    WEB,
    NODE,
    ("device", "/dev/sda1"),
    ("mountpoint", "/var/lib"),
    ("fstype", "ext4"),
];
const SHOP: (&str, &str) = ("service", "check out");

const SERIES: &[Series] = &[
    ("node_load1", &[WEB, NODE], 8.0),
    ("node_load1", &[DB, NODE], 3.0),
    ("node_cpu_count", &[WEB, NODE, ("cpu", "0")], 1.0),
    ("node_cpu_count", &[WEB, NODE, ("cpu", "1")], 1.0),
    ("node_cpu_count", &[DB, NODE, ("cpu", "0")], 1.0),
    ("node_filesystem_avail_bytes", &DISK, 12_345_678.0),
    ("node_filesystem_size_bytes", &DISK, 1e9),
    ("node_filesystem_readonly", &DISK, 0.0),
    ("node_memory_MemAvailable_bytes", &[WEB, NODE], 83_886_080.0),
    ("node_memory_MemTotal_bytes", &[WEB, NODE], 2_147_483_648.0),
    (
        "probe_ssl_earliest_cert_expiry",
        &[("instance", "https://shop.example"), ("job", "probe")],
        1_700_093_784.5,
    ),
    ("up", &[DB, NODE, ("zone", "b")], 0.0),
    ("up", &[WEB, NODE], 1.0),
    (
        "errors_total",
        &[SHOP, ("code", "503"), ("instance", "i")],
        12_345.0,
    ),
    ("errors_total", &[SHOP, ("code", "500"), ("instance", "i")], 7.0),
    ("requests_total", &[SHOP, ("instance", "i")], 1e6),
];

fn write(house: &House) {
    let mut batch = Batch::new();
    for (metric, labels, value) in SERIES {
        let pairs = labels.iter().copied().chain([("__name__", *metric)]);
        batch.push(&Labels::from_pairs(pairs), house.now_ms(), *value);
    }
    house.telemetry.tsdb().append(&batch).unwrap();
}

async fn load(house: &House, name: &str, text: &str) {
    let body = json!({ "name": name, "text": text }).to_string();
    let (status, answer) = house
        .call("POST", "/api/v1/rule-files", "application/json", &body)
        .await;
    assert_eq!(status, 200, "{answer}");
}

/// The rules of the file `name`, once all have been evaluated.
async fn evaluated(house: &House, name: &str) -> Vec<Value> {
    let uri = format!("/prometheus/api/v1/rules?file[]={name}");
    let mut rules = Vec::new();
    for _ in 0..200 {
        let (_, answer) = house.get(&uri).await;
        let groups = answer["data"]["groups"].as_array().unwrap();
        rules = groups
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap().clone())
            .collect();
        if rules.iter().all(|rule| rule["health"] != "unknown") {
            return rules;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not evaluated in ten seconds: {rules:?}");
}

async fn result(house: &House, query: &str) -> Vec<Value> {
    let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let uri = format!("/api/v1/query?query={query}");
    let (status, answer) = house.get(&uri).await;
    assert_eq!(status, 200, "{query}: {answer}");
    answer["data"]["result"].as_array().unwrap().clone()
}

fn alerts_of<'a>(rules: &'a [Value], name: &str) -> &'a Vec<Value> {
    let rule = rules.iter().find(|rule| rule["name"] == name).unwrap();
    rule["alerts"].as_array().unwrap()
}

fn expectations() -> Vec<(&'static str, Value, Value)> {
    let others = "web-1=4, db-2=3";
    vec![
        (
            "NodeFilesystemAlmostOutOfSpace",
            json!({ "severity": "critical", "team": "platform", "mountpoint": "/var/lib" }),
            json!({
                "summary": "Filesystem has less than 5% space left.",
                "description": "Filesystem on /dev/sda1, mounted on /var/lib, at web-1.example.org has only 1.23% available space left.",
                "runbook_url": "https://ops.example/mainstay/runbooks/#%2Fvar%2Flib",
            }),
        ),
        (
            "HostOutOfMemory",
            json!({ "severity": "critical", "instance": "web-1.example.org" }),
            json!({
                "summary": "Host out of memory (instance web-1.example.org)",
                "description": "Node memory is filling up (< 10% left)\n  VALUE = 3.90625\n  LABELS = map[instance:web-1.example.org job:node]",
                "free": "80MiB of 2GiB",
            }),
        ),
        (
            "HostHighCpuLoad",
            json!({ "severity": "warning", "instance": "db-2.example.org" }),
            json!({ "summary": "Load of Db Number 2 is 3 per CPU", "others": others }),
        ),
        (
            "HostHighCpuLoad",
            json!({ "team": "platform", "instance": "web-1.example.org" }),
            json!({ "summary": "Load of Web Number 1 is 4 per CPU", "others": others }),
        ),
        (
            "CertificateExpires",
            json!({ "severity": "critical", "team": "security", "job": "probe" }),
            json!({
                "summary": "https://shop.example: 1d 2h 3m 4s left",
                "until": "2023-11-16 00:16:24.5 +0000 UTC (2023-11-16 00:16:24.5 +0000 UTC)",
                "graph": "/graph?g0.expr=&g0.tab=0/graph?g0.expr=probe_ssl_earliest_cert_expiry+%3E+0&g0.tab=1",
            }),
        ),
        (
            "InstanceDown",
            json!({ "zone": "b" }),
            json!({ "title": "DATABASE DB-2.EXAMPLE.ORG down", "site": "north in b", "alive": "1 of 2" }),
        ),
        (
            "ErrorBudgetBurn",
            json!({ "service": "check out", "severity": "page", "window": "5m" }),
            json!({ "message": "Check Out: 1.235% errors\n- 500: 7\n- 503: 12.35k" }),
        ),
        (
            "TwoMany",
            json!({ "code": "7" }),
            json!({ "summary": "1 labels" }),
        ),
    ]
}

#[tokio::test]
async fn a_file_from_the_field_loads_and_its_alerts_say_what_prometheus_says() {
    let house = House::both().await.remove(0);
    write(&house);
    load(&house, "field", FILE).await;
    house.run("telemetry.rules");
    // The recorded series are there for the alerts of the round after.
    evaluated(&house, "field").await;
    let mut rules = Vec::new();
    for _ in 0..200 {
        rules = evaluated(&house, "field").await;
        if !alerts_of(&rules, "HostHighCpuLoad").is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (name, labels, annotations) in expectations() {
        let has = |alert: &&Value| {
            labels
                .as_object()
                .unwrap()
                .iter()
                .all(|(k, v)| alert["labels"][k] == *v)
        };
        let alerts = alerts_of(&rules, name);
        let alert = alerts.iter().find(has);
        let alert = alert.unwrap_or_else(|| panic!("{name} {labels}: {alerts:?}"));
        assert_eq!(alert["annotations"], annotations, "{name}");
        let state = if name.starts_with("NodeFilesystem") {
            "pending"
        } else {
            "firing"
        };
        assert_eq!(alert["state"], state, "{name}");
    }
    let watchdog = &alerts_of(&rules, "Watchdog")[0];
    assert_eq!(watchdog["annotations"]["summary"], "value 1, no instance");
    let broken = watchdog["annotations"]["broken"].as_str().unwrap();
    assert!(
        broken.starts_with("<error expanding template: ") && broken.contains("no elements"),
        "{broken}"
    );
    assert_eq!(
        (&watchdog["value"], &watchdog["state"]),
        (&json!("1e+00"), &json!("firing"))
    );
}

#[tokio::test]
async fn limits_hold_and_the_series_of_alerts_are_written() {
    let house = House::both().await.remove(0);
    write(&house);
    load(&house, "field", FILE).await;
    house.run("telemetry.rules");
    let rules = evaluated(&house, "field").await;
    let error_of = |name: &str| {
        let rule = rules.iter().find(|rule| rule["name"] == name).unwrap();
        (rule["health"].clone(), rule["lastError"].clone())
    };
    assert_eq!(
        error_of("Limited"),
        (json!("err"), json!("exceeded limit of 1 with 2 alerts"))
    );
    assert_eq!(
        error_of("limited:errors"),
        (json!("err"), json!("exceeded limit of 1 with 2 series"))
    );
    assert!(
        result(&house, "limited:errors or ALERTS{alertname=\"Limited\"}")
            .await
            .is_empty()
    );
    let ratio = result(&house, "instance_device:disk_used:ratio").await;
    assert_eq!(ratio[0]["metric"]["recorded_by"], "{{ stays as it is }}");
    let told = result(&house, "ALERTS{alertname=\"InstanceDown\",alertstate=\"firing\"}").await;
    assert_eq!((told.len(), &told[0]["value"][1]), (1, &json!("1")));
    assert_eq!(told[0]["metric"]["zone"], "b");
    let pending = result(&house, "ALERTS{alertstate=\"pending\",team=\"platform\"}").await;
    assert_eq!(pending.len(), 1, "{pending:?}");
    let since = result(
        &house,
        "time() - ALERTS_FOR_STATE{alertname=\"InstanceDown\"} < 60",
    )
    .await;
    assert_eq!(since.len(), 1, "since when it is active");
    // An alert upon alerts neither loops nor waits for a host.
    let meta = "groups:\n- name: g\n  interval: 1s\n  rules:\n  - alert: Many\n    expr: count(ALERTS{alertname!=\"Many\"}) > 3\n";
    load(&house, "meta", meta).await;
    let rules = evaluated(&house, "meta").await;
    assert_eq!(alerts_of(&rules, "Many").len(), 1);
}

#[tokio::test]
async fn an_offset_looks_back_and_records_there() {
    let house = House::both().await.remove(0);
    let text = "groups:\n- name: g\n  interval: 1s\n  query_offset: 30s\n  rules:\n  - record: offset:now\n    expr: vector(time())\n  \
        - alert: Always\n    expr: vector(time())\n    annotations: { asked: '{{ query \"time()\" | first | value | humanizeTimestamp }}' }\n";
    load(&house, "offset", text).await;
    house.run("telemetry.rules");
    let rules = evaluated(&house, "offset").await;
    let ago = result(&house, "time() - timestamp(offset:now) >= 29").await;
    assert_eq!(ago.len(), 1);
    assert_eq!(
        result(&house, "offset:now == timestamp(offset:now)").await.len(),
        1
    );
    assert_eq!(
        result(&house, "time() - timestamp(ALERTS{alertname=\"Always\"}) >= 29")
            .await
            .len(),
        1
    );
    let alert = &alerts_of(&rules, "Always")[0];
    let value: f64 = alert["value"].as_str().unwrap().parse().unwrap();
    let asked = alert["annotations"]["asked"].as_str().unwrap();
    let at: jiff::Timestamp = asked.replace(" +0000 UTC", "Z").parse().unwrap();
    assert!(
        (at.as_millisecond() as f64 / 1000.0 - value).abs() < 5.0,
        "{asked} {value}"
    );
    assert!(house.now_ms() as f64 / 1000.0 - value >= 29.0);
}

#[tokio::test]
async fn series_of_rules_end_with_them() {
    let house = House::both().await.remove(0);
    write(&house);
    load(&house, "field", FILE).await;
    house.run("telemetry.rules");
    evaluated(&house, "field").await;
    let both = "{__name__=~\"ALERTS|instance_device:disk_used:ratio\",alertname!=\"MemoryShort\"}";
    assert!(result(&house, both).await.len() > 5);
    let (_, files) = house.get("/api/v1/rule-files").await;
    let uri = format!("/api/v1/rule-files/{}", files[0]["id"].as_str().unwrap());
    assert_eq!(house.call("DELETE", &uri, "application/json", "").await.0, 204);
    let mut left = Vec::new();
    for _ in 0..200 {
        left = result(&house, both).await;
        if left.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("series are left: {left:?}");
}

#[tokio::test]
async fn rules_are_narrowed_as_prometheus_does() {
    let house = House::both().await.remove(0);
    load(&house, "field", FILE).await;
    let count = async |form: &str| {
        let (status, answer) = house
            .get(&format!("/prometheus/api/v1/rules?file[]=field&{form}"))
            .await;
        assert_eq!(status, 200, "{answer}");
        let groups = answer["data"]["groups"].as_array().unwrap().clone();
        let rules = groups
            .iter()
            .map(|group| group["rules"].as_array().unwrap().len());
        (groups.len(), rules.sum::<usize>())
    };
    assert_eq!(count("").await, (4, 13));
    assert_eq!(count("type=record").await, (2, 4));
    assert_eq!(count("type=alert&rule_group[]=services").await, (1, 4));
    assert_eq!(count("rule_name[]=Watchdog&rule_name[]=TwoMany").await, (1, 2));
    assert_eq!(count("match[]={severity=%22none%22}").await, (1, 1));
    assert_eq!(count("rule_group[]=none").await, (0, 0));
    let (_, answer) = house.get("/prometheus/api/v1/rules?rule_group[]=limited").await;
    let group = &answer["data"]["groups"][0];
    assert_eq!(
        (
            &group["name"],
            &group["file"],
            &group["limit"],
            &group["interval"]
        ),
        (&json!("limited"), &json!("field"), &json!(1), &json!(1.0))
    );
    assert_eq!(group["rules"][0]["lastEvaluation"], "0001-01-01T00:00:00Z");
    for form in ["type=x", "match[]={", "exclude_alerts=maybe"] {
        let (status, answer) = house.get(&format!("/prometheus/api/v1/rules?{form}")).await;
        assert_eq!(
            (status, &answer["errorType"]),
            (400, &json!("bad_data")),
            "{form}"
        );
    }
}

#[tokio::test]
async fn faults_of_a_file_are_told_at_saving_with_their_places() {
    let house = House::both().await.remove(0);
    let rule = |more: &str| format!("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    {more}\n");
    for (text, part) in [
        (
            rule("annotations: { a: 'x {{ $y }}' }"),
            "line 6, column 23: `a`: line 1, column 6 of the text: the variable $y",
        ),
        (rule("labels: { a: '{{ if }}' }"), "a value is missing in if"),
        (rule("labels: { __name__: x }"), "line 6, column 15"),
        (
            "groups:\n- name: g\n  source_tenants: [a]\n  rules: []\n".to_owned(),
            "line 3, column 3: unknown field \"source_tenants\"",
        ),
        ("groups:\n- name: g\n  limit: -1\n".to_owned(), "limit"),
        ("groups:\n- name: g\n  query_offset: soon\n".to_owned(), "line 3"),
    ] {
        let body = json!({ "name": "x", "text": text }).to_string();
        let (status, answer) = house
            .call("POST", "/api/v1/rule-files", "application/json", &body)
            .await;
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert!(status == 422 && detail.contains(part), "{text}: {answer}");
    }
}
