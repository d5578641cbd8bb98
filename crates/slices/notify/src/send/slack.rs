//! Slack's incoming webhooks and what imitates them: blocks, with the whole text as fallback for programs that show no blocks.
//!
//! They know no idempotency key: after a crash between sending and noting it, a message may come a second time.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::http::{Client, call, judge};
use super::{Letter, misconfigured, permanent};
use crate::decide::Outcome;
use crate::model::{ChannelSecrets, PageKind, Severity};
use crate::template::cut;

/// Slack's bounds: <https://docs.slack.dev/reference/block-kit/blocks>.
const HEADER_MAX: usize = 150;
const SECTION_MAX: usize = 2900;
const FIELD_MAX: usize = 1900;
const FIELDS_MAX: usize = 10;

pub async fn send(client: &Client, secrets: &ChannelSecrets, letter: &Letter<'_>) -> Result<(), Outcome> {
    let url = secrets
        .url
        .as_deref()
        .ok_or_else(|| misconfigured("the channel has no webhook address; set its secret `url`"))?;
    let request = client.get()?.post(url).json(&body(letter));
    letter.handed_over.store(true, Ordering::SeqCst);
    let answer = call(request).await?;
    judge(&answer, letter.now)?;
    confirmed(&answer.body)
}

/// Slack answers `ok`. Programs that imitate it may answer with success and a failure in the body; a page for people, for
/// instance of a sign-in, took nothing.
fn confirmed(body: &str) -> Result<(), Outcome> {
    let body = body.trim();
    let json = serde_json::from_str::<Value>(body).unwrap_or(Value::Null);
    if json["ok"] == Value::Bool(false) || json["success"] == Value::Bool(false) {
        let said = json["error"]
            .as_str()
            .or(json["message"].as_str())
            .unwrap_or(body);
        return Err(permanent(format!(
            "the receiver refused the message: {}",
            cut(said, 300)
        )));
    }
    if body.starts_with('<') {
        return Err(misconfigured(
            "the receiver answered with a web page; check the address",
        ));
    }
    Ok(())
}

/// The three characters that mean something in Slack's markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn body(letter: &Letter<'_>) -> Value {
    let sign = match (letter.page.kind, letter.page.severity) {
        (PageKind::IncidentResolved, _) => "✅",
        (_, Severity::Critical) => "🔴",
        (_, Severity::Warning) => "🟠",
        (_, Severity::Info) => "🔵",
    };
    let title = format!("{sign} {}", letter.words.title);
    let header = json!({ "type": "plain_text", "text": cut(&title, HEADER_MAX), "emoji": true });
    let mut blocks = vec![json!({ "type": "header", "text": header })];
    let markdown = |text: String| json!({ "type": "mrkdwn", "text": text });
    if !letter.words.text.is_empty() {
        let text = cut(&escape(&letter.words.text), SECTION_MAX);
        blocks.push(json!({ "type": "section", "text": markdown(text) }));
    }
    let fields: Vec<Value> = letter
        .page
        .fields
        .iter()
        .take(FIELDS_MAX)
        .map(|(name, value)| {
            let text = format!("*{}*\n{}", escape(name), escape(value));
            markdown(cut(&text, FIELD_MAX))
        })
        .collect();
    if !fields.is_empty() {
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    let mut fallback = vec![escape(&title)];
    if !letter.words.text.is_empty() {
        fallback.push(escape(&letter.words.text));
    }
    if let Some(url) = letter.url {
        let link = format!("<{}|Open in Mainstay>", escape(url));
        blocks.push(json!({ "type": "context", "elements": [markdown(link)] }));
        fallback.push(escape(url));
    }
    json!({ "text": fallback.join("\n"), "blocks": blocks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_with_a_failure_in_the_body_is_a_failure() {
        assert_eq!(confirmed("ok"), Ok(()));
        assert_eq!(confirmed(""), Ok(()));
        assert_eq!(confirmed(r#"{"success":true}"#), Ok(()));
        for (body, name) in [
            (r#"{"ok":false,"error":"channel_not_found"}"#, "refused"),
            (r#"{"success":false,"error":"no such channel"}"#, "refused"),
            ("<!doctype html><title>Sign in</title>", "misconfigured"),
        ] {
            assert_eq!(confirmed(body).unwrap_err().name(), name, "{body}");
        }
    }
}
