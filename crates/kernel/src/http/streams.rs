//! Event streams: each keeps a connection and a task for as long as its reader likes, so one actor may hold only so many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;

use crate::Problem;
use crate::metric::{Gauge, Metrics};

/// Streams that one person or service account may hold at a time.
pub(super) const MOST: usize = 64;

#[derive(Clone)]
pub(super) struct Streams {
    open: Arc<Mutex<HashMap<String, usize>>>,
    gauge: Arc<Gauge>,
}

impl Streams {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            open: Arc::default(),
            gauge: Arc::new(metrics.gauge("mainstay_http_streams", &[])),
        }
    }

    /// Counts the response when it is a stream, until its body is gone; refuses it when `who` holds too many.
    pub fn hold(&self, who: &str, response: Response) -> Response {
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if !is_stream {
            return response;
        }
        let Some(held) = self.take(who) else {
            let detail = format!("you hold {MOST} event streams already; close some of them");
            return Problem::too_many(detail, 5).into_response();
        };
        response.map(|body| {
            Body::from_stream(body.into_data_stream().map(move |piece| {
                let _ = &held;
                piece
            }))
        })
    }

    fn take(&self, who: &str) -> Option<Held> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(who.to_owned()).or_default();
        if *count >= MOST {
            return None;
        }
        *count += 1;
        self.gauge.add(1);
        Some(Held {
            streams: self.clone(),
            who: who.to_owned(),
        })
    }
}

struct Held {
    streams: Streams,
    who: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.who);
            }
        }
        self.streams.gauge.add(-1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Response {
        ([(header::CONTENT_TYPE, "text/event-stream")], "data: 1\n\n").into_response()
    }

    #[test]
    fn one_actor_holds_only_so_many() {
        let streams = Streams::new(&Metrics::default());
        let mut held: Vec<Response> = (0..MOST).map(|_| streams.hold("person:a", stream())).collect();
        assert!(held.iter().all(|response| response.status() == 200));
        assert_eq!(streams.hold("person:a", stream()).status(), 429);
        assert_eq!(streams.hold("person:b", stream()).status(), 200);
        assert_eq!(streams.hold("person:a", "plain".into_response()).status(), 200);
        held.pop();
        assert_eq!(streams.hold("person:a", stream()).status(), 200);
        drop(held);
        assert!(streams.open.lock().unwrap().is_empty());
    }
}
