//! The join token: where the server is, which authority to trust, and the secret that allows one join.
//!
//! `ms1.` and base64url (no padding) of `{"a": ["host:port", …], "f": "<SHA-256 of the CA's DER, hex>", "s": "<secret>"}`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::error::Error;

const PREFIX: &str = "ms1.";

/// Longer texts are no tokens.
const MAX_LENGTH: usize = 16 * 1024;

/// What a server gives out so that a host may join.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Token {
    #[serde(rename = "a")]
    pub addresses: Vec<String>,
    #[serde(rename = "f")]
    pub fingerprint: String,
    #[serde(rename = "s")]
    pub secret: String,
}

impl Token {
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |what: &str| Error::Token(what.to_owned());
        let text = text.trim();
        if text.len() > MAX_LENGTH {
            return Err(bad("it is too long"));
        }
        let body = text
            .strip_prefix(PREFIX)
            .ok_or_else(|| bad("it does not begin with ms1."))?;
        let json = URL_SAFE_NO_PAD
            .decode(body.trim_end_matches('='))
            .map_err(|_| bad("it is not base64url"))?;
        let mut token: Self =
            serde_json::from_slice(&json).map_err(|error| Error::Token(error.to_string()))?;
        if token.addresses.is_empty() {
            return Err(bad("it names no server"));
        }
        token.fingerprint.make_ascii_lowercase();
        if token.fingerprint.len() != 64 || !token.fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad("its fingerprint is not 64 hexadecimal digits"));
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(json: &str) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }

    #[test]
    fn a_token_is_read() {
        let text = encoded(&format!(
            r#"{{"a":["h:1","[::1]:2"],"f":"{}","s":"secret"}}"#,
            "AB".repeat(32)
        ));
        let token = Token::parse(&format!(" {text}\n")).unwrap();
        assert_eq!(token.addresses, vec!["h:1", "[::1]:2"]);
        assert_eq!(
            (token.fingerprint.as_str(), token.secret.as_str()),
            ("ab".repeat(32).as_str(), "secret")
        );
    }

    #[test]
    fn bad_tokens_are_refused() {
        for text in [
            "",
            "ms2.x",
            "ms1.!!!",
            &encoded("{}"),
            &encoded(r#"{"a":[],"f":"","s":""}"#),
        ] {
            assert!(matches!(Token::parse(text), Err(Error::Token(_))), "{text}");
        }
        assert!(Token::parse(&encoded(r#"{"a":["h:1"],"f":"zz","s":"x"}"#)).is_err());
    }
}
