//! What a request tells of the browser or program that sent it.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::{AUTHORIZATION, COOKIE, USER_AGENT};
use axum::http::request::Parts;

use crate::Access;

pub const SESSION_COOKIE: &str = "mainstay_session";

/// Where a request comes from, and the credentials on it.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// Without a connection (in tests) `unknown`.
    pub address: String,
    pub user_agent: String,
    /// It came over TLS, to us or to a proxy before us.
    pub is_secure: bool,
    pub session_secret: Option<String>,
    pub bearer: Option<String>,
    pub csrf: Option<String>,
}

impl Client {
    pub fn of(parts: &Parts, trusted: &[IpAddr]) -> Self {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(peer)| peer.ip().to_canonical());
        let is_secure =
            header("x-forwarded-proto") == Some("https") || parts.uri.scheme_str() == Some("https");
        Self {
            address: match peer {
                Some(peer) => behind_proxies(peer, header("x-forwarded-for"), trusted).to_string(),
                None => "unknown".into(),
            },
            user_agent: header(USER_AGENT.as_str())
                .unwrap_or_default()
                .chars()
                .filter(|c| !c.is_control())
                .take(200)
                .collect(),
            is_secure,
            session_secret: session_secret(parts),
            bearer: header(AUTHORIZATION.as_str())
                .and_then(|value| value.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .map(|(_, token)| token.trim().to_owned()),
            csrf: header("x-csrf-token").map(str::to_owned),
        }
    }
}

/// The last hop that is not one of our own proxies: what was written before it could be made up.
fn behind_proxies(peer: IpAddr, forwarded: Option<&str>, trusted: &[IpAddr]) -> IpAddr {
    if !trusted.contains(&peer) {
        return peer;
    }
    let mut address = peer;
    for hop in forwarded.unwrap_or_default().rsplit(',') {
        let Ok(hop) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        address = hop.to_canonical();
        if !trusted.contains(&address) {
            break;
        }
    }
    address
}

fn session_secret(parts: &Parts) -> Option<String> {
    let cookies = parts.headers.get_all(COOKIE);
    let pairs = cookies
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == SESSION_COOKIE)
        .map(|(_, value)| value.to_owned())
}

/// `Set-Cookie` for a session; an empty secret takes the cookie away.
pub fn set_cookie(secret: &str, lasts_s: i64, is_secure: bool) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    let age = if secret.is_empty() { 0 } else { lasts_s.max(0) };
    format!("{SESSION_COOKIE}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}{secure}")
}

impl FromRequestParts<Access> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, access: &Access) -> Result<Self, Infallible> {
        Ok(Self::of(parts, &access.settings().trusted_proxies))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forwarded_address_counts_only_behind_a_trusted_proxy() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let trusted = [ip("10.0.0.1"), ip("10.0.0.2")];
        let of = |peer, forwarded| behind_proxies(ip(peer), forwarded, &trusted);
        assert_eq!(of("192.0.2.9", Some("198.51.100.1")), ip("192.0.2.9"));
        assert_eq!(of("10.0.0.1", None), ip("10.0.0.1"));
        assert_eq!(
            of("10.0.0.1", Some("1.1.1.1, 198.51.100.1, 10.0.0.2")),
            ip("198.51.100.1")
        );
        assert_eq!(of("10.0.0.1", Some("nonsense")), ip("10.0.0.1"));
    }

    #[test]
    fn cookies_are_out_of_reach_of_scripts() {
        let cookie = set_cookie("abc", 60, true);
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.ends_with("; Secure")
        );
        assert!(set_cookie("", 60, false).contains("Max-Age=0"));
    }
}
