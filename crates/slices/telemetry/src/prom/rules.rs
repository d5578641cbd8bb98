//! Prometheus' `rules` and `alerts`, for Grafana.

use std::fmt::Write;

use alerting::Signal;
use axum::extract::State;
use axum::response::Response;

use super::render::{comma, string, success};
use crate::Telemetry;
use crate::reach::Reach;
use crate::rules::model::{Kind, Rule};

pub(super) async fn rules(State(telemetry): State<Telemetry>, reach: Reach) -> Response {
    let set = telemetry.rules().rules();
    let mut out = String::from("{\"groups\":[");
    for (index, group) in set.groups.iter().enumerate() {
        comma(&mut out, index);
        out.push_str("{\"name\":");
        string(&mut out, &group.name);
        let _ = write!(
            out,
            ",\"file\":\"\",\"interval\":{},\"rules\":[",
            group.interval_ms as f64 / 1000.0
        );
        for (index, rule) in group.rules.iter().enumerate() {
            comma(&mut out, index);
            one_rule(&mut out, &telemetry, &reach, rule);
        }
        out.push_str("]}");
    }
    out.push_str("]}");
    success(&out)
}

fn one_rule(out: &mut String, telemetry: &Telemetry, reach: &Reach, rule: &Rule) {
    let health = telemetry.rules().health(&rule.key).unwrap_or_default();
    out.push_str("{\"name\":");
    string(out, &rule.name);
    out.push_str(",\"query\":");
    string(out, &rule.text);
    let word = if health.error.is_some() { "err" } else { "ok" };
    let _ = write!(
        out,
        ",\"health\":\"{word}\",\"evaluationTime\":{}",
        health.seconds
    );
    let _ = write!(
        out,
        ",\"lastEvaluation\":\"{}\"",
        kernel::clock::from_millis(health.at_ms)
    );
    match &rule.kind {
        Kind::Record => out.push_str(",\"type\":\"recording\"}"),
        Kind::Alert { for_ms, .. } => {
            let mut held = telemetry.rules().held_by(&rule.key);
            held.retain(|signal| is_seen(reach, signal));
            let state = if held.is_empty() { "inactive" } else { "firing" };
            let _ = write!(
                out,
                ",\"type\":\"alerting\",\"duration\":{},\"state\":\"{state}\",\"alerts\":[",
                for_ms / 1000
            );
            for (index, signal) in held.iter().enumerate() {
                comma(out, index);
                one_alert(out, signal);
            }
            out.push_str("]}");
        }
    }
}

pub(super) async fn alerts(State(telemetry): State<Telemetry>, reach: Reach) -> Response {
    let set = telemetry.rules().rules();
    let held = set
        .rules()
        .flat_map(|rule| telemetry.rules().held_by(&rule.key))
        .filter(|signal| is_seen(&reach, signal));
    let mut out = String::from("{\"alerts\":[");
    for (index, signal) in held.enumerate() {
        comma(&mut out, index);
        one_alert(&mut out, &signal);
    }
    out.push_str("]}");
    success(&out)
}

fn is_seen(reach: &Reach, signal: &Signal) -> bool {
    reach.sees(signal.labels.get("instance").map(String::as_str))
}

fn one_alert(out: &mut String, signal: &Signal) {
    for (name, map) in [
        ("{\"labels\"", &signal.labels),
        (",\"annotations\"", &signal.annotations),
    ] {
        let _ = write!(out, "{name}:{{");
        for (index, (label, value)) in map.iter().enumerate() {
            comma(out, index);
            string(out, label);
            out.push(':');
            string(out, value);
        }
        out.push('}');
    }
    let value = promql::format_value(signal.value.unwrap_or(f64::NAN));
    let _ = write!(
        out,
        ",\"state\":\"firing\",\"activeAt\":\"{}\",\"value\":\"{value}\"}}",
        signal.at
    );
}
