//! A house with access in it, and clients that call it.

use std::sync::Arc;

use access::{Access, Settings};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use kernel::http::assemble;
use serde_json::{Value, json};
use testkit::Bed;
use tower::ServiceExt;

pub const PASSWORD: &str = "seven green bicycles";

pub struct House {
    pub bed: Bed,
    pub access: Access,
    router: Router,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

/// Somebody who calls: with a session, a token, or nothing.
#[derive(Clone, Default)]
pub struct Caller {
    pub cookie: Option<String>,
    pub csrf: Option<String>,
    pub bearer: Option<String>,
    pub address: Option<String>,
    /// Of the header that the address is in.
    pub second_line: Option<String>,
    /// Whose connection it is; a trusted proxy's when absent.
    pub peer: Option<String>,
}

impl House {
    /// One house per database.
    pub async fn both() -> Vec<House> {
        let beds = Bed::both(&[("access", access::MIGRATIONS)]).await;
        beds.into_iter().map(House::on).collect()
    }

    pub fn on(bed: Bed) -> House {
        let settings = Settings {
            trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
            ..Settings::default()
        };
        let access = Access::new(bed.kernel(), settings);
        let mut slices = vec![access::slice(&access)];
        let app = assemble(
            bed.kernel(),
            &mut slices,
            Arc::new(access.clone()),
            Default::default(),
        );
        access.set_endpoints(app.endpoints.clone());
        House {
            router: app.router,
            bed,
            access,
        }
    }

    pub async fn call(&self, caller: &Caller, method: &str, path: &str, body: Option<Value>) -> Answer {
        let (parts, body) = self.send(caller, method, path, body).await.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    /// The body of a stream that has begun.
    pub async fn stream(&self, caller: &Caller, path: &str) -> axum::body::BodyDataStream {
        let response = self.send(caller, "GET", path, None).await;
        assert_eq!(response.status(), 200);
        response.into_body().into_data_stream()
    }

    async fn send(&self, caller: &Caller, method: &str, path: &str, body: Option<Value>) -> Response {
        let peer = caller.peer.as_deref().unwrap_or("127.0.0.1:9");
        let peer: std::net::SocketAddr = peer.parse().unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .extension(axum::extract::ConnectInfo(peer));
        let mut header = |name: &'static str, value: Option<&String>| {
            if let (Some(value), Some(headers)) = (value, request.headers_mut()) {
                headers.append(name, value.parse().unwrap());
            }
        };
        header("cookie", caller.cookie.as_ref());
        header("x-csrf-token", caller.csrf.as_ref());
        header("x-forwarded-for", caller.address.as_ref());
        header("x-forwarded-for", caller.second_line.as_ref());
        let bearer = caller.bearer.as_ref().map(|token| format!("Bearer {token}"));
        header("authorization", bearer.as_ref());
        let request = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.router.clone().oneshot(request.unwrap()).await.unwrap()
    }

    pub async fn get(&self, caller: &Caller, path: &str) -> Answer {
        self.call(caller, "GET", path, None).await
    }

    pub async fn post(&self, caller: &Caller, path: &str, body: Value) -> Answer {
        self.call(caller, "POST", path, Some(body)).await
    }

    pub async fn patch(&self, caller: &Caller, path: &str, body: Value) -> Answer {
        self.call(caller, "PATCH", path, Some(body)).await
    }

    pub async fn delete(&self, caller: &Caller, path: &str) -> Answer {
        self.call(caller, "DELETE", path, None).await
    }

    /// Makes the first administrator, `ann`, and signs her in.
    pub async fn ann(&self) -> Caller {
        let token = self.access.setup_link_token().await.unwrap().unwrap();
        let body = json!({ "token": token, "name": "Ann Bell", "login": "ann", "password": PASSWORD });
        let answer = self.post(&Caller::default(), "/api/v1/setup", body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.caller()
    }

    pub async fn sign_in(&self, login: &str) -> Answer {
        let body = json!({ "login": login, "password": PASSWORD });
        self.post(&Caller::default(), "/api/v1/session", body).await
    }

    /// Adds a person with a role everywhere (or none). Returns their id.
    pub async fn add_person(&self, by: &Caller, login: &str, role: Option<&str>) -> String {
        let body = json!({ "name": format!("The {login}"), "login": login, "password": PASSWORD });
        let answer = self.post(by, "/api/v1/people", body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let id = answer.body["id"].as_str().unwrap().to_owned();
        if let Some(role) = role {
            let path = format!("/api/v1/people/{id}/grants");
            let answer = self.post(by, &path, json!({ "role": role })).await;
            assert_eq!(answer.status, 201, "{}", answer.body);
        }
        id
    }

    /// The topics of the events so far, without those of kernel parts.
    pub async fn topics(&self) -> Vec<String> {
        self.access.write_attempts().await.unwrap();
        let mut reader = self.bed.kernel().db.read().await.unwrap();
        let events = kernel::event::store::after(&mut reader, 0, 1000).await.unwrap();
        events.into_iter().map(|event| event.topic).collect()
    }
}

impl Answer {
    /// The caller that this sign-in made.
    pub fn caller(&self) -> Caller {
        Caller {
            cookie: self.cookie(),
            csrf: self.body["csrf_token"].as_str().map(str::to_owned),
            ..Caller::default()
        }
    }

    pub fn cookie(&self) -> Option<String> {
        let set = self.headers.get("set-cookie")?.to_str().unwrap();
        Some(set.split(';').next().unwrap().to_owned())
    }
}

impl Caller {
    pub fn token(token: &str) -> Caller {
        Caller {
            bearer: Some(token.to_owned()),
            ..Caller::default()
        }
    }
}
