//! Event streams: each keeps a connection and a task for as long as its reader likes, so one actor may hold only so many, and
//! one that outlives its credential is cut.
//!
//! A stream is answered for who its reader was at the start. The credential is checked again after every event that concerns
//! access, and from time to time: when it no longer stands for the same actor with the same grants, the stream ends, and the
//! reader connects again as who they are now, or not at all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;

use super::guard::{Authenticate, Guard};
use crate::actor::Actor;
use crate::db::DbError;
use crate::event::store;
use crate::metric::{Gauge, Metrics};
use crate::{Kernel, Problem};

/// Streams that one person or service account may hold at a time.
pub(super) const MOST: usize = 64;
/// Covers what no event of this process tells of: the end of a session or token by time, another server.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// Topics read at once when looking for those that concern access.
const BATCH: i64 = 256;

#[derive(Clone)]
pub(super) struct Streams {
    open: Arc<Mutex<HashMap<String, usize>>>,
    gauge: Arc<Gauge>,
    changes: Arc<tokio::sync::Mutex<Changes>>,
}

/// How often what concerns access has changed, as far as the log was read. One stream reads for all.
#[derive(Default)]
struct Changes {
    read_to: Option<i64>,
    count: u64,
}

impl Streams {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            open: Arc::default(),
            gauge: Arc::new(metrics.gauge("mainstay_http_streams", &[])),
            changes: Arc::default(),
        }
    }

    /// Counts the response when it is a stream, until its body is gone, and cuts it with the credential; refuses it when the
    /// actor holds too many.
    pub fn hold(
        &self,
        guard: &Guard,
        mut credential: Parts,
        actor: Option<Actor>,
        mut response: Response,
    ) -> Response {
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if !is_stream {
            return response;
        }
        let who = actor.as_ref().map(Actor::key).unwrap_or_default();
        let Some(held) = self.take(&who) else {
            let detail = format!("you hold {MOST} event streams already; close some of them");
            return Problem::too_many(detail, 5).into_response();
        };
        // A proxy that collects answers before it passes them on would hold events back.
        response
            .headers_mut()
            .insert("x-accel-buffering", HeaderValue::from_static("no"));
        credential.extensions.insert(super::guard::LookedAtAgain);
        let watch = Watch {
            kernel: guard.kernel.clone(),
            authenticate: guard.authenticate.clone(),
            changes: self.changes.clone(),
        };
        response.map(|body| {
            let pieces = body.into_data_stream().map(move |piece| {
                let _ = &held;
                piece
            });
            match actor {
                Some(actor) => {
                    Body::from_stream(pieces.take_until(Box::pin(watch.until_changed(credential, actor))))
                }
                None => Body::from_stream(pieces),
            }
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

/// What watches over one stream.
struct Watch {
    kernel: Kernel,
    authenticate: Arc<dyn Authenticate>,
    changes: Arc<tokio::sync::Mutex<Changes>>,
}

impl Watch {
    /// Resolves once the credential no longer stands for this very actor.
    async fn until_changed(self, credential: Parts, actor: Actor) {
        let mut log = self.kernel.db.watch_events();
        // The first check is due at once: for what happened since the request was admitted.
        let (mut checked, mut next_check) = (0, tokio::time::Instant::now());
        loop {
            let is_time = tokio::time::timeout_at(next_check, log.changed()).await.is_err();
            // A database that is away tells nothing; the next round asks again.
            let Ok(count) = self.count_changes().await else {
                next_check = tokio::time::Instant::now() + CHECK_EVERY;
                continue;
            };
            if !is_time && count == checked {
                continue;
            }
            checked = count;
            next_check = tokio::time::Instant::now() + CHECK_EVERY;
            match self.authenticate.authenticate(&credential).await {
                Ok(Some(now)) if now == actor => {}
                Err(problem) if problem.status >= 500 => {}
                _ => {
                    let name = "mainstay_http_streams_cut_total";
                    self.kernel.metrics.counter(name, &[]).add(1);
                    return;
                }
            }
        }
    }

    /// Reads on in the log, and says how many batches had something that concerns access.
    async fn count_changes(&self) -> Result<u64, DbError> {
        let mut changes = self.changes.lock().await;
        loop {
            let latest = *self.kernel.db.watch_events().borrow();
            if changes.read_to.is_some_and(|read_to| read_to >= latest) {
                return Ok(changes.count);
            }
            let mut reader = self.kernel.db.read().await?;
            let Some(read_to) = changes.read_to else {
                changes.read_to = Some(store::latest(&mut reader).await?);
                changes.count += 1;
                return Ok(changes.count);
            };
            let topics = store::topics_after(&mut reader, read_to, BATCH).await?;
            let Some(last) = topics.last().map(|(seq, _)| *seq) else {
                return Ok(changes.count);
            };
            changes.read_to = Some(last);
            if topics
                .iter()
                .any(|(_, topic)| self.authenticate.is_concerned(topic))
            {
                changes.count += 1;
            }
        }
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

    #[test]
    fn one_actor_holds_only_so_many() {
        let streams = Streams::new(&Metrics::default());
        let mut held: Vec<Held> = (0..MOST).filter_map(|_| streams.take("person:a")).collect();
        assert_eq!(held.len(), MOST);
        assert!(streams.take("person:a").is_none());
        assert!(streams.take("person:b").is_some());
        held.pop();
        assert!(streams.take("person:a").is_some());
        drop(held);
        assert!(streams.open.lock().unwrap().is_empty());
    }
}
