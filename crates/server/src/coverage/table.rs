//! What the walks ask of every address, of things that belong to somebody else. A new address needs an entry here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::world::later;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It is about another owner's thing: not let through, whatever the role for a part.
    Refused,
    /// It may be answered; what belongs to others is not in it.
    Answered,
    /// It may fail in any way that shows nothing.
    Anything,
}

#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub body: Value,
    pub form: Option<String>,
    pub expect: Expect,
    /// Somebody who may see everything is shown the other owner's things.
    pub shows: bool,
    /// The answer repeats what was asked.
    pub echoes: bool,
}

type Ids = BTreeMap<&'static str, String>;

fn call(method: &str, path: String, expect: Expect) -> Call {
    Call {
        method: method.to_owned(),
        path,
        body: Value::Null,
        form: None,
        expect,
        shows: false,
        echoes: false,
    }
}

fn shown(path: impl Into<String>) -> Call {
    Call {
        shows: true,
        ..call("GET", path.into(), Expect::Answered)
    }
}

/// A list in which another owner's things are only told to some roles.
fn listed(path: impl Into<String>) -> Call {
    call("GET", path.into(), Expect::Answered)
}

fn with(method: &str, path: String, body: Value) -> Call {
    Call {
        body,
        ..call(method, path, Expect::Refused)
    }
}

/// One call for each id, in place of the first parameter of the path.
fn each(method: &str, path: &str, ids: &[&String], body: &Value, shows: bool) -> Vec<Call> {
    let one = |id: &&String| Call {
        shows: shows && method == "GET",
        ..with(method, fill(path, id), body.clone())
    };
    ids.iter().map(one).collect()
}

fn fill(path: &str, id: &str) -> String {
    let (start, rest) = path.split_once('{').unwrap_or((path, ""));
    let (_, rest) = rest.split_once('}').unwrap_or(("", ""));
    format!("{start}{id}{rest}")
}

/// The calls of an address; `None` when nobody has said what it shows and changes.
pub fn calls(method: &str, path: &str, ids: &Ids) -> Option<Vec<Call>> {
    let found = plain(method, path)
        .or_else(|| queries(method, path))
        .or_else(|| items(method, path, ids))
        .or_else(|| planned(method, path, ids))
        .or_else(|| work(method, path, ids))
        .or_else(|| people(method, path, ids))?;
    Some(found)
}

/// Addresses that are about nobody's things: health, files, signing in, one's own session, the language of queries.
fn plain(method: &str, path: &str) -> Option<Vec<Call>> {
    let is_plain = matches!(
        path,
        "/healthz"
            | "/metrics"
            | "/join.sh"
            | "/dist/mainstay"
            | "/dist/mainstay.sha256"
            | "/dist/mainstay-agent.service"
            | "/api/v1/openapi.json"
            | "/api/v1/address"
            | "/api/v1/session"
            | "/api/v1/session/password"
            | "/api/v1/setup"
    );
    let is_language = ["format_query", "parse_query", "status/buildinfo", "metadata"]
        .iter()
        .any(|end| path.ends_with(end));
    if is_plain {
        return Some(Vec::new());
    }
    is_language.then(|| vec![call(method, format!("{path}?query=load"), Expect::Anything)])
}

/// Samples, lines and the timeline.
fn queries(method: &str, path: &str) -> Option<Vec<Call>> {
    let (base, name) = match path.strip_prefix("/prometheus") {
        Some(rest) => ("/prometheus/api/v1", rest.strip_prefix("/api/v1/")?),
        None => ("/api/v1", path.strip_prefix("/api/v1/")?),
    };
    let query: Vec<&str> = match name {
        "query" => vec!["query=load", "query=count_values(%22v%22,load)by(instance,kind)"],
        "query_range" => vec!["query=load&start=-1&end=0&step=60"],
        "query_exemplars" => vec!["query=load&start=0&end=4000000000"],
        "series" => vec!["match[]=load", "match[]={__name__=~%22.%2B%22}"],
        "labels" => vec!["", "match[]=load"],
        "label/{name}/values" => vec!["", "match[]=load"],
        "metrics/last" | "metrics/live" => vec!["selector=load"],
        "alerts" if base.starts_with("/prometheus") => vec![""],
        "rules" if base.starts_with("/prometheus") => vec![""],
        "logs/query" | "logs/histogram" | "logs/labels" => vec![""],
        "logs/labels/{name}/values" => vec![""],
        "logs/tail" => vec![""],
        "events" => vec!["limit=500"],
        "events/stream" => vec!["after=0"],
        "alerts/summary" | "incidents/stats" => vec![""],
        _ => return None,
    };
    let names = match name {
        "label/{name}/values" => vec!["instance", "kind"],
        "logs/labels/{name}/values" => vec!["host", "program"],
        _ => vec![""],
    };
    let is_shown = matches!(
        name,
        "query"
            | "series"
            | "label/{name}/values"
            | "logs/query"
            | "logs/labels/{name}/values"
            | "events"
            | "events/stream"
    );
    let mut all = Vec::new();
    for name in names {
        for query in &query {
            let path = fill(path, name);
            all.push(match method {
                "POST" => Call {
                    form: Some((*query).to_owned()),
                    ..call("POST", path, Expect::Anything)
                },
                _ => Call {
                    shows: is_shown && !path.contains("/instance/") || path.ends_with("/kind/values"),
                    ..call("GET", format!("{path}?{query}"), Expect::Anything)
                },
            });
        }
    }
    Some(all)
}

fn items(method: &str, path: &str, ids: &Ids) -> Option<Vec<Call>> {
    let every: Vec<&String> = ["host", "service", "parentless", "retired", "moved"]
        .iter()
        .map(|word| &ids[word])
        .collect();
    Some(match (method, path) {
        ("GET", "/api/v1/items" | "/api/v1/map") => vec![shown(path)],
        ("POST", "/api/v1/items") => [&ids["host"], &ids["parentless"]]
            .into_iter()
            .map(|parent| json!({ "kind": "service", "name": "new", "parent": parent, "tags": { "grp": "x" } }))
            .chain([
                json!({ "kind": "service", "name": "new", "tags": { "grp": "y" } }),
                json!({ "kind": "service", "name": "new" }),
            ])
            .map(|body| with(method, path.to_owned(), body))
            .collect(),
        ("GET", "/api/v1/items/{id}/history"
            | "/api/v1/items/{id}/listeners" | "/api/v1/items/{id}/packages" | "/api/v1/items/{id}/impact" | "/api/v1/items/{id}/relations") => {
            each(method, path, &every, &Value::Null, false)
        }
        ("GET", "/api/v1/items/{id}") => each(method, path, &every, &Value::Null, true),
        ("PATCH", "/api/v1/items/{id}") => [json!({ "name": "taken" }), json!({ "tags": { "grp": "x" } })]
            .iter()
            .flat_map(|body| each(method, path, &every, body, false))
            .collect(),
        ("DELETE", "/api/v1/items/{id}") => each(method, path, &every, &Value::Null, false),
        ("POST", "/api/v1/items/{id}/relations") => {
            let mut all = each(method, path, &every, &json!({ "kind": "depends_on", "to": ids["own"] }), false);
            all.push(with(method, fill(path, &ids["own"]), json!({ "kind": "depends_on", "to": ids["host"] })));
            all
        }
        ("DELETE", "/api/v1/items/{id}/relations/{kind}/{to}") => {
            vec![with(method, format!("/api/v1/items/{}/relations/depends_on/{}", ids["service"], ids["parentless"]), Value::Null)]
        }
        ("GET", "/api/v1/agents" | "/api/v1/join-tokens" | "/api/v1/join-requests") => vec![shown(path)],
        ("POST", path) if path.starts_with("/api/v1/join-requests/{id}/") => {
            each(method, path, &[&ids["join_request"]], &Value::Null, false)
        }
        ("POST", "/api/v1/join-tokens") => [json!({ "tags": { "grp": "y" } }), json!({}), json!({ "team": ids["team"] })]
            .into_iter()
            .map(|body| with(method, path.to_owned(), body))
            .collect(),
        ("DELETE", "/api/v1/join-tokens/{id}") => each(method, path, &[&ids["join_token"]], &Value::Null, false),
        ("GET" | "DELETE" | "PUT", path) if path.starts_with("/api/v1/agents/{id}") => {
            each(method, path, &[&ids["agent"]], &json!({}), path == "/api/v1/agents/{id}")
        }
        ("GET" | "POST", path) if path.starts_with("/api/v1/commands/{id}") => {
            each(method, path, &[&ids["command"]], &Value::Null, path == "/api/v1/commands/{id}")
        }
        _ => return None,
    })
}

/// Alerts, silences, windows, freezes, rules and channels.
fn planned(method: &str, path: &str, ids: &Ids) -> Option<Vec<Call>> {
    let of = |word: &str| vec![&ids[word]];
    let (start, end) = (later(30), later(60));
    let body = |body: Value| vec![with(method, path.to_owned(), body)];
    let rules = "groups:\n  - name: g\n    rules:\n      - alert: New\n        expr: load > 0\n";
    Some(match (method, path) {
        (
            "GET",
            "/api/v1/alerts"
            | "/api/v1/silences"
            | "/api/v1/maintenance"
            | "/api/v1/freezes"
            | "/api/v1/change-windows",
        ) => vec![shown(path)],
        ("GET", "/api/v1/alerts/{id}") => each(method, path, &of("alert"), &Value::Null, true),
        // It holds within the reach of who makes it, whatever its matchers say.
        ("POST", "/api/v1/silences") => Vec::new(),
        ("POST", "/api/v1/silences/preview") => vec![Call {
            body: json!({ "matchers": [{ "name": "alertname", "op": "=", "value": "TestAlert" }] }),
            ..call(method, path.to_owned(), Expect::Answered)
        }],
        ("GET" | "DELETE", "/api/v1/silences/{id}") => each(method, path, &of("silence"), &Value::Null, true),
        ("PATCH", "/api/v1/silences/{id}") => {
            each(method, path, &of("silence"), &json!({ "comment": "mine" }), false)
        }
        ("POST", "/api/v1/maintenance") => [
            json!({ "items": [ids["host"]] }),
            json!({ "selector": "tag:grp=y" }),
            json!({ "selector": "kind=host" }),
        ]
        .into_iter()
        .map(|mut what| {
            what["title"] = json!("mine");
            what["starts_at"] = json!(start);
            what["ends_at"] = json!(end);
            with(method, path.to_owned(), what)
        })
        .collect(),
        ("GET" | "DELETE", "/api/v1/maintenance/{id}") => {
            each(method, path, &of("maintenance"), &Value::Null, true)
        }
        ("PATCH", "/api/v1/maintenance/{id}") => each(
            method,
            path,
            &of("maintenance"),
            &json!({ "title": "mine" }),
            false,
        ),
        ("POST", "/api/v1/freezes") => [json!({}), json!({ "grp": "y" }), json!({ "env": "prod" })]
            .into_iter()
            .map(|tags| {
                with(
                    method,
                    path.to_owned(),
                    json!({ "title": "mine", "tags": tags, "starts_at": start, "ends_at": end }),
                )
            })
            .collect(),
        ("POST", "/api/v1/freezes/{id}/end") => each(method, path, &of("freeze"), &Value::Null, false),
        ("POST", "/api/v1/change-windows") => {
            body(json!({ "title": "mine", "tags": { "grp": "y" }, "days": ["mon"],
            "start_minute": 0, "end_minute": 60, "time_zone": "UTC" }))
        }
        ("DELETE", "/api/v1/change-windows/{id}") => each(method, path, &of("window"), &Value::Null, false),
        ("GET", "/api/v1/rules" | "/api/v1/rule-files" | "/api/v1/rule-tunings") => vec![listed(path)],
        ("GET", "/api/v1/rule-files/{id}") => vec![listed(fill(path, &ids["rule_file"]))],
        ("POST", "/api/v1/rule-files") => body(json!({ "name": "mine", "text": rules })),
        ("POST", "/api/v1/rule-files/check" | "/api/v1/rule-tunings/preview") => vec![Call {
            body: json!({ "name": "mine", "text": rules }),
            ..call(method, path.to_owned(), Expect::Anything)
        }],
        ("PUT" | "DELETE", "/api/v1/rule-files/{id}") => each(
            method,
            path,
            &of("rule_file"),
            &json!({ "name": "own", "text": rules, "version": 1 }),
            false,
        ),
        ("PUT", "/api/v1/rule-packs/{name}") => {
            vec![with(method, fill(path, "host"), json!({ "is_enabled": false }))]
        }
        (_, "/api/v1/rule-tunings" | "/api/v1/rule-tunings/{id}") => {
            vec![with(method, fill(path, "tun_1"), json!({}))]
        }
        _ => return None,
    })
}

/// Incidents, changes, runbooks, runs and messages.
fn work(method: &str, path: &str, ids: &Ids) -> Option<Vec<Call>> {
    let of = |word: &str| vec![&ids[word]];
    let decision = json!({ "version": 1 });
    Some(match (method, path) {
        ("GET", "/api/v1/incidents" | "/api/v1/changes" | "/api/v1/runs" | "/api/v1/messages") => {
            vec![shown(path)]
        }
        ("POST", "/api/v1/incidents") => vec![with(
            method,
            path.to_owned(),
            json!({ "title": "mine", "severity": "sev3", "items": [ids["host"]] }),
        )],
        (_, path) if path.starts_with("/api/v1/incidents/{id}") => {
            let verb = path.rsplit('/').next().unwrap_or_default();
            let body = match verb {
                "assign" => json!({ "person": null }),
                "comment" => json!({ "text": "mine" }),
                "merge" => json!({ "into": ids["incident"] }),
                "rename" => json!({ "title": "mine" }),
                "severity" => json!({ "severity": "sev4" }),
                _ => json!({}),
            };
            each(
                method,
                path,
                &of("incident"),
                &body,
                matches!(verb, "{id}" | "timeline"),
            )
        }
        ("GET", "/api/v1/changes/{id}") => each(method, path, &of("change"), &Value::Null, true),
        ("POST", path) if path.starts_with("/api/v1/changes/{id}/") => {
            each(method, path, &of("change"), &decision, false)
        }
        (_, path) if path.starts_with("/api/v1/runbook-secrets") => {
            vec![with(method, fill(path, "name"), json!({ "value": "something" }))]
        }
        ("GET", path) if path.starts_with("/api/v1/runbooks") => {
            vec![listed(fill(&fill(path, &ids["runbook"]), "1"))]
        }
        ("POST", "/api/v1/runbooks") => vec![with(
            method,
            path.to_owned(),
            json!({ "text": "name: Mine\nsteps: [{name: a, command: [id]}]\n" }),
        )],
        ("POST", "/api/v1/runbooks/validate") => vec![call(method, path.to_owned(), Expect::Anything)],
        ("PUT" | "DELETE", "/api/v1/runbooks/{id}") => each(
            method,
            path,
            &of("runbook"),
            &json!({ "text": "name: Act\nsteps: [{name: a, command: [id]}]\n", "version": 1 }),
            false,
        ),
        ("POST", "/api/v1/runbooks/{id}/plan") => {
            vec![Call {
                expect: Expect::Answered,
                ..with(method, fill(path, &ids["runbook"]), json!({}))
            }]
        }
        ("POST", "/api/v1/runbooks/{id}/runs") => {
            let by_name = json!({ "targets": format!("id={}", ids["host"]) });
            let mut all = each(method, path, &of("runbook"), &by_name, false);
            all.extend(each(method, path, &of("untargeted"), &json!({}), false));
            all
        }
        (_, path) if path.starts_with("/api/v1/runs/{id}") => each(
            method,
            path,
            &of("run"),
            &Value::Null,
            path == "/api/v1/runs/{id}",
        ),
        ("GET", "/api/v1/messages/{id}") => each(method, path, &of("message"), &Value::Null, true),
        ("POST", "/api/v1/messages/{id}/retry") => each(method, path, &of("message"), &Value::Null, false),
        ("GET", "/api/v1/channels") => vec![shown(path)],
        ("POST", "/api/v1/channels") => {
            vec![with(
                method,
                path.to_owned(),
                json!({ "name": "mine", "config": { "type": "webhook", "url": "http://127.0.0.1:9/" } }),
            )]
        }
        (_, path) if path.starts_with("/api/v1/channels/{id}") => each(
            method,
            path,
            &of("channel"),
            &json!({ "name": "mine" }),
            path == "/api/v1/channels/{id}",
        ),
        ("GET", "/api/v1/events/{seq}/chain") => (1..40)
            .map(|seq| Call {
                expect: Expect::Anything,
                ..listed(fill(path, &seq.to_string()))
            })
            .collect(),
        (_, path) if path.starts_with("/api/v1/parked-events") => vec![with(
            method,
            fill(&fill(path, "alerting.presence"), "1"),
            Value::Null,
        )],
        (_, "/api/v1/snapshots") => vec![with(method, path.to_owned(), Value::Null)],
        _ => return None,
    })
}

/// People, teams, accounts, grants and tokens: they are administered by those alone whose role holds everywhere.
fn people(method: &str, path: &str, ids: &Ids) -> Option<Vec<Call>> {
    let rest = path.strip_prefix("/api/v1/")?;
    let kind = rest.split('/').next().unwrap_or_default();
    let id = match kind {
        "people" => &ids["person"],
        "teams" => &ids["team"],
        "service-accounts" => &ids["account"],
        "grants" | "tokens" => "none_1",
        _ => return None,
    };
    let body = match (rest.rsplit('/').next().unwrap_or_default(), method) {
        ("grants", "POST") => json!({ "role": "administrator" }),
        ("members", "POST") => json!({ "person": ids["person"] }),
        ("people", "POST") => {
            json!({ "name": "New", "login": "newcomer", "password": "correct horse battery" })
        }
        ("tokens", "POST") => json!({ "name": "new", "owner": ids["account"] }),
        (_, "POST" | "PATCH") => json!({ "name": "New" }),
        _ => Value::Null,
    };
    let path = fill(&fill(path, id), &ids["person"]);
    Some(match method {
        // Names of people and teams are in many places; the lists themselves are for those who may read them.
        "GET" => vec![listed(path)],
        _ => vec![with(method, path, body)],
    })
}
