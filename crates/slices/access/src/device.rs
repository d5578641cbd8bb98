//! Browsers that a login was used on: a cookie, sealed with the master key, that a sign-in leaves behind.
//!
//! It opens nothing. It only says that failures of others are no reason to make this browser wait.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::Problem;

use crate::Access;
use crate::store::people::login_key;

pub const DEVICE_COOKIE: &str = "mainstay_device";
const CONTEXT: &str = "access.device";
const LASTS_S: i64 = 400 * 86_400;

/// `Set-Cookie` for a browser on which this login has just been used.
pub fn cookie(access: &Access, login: &str, is_secure: bool) -> Result<String, Problem> {
    let sealed = access
        .kernel()
        .secrets
        .seal(CONTEXT, login_key(login).as_bytes())
        .map_err(Problem::internal)?;
    let value = URL_SAFE_NO_PAD.encode(sealed);
    let secure = if is_secure { "; Secure" } else { "" };
    Ok(format!(
        "{DEVICE_COOKIE}={value}; Path=/api/v1/session; HttpOnly; SameSite=Lax; Max-Age={LASTS_S}{secure}"
    ))
}

/// Was this cookie left by a sign-in with that login?
pub fn is_of(access: &Access, value: &str, login_key: &str) -> bool {
    let sealed = URL_SAFE_NO_PAD.decode(value).unwrap_or_default();
    let opened = access.kernel().secrets.open(CONTEXT, &sealed);
    opened.is_ok_and(|opened| *opened == login_key.as_bytes())
}
