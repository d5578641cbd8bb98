//! Join tokens as text: `ms1.` and base64url of where the server is, which authority to trust, the secret, and the checksum of the
//! program that the host is to fetch.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const PREFIX: &str = "ms1.";

/// The text that goes to the host.
pub fn encode(addresses: &[String], fingerprint: &str, secret: &str, program: Option<&str>) -> String {
    let mut body = serde_json::json!({ "a": addresses, "f": fingerprint, "s": secret });
    if let Some(program) = program {
        body["p"] = program.into();
    }
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(body.to_string()))
}

/// A fresh secret and the form in which it is stored.
pub fn secret() -> (String, String) {
    let secret = kernel::secret::random_hex(24);
    let hash = hash(&secret);
    (secret, hash)
}

pub fn hash(secret: &str) -> String {
    kernel::secret::sha256_hex(secret.as_bytes())
}
