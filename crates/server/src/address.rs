//! The address that links in messages and join commands begin with, and whether it can be reached from other machines.

use axum::extract::State;
use kernel::http::Json;
use kernel::{Allow, Endpoint, Slice};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PERMISSIONS: &[Endpoint] = &[Endpoint {
    method: "GET",
    path: "/api/v1/address",
    allow: Allow::SignedIn,
}];

/// Where people and agents reach this server.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PublicAddress {
    pub public_url: String,
    /// Links and join commands with it work on the server's own machine only: it names `localhost` or a loopback address.
    pub is_loopback: bool,
}

impl PublicAddress {
    pub fn of(public_url: &str) -> Self {
        Self {
            public_url: public_url.to_owned(),
            is_loopback: is_loopback(public_url),
        }
    }
}

/// True for `localhost`, `*.localhost`, 127.0.0.0/8, `::1` and addresses that name no machine.
fn is_loopback(public_url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(public_url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    match plain.parse::<std::net::IpAddr>() {
        Ok(address) => {
            let address = address.to_canonical();
            address.is_loopback() || address.is_unspecified()
        }
        Err(_) => plain == "localhost" || plain.ends_with(".localhost"),
    }
}

/// How to give a server an address that others reach.
pub const FIX: &str = "Set `public_url` under `[server]` in mainstay.toml (or --public-url) to an address that other machines reach, \
    let the server listen there (`listen`, or --listen 0.0.0.0:8600), and restart it.";

pub fn slice(public_url: &str) -> Slice {
    Slice {
        routes: OpenApiRouter::new()
            .routes(routes!(get_address))
            .with_state(PublicAddress::of(public_url)),
        permissions: PERMISSIONS,
        ..Slice::named("address")
    }
}

/// The address that links and join commands begin with
#[utoipa::path(get, path = "/api/v1/address", tag = "platform", responses((status = 200, body = PublicAddress)))]
async fn get_address(State(address): State<PublicAddress>) -> Json<PublicAddress> {
    Json(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_told_from_others() {
        for (url, expected) in [
            ("http://127.0.0.1:8600", true),
            ("http://127.8.9.1", true),
            ("http://localhost:8600/", true),
            ("http://ops.localhost", true),
            ("http://[::1]:8600", true),
            ("http://[::ffff:127.0.0.1]:8600", true),
            ("http://0.0.0.0:8600", true),
            ("https://ops.example.org", false),
            ("http://10.0.0.5:8600", false),
            ("http://[2001:db8::1]:8600", false),
            ("https://localhost.example.org", false),
        ] {
            assert_eq!(is_loopback(url), expected, "{url}");
        }
    }
}
