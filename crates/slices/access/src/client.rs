//! What a request tells of the browser or program that sent it.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::{AUTHORIZATION, COOKIE, USER_AGENT};
use axum::http::request::Parts;
use kernel::admission::client_of;

use crate::Access;
use crate::device::DEVICE_COOKIE;

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
    /// From a sign-in before.
    pub device: Option<String>,
    /// What a proxy that is not listed says that it speaks for. Anybody can say so: never to be trusted.
    pub claimed: Option<String>,
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
        let forwarded = hops(parts);
        let is_listed = peer.is_none_or(|peer| trusted.contains(&peer));
        let claimed = forwarded.last().copied().flatten().filter(|_| !is_listed);
        Self {
            address: match peer {
                Some(peer) => behind_proxies(peer, &forwarded, trusted).to_string(),
                None => "unknown".into(),
            },
            claimed: claimed.map(|claimed| claimed.to_string()),
            user_agent: header(USER_AGENT.as_str())
                .unwrap_or_default()
                .chars()
                .filter(|c| !c.is_control())
                .take(200)
                .collect(),
            is_secure,
            session_secret: cookie(parts, SESSION_COOKIE),
            device: cookie(parts, DEVICE_COOKIE),
            bearer: header(AUTHORIZATION.as_str())
                .and_then(|value| value.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .map(|(_, token)| token.trim().to_owned()),
            csrf: header("x-csrf-token").map(str::to_owned),
        }
    }
}

impl Client {
    /// What failed sign-ins are counted by: one customer may hold a whole IPv6 network.
    pub fn throttle_address(&self) -> String {
        let address = self.address.parse::<IpAddr>();
        address.map_or_else(|_| self.address.clone(), |address| client_of(address).to_string())
    }
}

/// The hops of every `X-Forwarded-For` line, in the order of the lines: proxies add to the end, or add a line.
fn hops(parts: &Parts) -> Vec<Option<IpAddr>> {
    let lines = parts.headers.get_all("x-forwarded-for");
    lines
        .iter()
        .flat_map(|line| line.to_str().unwrap_or("unreadable").split(','))
        .map(hop)
        .collect()
}

/// An address, which some proxies write with its port.
fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    let address = address.or_else(with_port).or_else(in_brackets)?;
    Some(address.to_canonical())
}

/// The last hop that is not one of our own proxies: what was written before it could be made up.
fn behind_proxies(peer: IpAddr, forwarded: &[Option<IpAddr>], trusted: &[IpAddr]) -> IpAddr {
    let mut address = peer;
    for hop in forwarded.iter().rev() {
        if !trusted.contains(&address) {
            break;
        }
        let Some(hop) = hop else { break };
        address = *hop;
    }
    address
}

fn cookie(parts: &Parts, wanted: &str) -> Option<String> {
    let cookies = parts.headers.get_all(COOKIE);
    let pairs = cookies
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
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

    fn parts(lines: &[&str]) -> Parts {
        let mut request = axum::http::Request::builder();
        for line in lines {
            request = request.header("x-forwarded-for", *line);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_forwarded_address_counts_only_behind_a_trusted_proxy() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let trusted = [ip("10.0.0.1"), ip("10.0.0.2")];
        let of = |peer, lines: &[&str]| behind_proxies(ip(peer), &hops(&parts(lines)), &trusted);
        assert_eq!(of("192.0.2.9", &["198.51.100.1"]), ip("192.0.2.9"));
        assert_eq!(of("10.0.0.1", &[]), ip("10.0.0.1"));
        assert_eq!(
            of("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"]),
            ip("198.51.100.1")
        );
        assert_eq!(of("10.0.0.1", &["nonsense"]), ip("10.0.0.1"));
        assert_eq!(of("10.0.0.1", &["198.51.100.1:4711"]), ip("198.51.100.1"));
        assert_eq!(of("10.0.0.1", &["[2001:db8::1]:4711"]), ip("2001:db8::1"));
    }

    #[test]
    fn a_line_of_the_clients_own_does_not_hide_what_the_proxy_added() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let trusted = [ip("10.0.0.1")];
        for n in 0..40 {
            let own = format!("203.0.113.{n}");
            let lines = hops(&parts(&[&own, "198.51.100.1"]));
            assert_eq!(
                behind_proxies(ip("10.0.0.1"), &lines, &trusted),
                ip("198.51.100.1")
            );
        }
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
