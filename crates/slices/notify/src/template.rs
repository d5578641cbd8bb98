//! From a page to the words of a message: templates of channels, bounded by `engines/template`, and a default text.

use serde_json::{Value, json};
use template::{Error, Limits};

use crate::model::{ChannelConfig, Page, PageAlert, PageKind, Severity};
use crate::page_alert;

pub const TEMPLATE_MAX: usize = 10_000;
const TITLE_MAX: usize = 300;
const TEXT_MAX: usize = 20_000;

/// The words of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub title: String,
    pub text: String,
    /// Why a template of the channel was not used; it stands in the text too.
    pub fault: Option<String>,
}

/// The text of a message without a template: everything that is needed to act. Chat programs show fields and link by themselves.
fn default_text(config: &ChannelConfig, page: &Page, url: Option<&str>) -> String {
    let alerts = page_alert::list(page);
    let mut parts = vec![page.text.trim().to_owned()];
    if let ChannelConfig::Email { .. } = config {
        parts.insert(0, page.title.clone());
        let fields = page.fields.iter().map(|(name, value)| format!("{name}: {value}"));
        parts.push(fields.collect::<Vec<_>>().join("\n"));
    }
    parts.push(alerts);
    if let ChannelConfig::Email { .. } = config {
        parts.extend(url.map(str::to_owned));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn default_title(page: &Page) -> String {
    let lead = match (page.kind, page.severity) {
        (PageKind::IncidentResolved, _) => "Resolved: ",
        (_, Severity::Critical) => "Critical: ",
        (_, Severity::Warning) => "Warning: ",
        (_, Severity::Info) => "",
    };
    format!("{lead}{}", page.title)
}

fn alert_values(alert: &PageAlert) -> Value {
    json!({
        "name": alert.name,
        "severity": alert.severity,
        "state": if alert.is_resolved { "resolved" } else { "firing" },
        "summary": alert.summary,
        "description": alert.description,
        "value": alert.value,
        "service": alert.service,
        "host": alert.host,
        "since": alert.since.map(page_alert::at),
        "runbook_url": alert.runbook_url,
        "labels": alert.labels,
        "annotations": alert.annotations,
    })
}

/// What templates see. What the first alert says stands at the top too, for templates that know of one.
fn values(page: &Page, url: Option<&str>) -> Value {
    let fields = page.fields.iter();
    let fields: Vec<Value> = fields
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    let first = page.alerts.first().map_or_else(|| json!({}), alert_values);
    let mut values = json!({
        "kind": page.kind,
        "severity": page.severity,
        "team": page.team,
        "title": page.title,
        "text": page.text,
        "url": url,
        "fields": fields,
        "alerts": page.alerts.iter().map(alert_values).collect::<Vec<_>>(),
        "alerts_left_out": page.alerts_left_out,
    });
    if let (Some(values), Value::Object(first)) = (values.as_object_mut(), first) {
        for (name, value) in first {
            values.entry(name).or_insert(value);
        }
    }
    values
}

/// What a template may take: a name that a page does not have is the empty text.
fn limits() -> Limits {
    Limits {
        is_strict: false,
        ..Limits::default()
    }
}

fn render(source: &str, page: &Page, url: Option<&str>) -> Result<String, Error> {
    template::render(source, &values(page, url), limits())
}

/// Tries a template on a page that has everything.
pub fn check(template: &str) -> Result<(), Error> {
    render(
        template,
        &sample(),
        Some("https://mainstay.example.org/incidents/inc_1"),
    )
    .map(drop)
}

/// The words for a channel. A template that fails on this page gives way to the default: a message is never lost to its wording.
pub fn words(
    config: &ChannelConfig,
    title_template: &str,
    text_template: &str,
    page: &Page,
    url: Option<&str>,
) -> Words {
    let mut fault = None;
    let mut one = |name: &str, own: &str, default: String| {
        if own.is_empty() {
            return default;
        }
        render(own, page, url).unwrap_or_else(|error| {
            fault = Some(format!(
                "the channel's {name} failed and the default was used: {error}"
            ));
            default
        })
    };
    let title = one("title_template", title_template, default_title(page));
    let text = one("text_template", text_template, default_text(config, page, url));
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = cut(text.trim(), TEXT_MAX);
    if let Some(fault) = &fault {
        text = format!("{text}\n\n({fault})");
    }
    Words {
        title: cut(if title.is_empty() { &page.title } else { &title }, TITLE_MAX),
        text,
        fault,
    }
}

/// The first `max` characters, and a sign when there were more.
pub fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

fn sample() -> Page {
    Page {
        dedup_key: "sample".into(),
        kind: PageKind::IncidentOpened,
        severity: Severity::Critical,
        team: Some("team_1".into()),
        title: "nginx on web-1 has stopped".into(),
        text: "The service left the state active.".into(),
        url_path: Some("/incidents/inc_1".into()),
        fields: vec![("Host".into(), "web-1".into())],
        alerts: vec![PageAlert {
            name: "ServiceDown".into(),
            severity: Severity::Critical,
            summary: "nginx on web-1 has stopped".into(),
            description: "It was active before.".into(),
            value: Some("0".into()),
            service: Some("nginx".into()),
            host: Some("web-1".into()),
            since: Some(kernel::clock::from_micros(1_772_366_400_000_000)),
            runbook_url: Some("https://runbooks.example.org/nginx".into()),
            labels: [("job".to_owned(), "node".to_owned())].into(),
            annotations: [(
                "dashboard".to_owned(),
                "https://grafana.example.org/d/1".to_owned(),
            )]
            .into(),
            ..PageAlert::default()
        }],
        ..Page::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_say_what_happened_and_where() {
        let mail: ChannelConfig = serde_json::from_value(serde_json::json!({
            "type": "email", "host": "localhost", "port": 25, "from": "a@b.c", "to": ["a@b.c"]
        }))
        .unwrap();
        let words = words(&mail, "", "", &sample(), Some("https://x/incidents/inc_1"));
        assert_eq!(words.title, "Critical: nginx on web-1 has stopped");
        assert_eq!(
            words.text,
            "nginx on web-1 has stopped\n\nThe service left the state active.\n\nHost: web-1\n\n\
             - nginx on web-1 has stopped (critical, firing)\n  Service: nginx · Host: web-1\n  \
             Since: 2026-03-01 12:00:00 UTC\n  Value: 0\n  It was active before.\n  \
             dashboard: https://grafana.example.org/d/1\n  Alert: ServiceDown · Labels: job=node\n  \
             Runbook: https://runbooks.example.org/nginx\n\nhttps://x/incidents/inc_1"
        );
    }

    #[test]
    fn broken_and_endless_templates_are_refused_with_their_line() {
        let error = check("one\n{% if %}").unwrap_err();
        assert_eq!(error.line, 2, "{error}");
        let endless = "{% for a in range(1000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}";
        assert!(check(endless).is_err());
        assert!(check("{{ title|no_such_filter }}").is_err());
        assert!(check("{{ 'x' * 4000000000 }}").is_err());
        assert_eq!(check("{{ title|upper }} {{ unknown }}"), Ok(()));
    }

    #[test]
    fn a_template_that_fails_gives_way_to_the_default() {
        let config = ChannelConfig::Slack {};
        let words = words(
            &config,
            "{{ title.no.such }}",
            "{{ fields[0].value }}",
            &sample(),
            None,
        );
        assert_eq!(words.title, "Critical: nginx on web-1 has stopped");
        let fault = words.fault.unwrap();
        assert!(fault.contains("title_template"), "{fault}");
        assert_eq!(words.text, format!("web-1\n\n({fault})"));
    }

    /// Each of these takes gigabytes when nothing bounds it.
    #[test]
    fn a_template_that_would_take_all_memory_is_refused_and_costs_a_message_nothing() {
        let doubling =
            "{% set x = 'aaaaaaaaaaaaaaaa' %}".to_owned() + &"{% set x = x ~ x %}".repeat(40) + "{{ x }}";
        let replacing = "{% set x = 'aaaaaaaaaaaaaaaa' %}".to_owned()
            + &"{% set x = x|replace('a', x) %}".repeat(8)
            + "{{ x }}";
        for bomb in [
            "{{ '%2000000000d'|format(1) }}",
            "{{ 'a\nb'|indent(2000000000) }}",
            "{{ [1]|batch(2000000000, 'x') }}",
            "{{ 'x' * 4000000000 }}",
            &doubling,
            &replacing,
        ] {
            assert!(check(bomb).is_err(), "{bomb}");
            let words = words(&ChannelConfig::Slack {}, "", bomb, &sample(), None);
            assert!(
                words.text.contains("The service left the state active."),
                "{}",
                words.text
            );
            assert!(words.fault.is_some());
        }
    }

    #[test]
    fn long_texts_are_cut_at_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
