//! What of a channel's configuration is secret: values of headers, and what an address hides in its path and query. It is kept
//! sealed; what is shown and stored in clear names it without telling it.
//!
//! Invariant: `shown` of what is shown is the same again, so a client may send back what it was given.

use std::collections::BTreeMap;

use reqwest::Url;

use crate::model::{ChannelConfig, ChannelSecrets};
use crate::send::redact;

/// The configuration without its secrets.
pub fn shown(config: &ChannelConfig) -> ChannelConfig {
    match config {
        ChannelConfig::Webhook { url, headers } => ChannelConfig::Webhook {
            url: shown_url(url),
            headers: headers.keys().map(|name| (name.clone(), String::new())).collect(),
        },
        other => other.clone(),
    }
}

/// The configuration in full: what was shown and came back is put in again.
pub fn full(given: &ChannelConfig, secrets: &ChannelSecrets) -> ChannelConfig {
    let ChannelConfig::Webhook { url, headers } = given else {
        return given.clone();
    };
    let kept = secrets.url.as_ref().filter(|kept| shown_url(kept) == *url);
    let headers = headers.iter().map(|(name, value)| {
        let kept = secrets.headers.get(name).filter(|_| value.is_empty());
        (name.clone(), kept.unwrap_or(value).clone())
    });
    ChannelConfig::Webhook {
        url: kept.unwrap_or(url).clone(),
        headers: headers.collect(),
    }
}

/// Moves what is secret of a full configuration to the secrets.
pub fn seal(config: &ChannelConfig, secrets: &mut ChannelSecrets) -> ChannelConfig {
    let shown = shown(config);
    if let ChannelConfig::Webhook { url, headers } = config {
        let is_plain = matches!(&shown, ChannelConfig::Webhook { url: plain, .. } if plain == url);
        secrets.url = (!is_plain).then(|| url.clone());
        secrets.headers.clone_from(headers);
    } else {
        secrets.headers = BTreeMap::new();
    }
    shown
}

fn shown_url(url: &str) -> String {
    match Url::parse(url) {
        Ok(parsed) => {
            let shown = redact::address(&parsed);
            // Nothing is hidden: as it was written.
            let is_same = shown.trim_end_matches('/') == url.trim_end_matches('/');
            if is_same { url.to_owned() } else { shown }
        }
        Err(_) => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_sent_back() {
        let config: ChannelConfig = serde_json::from_value(serde_json::json!({
            "type": "webhook", "url": "https://x.org/in/T0ken?key=hush", "headers": { "x-key": "hush" }
        }))
        .unwrap();
        let mut secrets = ChannelSecrets::default();
        let plain = seal(&config, &mut secrets);
        let text = serde_json::to_string(&plain).unwrap();
        assert!(!text.contains("hush") && !text.contains("T0ken"), "{text}");
        assert_eq!(shown(&plain), plain);
        assert_eq!(full(&plain, &secrets), config);
        let open = ChannelConfig::Webhook {
            url: "https://x.org/in".into(),
            headers: BTreeMap::new(),
        };
        assert_eq!(seal(&open, &mut secrets), open);
        assert_eq!((&secrets.url, secrets.headers.len()), (&None, 0));
    }
}
