//! A web receiver: it keeps what it gets, and answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use kernel::Kernel;
use serde_json::Value;
use tokio::sync::watch;

pub struct Got {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What to answer next: status, headers, body.
pub type Reply = (u16, Vec<(&'static str, String)>, &'static str);

#[derive(Clone)]
pub struct HttpSink {
    pub url: String,
    got: Arc<Mutex<Vec<Arc<Got>>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    count: Arc<watch::Sender<usize>>,
    /// While closed, requests are kept but not answered.
    gate: Arc<watch::Sender<bool>>,
}

impl HttpSink {
    pub async fn start(kernel: &Kernel) -> HttpSink {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = HttpSink {
            url: format!("http://{}", listener.local_addr().unwrap()),
            got: Arc::default(),
            replies: Arc::default(),
            count: Arc::new(watch::channel(0).0),
            gate: Arc::new(watch::channel(true).0),
        };
        let app = axum::Router::new().fallback(take).with_state(sink.clone());
        drop(kernel::task::spawn(kernel, "http-sink", async move {
            axum::serve(listener, app).await.unwrap();
        }));
        sink
    }

    pub fn reply(&self, status: u16, headers: Vec<(&'static str, String)>, body: &'static str) {
        self.replies.lock().unwrap().push_back((status, headers, body));
    }

    pub fn set_open(&self, is_open: bool) {
        self.gate.send_replace(is_open);
    }

    pub fn got(&self) -> Vec<Arc<Got>> {
        self.got.lock().unwrap().clone()
    }

    /// Waits until `n` requests have come.
    pub async fn wait_for(&self, n: usize) -> Vec<Arc<Got>> {
        let mut count = self.count.subscribe();
        let seen = tokio::time::timeout(Duration::from_secs(20), count.wait_for(|count| *count >= n)).await;
        assert!(seen.is_ok(), "only {} of {n} requests came", self.got().len());
        self.got()
    }
}

async fn take(State(sink): State<HttpSink>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap().to_vec();
    sink.got.lock().unwrap().push(Arc::new(Got {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: parts.headers,
        body,
    }));
    sink.count.send_modify(|count| *count += 1);
    sink.gate.subscribe().wait_for(|is_open| *is_open).await.unwrap();
    let (status, headers, body) = sink
        .replies
        .lock()
        .unwrap()
        .pop_front()
        .unwrap_or((200, Vec::new(), "ok"));
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap()
}
