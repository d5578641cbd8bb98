//! Prometheus' `rules` and `alerts`, for Grafana and every other client.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::params::Params;
use super::render::{self, Refusal};
use crate::Telemetry;
use crate::reach::Reach;
use crate::rules::active::Held;
use crate::rules::engine::Health;
use crate::rules::model::{Group, Kind, Rule};
use crate::rules::template::Template;

/// Which rules are asked for.
struct Wanted {
    kind: Option<&'static str>,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    selectors: Vec<Vec<promql::Matcher>>,
    is_without_alerts: bool,
}

impl Wanted {
    fn read(params: &Params) -> Result<Self, Refusal> {
        let kind = match params.get("type") {
            None => None,
            Some("alert") => Some("alerting"),
            Some("record") => Some("recording"),
            Some(other) => {
                return Err(Refusal::bad_data(format!(
                    "type \"{other}\" is neither \"alert\" nor \"record\""
                )));
            }
        };
        let selector = |text: &String| {
            promql::parse_selector(text)
                .map_err(|error| Refusal::bad_data(format!("match[] \"{text}\": {error}")))
        };
        let is_without_alerts = match params.get("exclude_alerts") {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(other) => {
                return Err(Refusal::bad_data(format!(
                    "exclude_alerts \"{other}\" is neither true nor false"
                )));
            }
        };
        Ok(Self {
            kind,
            names: params.all("rule_name[]"),
            groups: params.all("rule_group[]"),
            files: params.all("file[]"),
            selectors: params
                .all("match[]")
                .iter()
                .map(selector)
                .collect::<Result<_, _>>()?,
            is_without_alerts,
        })
    }

    fn has_group(&self, group: &Group) -> bool {
        is_among(&self.groups, &group.title) && is_among(&self.files, &group.file)
    }

    fn has_rule(&self, rule: &Rule) -> bool {
        let matches = |set: &Vec<promql::Matcher>| {
            set.iter().all(|m| {
                let label = rule.labels.iter().find(|(name, _)| *name == m.name);
                m.matches(label.map_or("", |(_, template)| template.text()))
            })
        };
        self.kind.is_none_or(|kind| kind == kind_of(rule))
            && is_among(&self.names, &rule.name)
            && (self.selectors.is_empty() || self.selectors.iter().any(matches))
    }
}

fn is_among(list: &[String], word: &str) -> bool {
    list.is_empty() || list.iter().any(|one| one == word)
}

fn kind_of(rule: &Rule) -> &'static str {
    if rule.is_alert() { "alerting" } else { "recording" }
}

pub(super) async fn rules(
    State(telemetry): State<Telemetry>,
    reach: Reach,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let wanted = Wanted::read(&Params::read(query.as_deref(), None))?;
    let set = telemetry.rules().rules();
    let groups: Vec<Value> = set
        .groups
        .iter()
        .filter(|group| wanted.has_group(group))
        .filter_map(|group| one_group(&telemetry, &reach, &wanted, group))
        .collect();
    Ok(render::success(&json!({ "groups": groups }).to_string()))
}

/// `None` when nothing of the group is asked for.
fn one_group(telemetry: &Telemetry, reach: &Reach, wanted: &Wanted, group: &Group) -> Option<Value> {
    let health = |rule: &Rule| telemetry.rules().health(&rule.key).unwrap_or_default();
    let all: Vec<Health> = group.rules.iter().map(|rule| health(rule)).collect();
    let rules: Vec<Value> = group
        .rules
        .iter()
        .zip(&all)
        .filter(|(rule, _)| wanted.has_rule(rule))
        .map(|(rule, health)| one_rule(telemetry, reach, wanted, rule, health))
        .collect();
    let newest_ms = all.iter().map(|health| health.at_ms).max().unwrap_or(0);
    (!rules.is_empty()).then(|| {
        json!({
            "name": group.title,
            "file": group.file,
            "rules": rules,
            "interval": group.interval_ms as f64 / 1000.0,
            "limit": group.limit,
            "evaluationTime": all.iter().map(|health| health.seconds).sum::<f64>(),
            "lastEvaluation": moment(newest_ms),
        })
    })
}

/// A time that has not come yet is Go's zero time.
fn moment(at_ms: i64) -> String {
    if at_ms == 0 {
        return "0001-01-01T00:00:00Z".into();
    }
    kernel::clock::from_millis(at_ms).to_string()
}

fn written(templates: &[(String, Template)]) -> BTreeMap<&str, &str> {
    let pairs = templates
        .iter()
        .map(|(name, template)| (name.as_str(), template.text()));
    pairs.collect()
}

fn one_rule(telemetry: &Telemetry, reach: &Reach, wanted: &Wanted, rule: &Rule, health: &Health) -> Value {
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    set("name", json!(rule.name));
    set("query", json!(rule.text));
    set("labels", json!(written(&rule.labels)));
    let word = match (health.at_ms, &health.error) {
        (0, _) => "unknown",
        (_, Some(_)) => "err",
        (_, None) => "ok",
    };
    set("health", json!(word));
    if let Some(error) = &health.error {
        set("lastError", json!(error));
    }
    set("evaluationTime", json!(health.seconds));
    set("lastEvaluation", json!(moment(health.at_ms)));
    set("type", json!(kind_of(rule)));
    if let Kind::Alert { annotations, .. } = &rule.kind {
        let (for_ms, keep_ms) = rule.waits();
        let now_ms = telemetry.now_ms();
        let alerts = alerts_of(telemetry, reach, rule);
        let state = alerts.iter().map(|held| state_of(held, now_ms)).min();
        set("state", json!(state.unwrap_or("inactive")));
        set("duration", json!(for_ms as f64 / 1000.0));
        set("keepFiringFor", json!(keep_ms as f64 / 1000.0));
        set("annotations", json!(written(annotations)));
        let shown = if wanted.is_without_alerts {
            &[][..]
        } else {
            &alerts[..]
        };
        let shown: Vec<Value> = shown.iter().map(|held| one_alert(held, now_ms)).collect();
        set("alerts", json!(shown));
    }
    Value::Object(fields)
}

pub(super) async fn alerts(State(telemetry): State<Telemetry>, reach: Reach) -> Response {
    let now_ms = telemetry.now_ms();
    let set = telemetry.rules().rules();
    let alerts: Vec<Value> = set
        .rules()
        .flat_map(|rule| alerts_of(&telemetry, &reach, rule))
        .map(|held| one_alert(&held, now_ms))
        .collect();
    render::success(&json!({ "alerts": alerts }).to_string())
}

fn alerts_of(telemetry: &Telemetry, reach: &Reach, rule: &Rule) -> Vec<Held> {
    let mut held = telemetry.rules().held_by(&rule.key);
    held.retain(|one| reach.sees(one.signal.labels.get("instance").map(String::as_str)));
    held.sort_by(|a, b| a.signal.labels.cmp(&b.signal.labels));
    held
}

/// "firing" sorts before "pending".
fn state_of(held: &Held, now_ms: i64) -> &'static str {
    if held.gone_ms.is_some() || held.is_firing(now_ms) {
        "firing"
    } else {
        "pending"
    }
}

fn one_alert(held: &Held, now_ms: i64) -> Value {
    let signal = &held.signal;
    let mut alert = json!({
        "labels": signal.labels,
        "annotations": signal.annotations,
        "state": state_of(held, now_ms),
        "activeAt": signal.at.to_string(),
        "value": exponent(signal.value.unwrap_or(f64::NAN)),
    });
    if let Some(gone_ms) = held.gone_ms {
        alert["keepFiringSince"] = json!(moment(gone_ms));
    }
    alert
}

/// `1.5e+01`: how values of alerts are written.
fn exponent(value: f64) -> String {
    if !value.is_finite() {
        return promql::format_value(value);
    }
    let text = format!("{value:e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let sign = if power < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", power.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_an_exponent() {
        for (value, text) in [
            (0.0, "0e+00"),
            (1.0, "1e+00"),
            (15.5, "1.55e+01"),
            (-0.001, "-1e-03"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(exponent(value), text);
        }
    }
}
