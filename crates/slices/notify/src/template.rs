//! From a page to the words of a message: minijinja with a bound on work, and a default text for each type of channel.

use minijinja::{Environment, UndefinedBehavior, context};

use crate::model::{ChannelConfig, Page, PageKind, Severity};

/// Instructions that one template may take.
const FUEL: u64 = 50_000;
pub const TEMPLATE_MAX: usize = 10_000;
const TITLE_MAX: usize = 300;
const TEXT_MAX: usize = 20_000;

const TITLE: &str = "{% if kind == 'incident_resolved' %}Resolved: {% elif severity == 'critical' %}Critical: \
    {% elif severity == 'warning' %}Warning: {% endif %}{{ title }}";
const MAIL_TEXT: &str = "{{ title }}\n\n{% if text %}{{ text }}\n\n{% endif %}\
    {% for field in fields %}{{ field.name }}: {{ field.value }}\n{% endfor %}{% if url %}\n{{ url }}\n{% endif %}";
const CHAT_TEXT: &str = "{{ text }}";

/// The words of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub title: String,
    pub text: String,
}

/// Why a template does not work, and in which line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {reason}")]
pub struct TemplateError {
    pub line: usize,
    pub reason: String,
}

fn text_default(config: &ChannelConfig) -> &'static str {
    match config {
        ChannelConfig::Email { .. } => MAIL_TEXT,
        ChannelConfig::Webhook { .. } | ChannelConfig::Slack {} | ChannelConfig::Matrix { .. } => CHAT_TEXT,
    }
}

fn render(template: &str, page: &Page, url: Option<&str>) -> Result<String, TemplateError> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    let fields: Vec<_> = page
        .fields
        .iter()
        .map(|(name, value)| context! { name, value })
        .collect();
    let values = context! {
        kind => page.kind.as_str(),
        severity => page.severity.as_str(),
        team => page.team.clone(),
        title => page.title.clone(),
        text => page.text.clone(),
        url,
        fields,
    };
    let rendered = environment
        .template_from_str(template)
        .and_then(|template| template.render(values));
    rendered.map_err(|error| TemplateError {
        line: error.line().unwrap_or(1),
        reason: match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        },
    })
}

/// Tries a template on a page that has everything.
pub fn check(template: &str) -> Result<(), TemplateError> {
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
    let one = |own: &str, default: &str| {
        let own = (!own.is_empty()).then(|| render(own, page, url));
        match own {
            Some(Ok(text)) => text,
            Some(Err(error)) => {
                tracing::warn!(%error, "a channel's template failed; the default is used");
                render(default, page, url).unwrap_or_default()
            }
            None => render(default, page, url).unwrap_or_default(),
        }
    };
    let title = one(title_template, TITLE);
    let text = one(text_template, text_default(config));
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    Words {
        title: cut(if title.is_empty() { &page.title } else { &title }, TITLE_MAX),
        text: cut(text.trim(), TEXT_MAX),
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
        channels: None,
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
            "nginx on web-1 has stopped\n\nThe service left the state active.\n\nHost: web-1\n\nhttps://x/incidents/inc_1"
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
        assert_eq!(words.text, "web-1");
    }

    #[test]
    fn long_texts_are_cut_at_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
