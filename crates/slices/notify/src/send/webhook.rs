//! Webhooks: JSON by POST, signed, with a key by which the receiver knows repetitions.
//!
//! `mainstay-signature: t=<Unix seconds>,v1=<hex>` where hex is HMAC-SHA256 under the signing key over `<t>.<body>`. A receiver
//! computes the same, compares in constant time and refuses an old `t`. `idempotency-key` is the message's id.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::Serialize;
use sha2::Sha256;

use super::http::{Client, call, judge};
use super::{Letter, permanent};
use crate::decide::Outcome;
use crate::model::{ChannelSecrets, PageAlert, PageKind, Severity};

/// The body of a webhook: a public contract.
#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    kind: PageKind,
    severity: Severity,
    team: Option<&'a str>,
    title: &'a str,
    text: &'a str,
    url: Option<&'a str>,
    fields: Vec<Field<'a>>,
    alerts: &'a [PageAlert],
    /// Alerts beyond those listed.
    alerts_left_out: u64,
    /// When it was queued.
    at: String,
}

#[derive(Serialize)]
struct Field<'a> {
    name: &'a str,
    value: &'a str,
}

pub async fn send(
    client: &Client,
    url: &str,
    headers: &BTreeMap<String, String>,
    secrets: &ChannelSecrets,
    letter: &Letter<'_>,
) -> Result<(), Outcome> {
    let body = Body {
        id: letter.id.as_str(),
        kind: letter.page.kind,
        severity: letter.page.severity,
        team: letter.page.team.as_deref(),
        title: &letter.words.title,
        text: &letter.words.text,
        url: letter.url,
        fields: letter
            .page
            .fields
            .iter()
            .map(|(name, value)| Field { name, value })
            .collect(),
        alerts: &letter.page.alerts,
        alerts_left_out: letter.page.alerts_left_out,
        at: letter.created_at.to_string(),
    };
    let body = serde_json::to_vec(&body).map_err(permanent)?;
    let mut request = client
        .get()?
        .post(secrets.url.as_deref().unwrap_or(url))
        .header(CONTENT_TYPE, "application/json")
        .header("idempotency-key", letter.id.as_str());
    for (name, value) in headers {
        request = request.header(name, secrets.headers.get(name).unwrap_or(value));
    }
    if let Some(authorization) = &secrets.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    if let Some(key) = &secrets.signing_key {
        let at = letter.now.as_second();
        let signature = format!("t={at},v1={}", sign(key, at, &body)?);
        request = request.header("mainstay-signature", signature);
    }
    judge(&call(request.body(body)).await?, letter.now)
}

fn sign(key: &str, at: i64, body: &[u8]) -> Result<String, Outcome> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(permanent)?;
    mac.update(format!("{at}.").as_bytes());
    mac.update(body);
    let bytes = mac.finalize().into_bytes();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `printf '1700000000.{}' | openssl dgst -sha256 -hmac key`.
    #[test]
    fn the_signature_is_what_other_programs_compute() {
        assert_eq!(
            sign("key", 1_700_000_000, b"{}").unwrap(),
            "9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
        );
    }
}
