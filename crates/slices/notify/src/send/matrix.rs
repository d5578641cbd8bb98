//! Matrix: one event into a room, under a transaction id that makes repetition harmless
//! (<https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid>).

use std::time::Duration;

use serde_json::{Value, json};

use super::http::{Client, call, judge};
use super::{Letter, misconfigured, temporary};
use crate::decide::Outcome;
use crate::model::ChannelSecrets;

pub async fn send(
    client: &Client,
    homeserver: &str,
    room: &str,
    secrets: &ChannelSecrets,
    letter: &Letter<'_>,
) -> Result<(), Outcome> {
    let token = secrets
        .access_token
        .as_deref()
        .ok_or_else(|| misconfigured("the channel has no access token; set its secret `access_token`"))?;
    let mut url = reqwest::Url::parse(homeserver).map_err(misconfigured)?;
    url.path_segments_mut()
        .map_err(|()| misconfigured("the homeserver's address cannot have a path"))?
        .pop_if_empty()
        .extend(["_matrix", "client", "v3", "rooms", room, "send", "m.room.message"])
        .push(letter.id.as_str());
    let request = client.get()?.put(url).bearer_auth(token).json(&body(letter));
    // The transaction id makes a repetition harmless, so an unknown outcome is tried again like any failure.
    let answer = call(request).await.map_err(|outcome| match outcome {
        Outcome::Unknown { reason } => temporary(reason),
        other => other,
    })?;
    let body = serde_json::from_str::<Value>(&answer.body).unwrap_or(Value::Null);
    match judge(&answer, letter.now) {
        Ok(()) if body["event_id"].is_string() => Ok(()),
        Ok(()) => Err(misconfigured(
            "the homeserver answered without an event; check its address",
        )),
        // Servers before 1.10 of the specification say it in the body only.
        Err(Outcome::Temporary {
            reason,
            retry_after: None,
        }) => Err(Outcome::Temporary {
            reason,
            retry_after: body["retry_after_ms"].as_u64().map(Duration::from_millis),
        }),
        Err(Outcome::Unknown { reason }) => Err(temporary(reason)),
        Err(outcome) => Err(outcome),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn body(letter: &Letter<'_>) -> Value {
    let words = letter.words;
    let mut plain = vec![words.title.clone()];
    let mut html = vec![format!("<strong>{}</strong>", escape(&words.title))];
    if !words.text.is_empty() {
        plain.push(words.text.clone());
        html.push(escape(&words.text).replace('\n', "<br>"));
    }
    for (name, value) in &letter.page.fields {
        plain.push(format!("{name}: {value}"));
        html.push(format!("{}: {}", escape(name), escape(value)));
    }
    if let Some(url) = letter.url {
        plain.push(url.to_owned());
        html.push(format!("<a href=\"{0}\">{0}</a>", escape(url)));
    }
    json!({
        "msgtype": "m.text",
        "body": plain.join("\n"),
        "format": "org.matrix.custom.html",
        "formatted_body": html.join("<br>"),
    })
}
