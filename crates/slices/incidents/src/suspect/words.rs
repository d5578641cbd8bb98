//! What an event that tells of a change is called beside an incident.

use kernel::Event;
use serde_json::Value;

/// (kind, title, detail)
pub fn describe(event: &Event) -> (&'static str, String, String) {
    let text = |field: &str| {
        event
            .data
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let count = |field: &str| event.data.get(field).and_then(Value::as_u64).unwrap_or(0);
    let shown = |field: &str| match event.data.get(field) {
        None | Some(Value::Null) => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    match event.topic.as_str() {
        "change.granted" => (
            "change",
            format!("Change: {}", text("title")),
            join(&[targets(event), text("reason")]),
        ),
        "run.started" => ("run", format!("Run: {}", text("runbook")), targets(event)),
        "run.finished" => (
            "run",
            format!("Run: {}", text("runbook")),
            join(&[targets(event), text("state")]),
        ),
        "service.changed" => (
            "service",
            format!("{} became {}", text("name"), text("state")),
            join(&[text("host_name"), text("reason")]),
        ),
        "package.changed" => {
            let counts = [
                ("updated", "updated_count"),
                ("added", "added_count"),
                ("removed", "removed_count"),
            ];
            let counts: Vec<String> = counts
                .into_iter()
                .filter(|(_, field)| count(field) > 0)
                .map(|(word, field)| format!("{} {word}", count(field)))
                .collect();
            let names: Vec<String> = ["updated", "added", "removed"]
                .into_iter()
                .filter_map(|field| event.data.get(field)?.as_array())
                .flatten()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .take(4)
                .collect();
            match names.as_slice() {
                [only] if counts.len() == 1 => {
                    let done = if count("updated_count") > 0 {
                        ""
                    } else {
                        counts[0].trim_start_matches("1 ")
                    };
                    (
                        "package",
                        format!("{only} {done}").trim_end().to_owned(),
                        String::new(),
                    )
                }
                _ => (
                    "package",
                    format!("Packages: {}", counts.join(", ")),
                    names.join(", "),
                ),
            }
        }
        "item.retired" => ("item", format!("{} is gone", text("name")), text("kind")),
        _ if text("attribute") == "running" => {
            let is_up = event.data.get("after") == Some(&Value::Bool(true));
            let verb = if is_up { "runs again" } else { "stopped" };
            ("item", format!("{} {verb}", text("name")), text("kind"))
        }
        _ if text("attribute") == "boot_at" => {
            ("reboot", format!("{} was booted", text("name")), shown("after"))
        }
        _ => {
            let kind = if text("kind") == "certificate" {
                "certificate"
            } else {
                "item"
            };
            (
                kind,
                format!("{}: {} changed", text("name"), text("attribute")),
                format!("{} → {}", shown("before"), shown("after")),
            )
        }
    }
}

/// The names of the first targets.
fn targets(event: &Event) -> String {
    let all = event.data.get("targets").and_then(Value::as_array);
    let names: Vec<&str> = all
        .into_iter()
        .flatten()
        .filter_map(|target| target.get("name")?.as_str())
        .collect();
    let more = names.len().saturating_sub(3);
    let shown = names.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    if more > 0 {
        format!("{shown} and {more} more")
    } else {
        shown
    }
}

fn join(parts: &[String]) -> String {
    let parts: Vec<&str> = parts
        .iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(": ")
}

/// How long before the incident began, or began again.
pub fn span(seconds: f64, is_again: bool) -> String {
    let whole = seconds.abs().round() as i64;
    let text = match whole {
        0..120 => format!("{whole} s"),
        120..7_200 => format!("{} min", whole / 60),
        _ => format!("{} h", whole / 3_600),
    };
    let beginning = if is_again { "reopening" } else { "opening" };
    let order = if seconds < 0.0 { "after" } else { "before" };
    format!("{text} {order} the {beginning}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_in_words() {
        assert_eq!(span(41.2, false), "41 s before the opening");
        assert_eq!(span(600.0, true), "10 min before the reopening");
        assert_eq!(span(-5.0, false), "5 s after the opening");
    }
}
