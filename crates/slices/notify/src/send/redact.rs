//! Addresses in error texts: where they lead is said, what they hide is not.

use reqwest::Url;

use crate::model::ChannelSecrets;

/// Parts that are longer than this, or that are not plain words, may be tokens.
const PLAIN_MAX: usize = 20;
const SECRET_MIN: usize = 4;

/// Scheme, host and port, plain parts of the path; the rest as `…`.
pub fn address(url: &Url) -> String {
    let mut text = url.origin().ascii_serialization();
    for part in url.path_segments().into_iter().flatten() {
        text.push('/');
        text.push_str(if is_plain(part) { part } else { "…" });
    }
    if url.query().is_some() {
        text.push_str("?…");
    }
    text
}

/// A text without the channel's secrets: receivers quote what they refuse.
pub fn secrets(text: &str, secrets: &ChannelSecrets) -> String {
    let mut text = text.to_owned();
    for secret in secrets.values() {
        // A shorter one would take letters out of words.
        if secret.len() >= SECRET_MIN {
            text = text.replace(secret, "…");
        }
    }
    text
}

fn is_plain(part: &str) -> bool {
    part.len() <= PLAIN_MAX
        && part
            .bytes()
            .all(|b| b.is_ascii_lowercase() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_in_addresses_are_left_out() {
        for (given, shown) in [
            ("https://x.org/hook/", "https://x.org/hook/"),
            ("http://u:p@x.org:8080/a?token=1#f", "http://x.org:8080/a?…"),
            (
                "https://hooks.slack.com/services/T0AA/B0/xyzXYZ123",
                "https://hooks.slack.com/services/…/…/…",
            ),
            (
                "https://api.telegram.org/bot12:ab/sendMessage",
                "https://api.telegram.org/…/…",
            ),
        ] {
            assert_eq!(address(&Url::parse(given).unwrap()), shown);
        }
    }
}
