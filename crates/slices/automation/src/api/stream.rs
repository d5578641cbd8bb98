//! A run as it goes: its state and tasks whenever they change, as server-sent events. Output of commands has a stream of its own in fleet.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use kernel::http::Path;
use kernel::{Actor, Problem};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::rights::find;
use super::view::{RunView, view};
use crate::{Automation, store};

/// The least time between two looks.
const GATHER: Duration = Duration::from_millis(100);

pub(super) fn routes(automation: &Automation) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(stream_run))
        .with_state(automation.clone())
}

struct Feed {
    automation: Automation,
    actor: Actor,
    id: String,
    wake: tokio::sync::watch::Receiver<i64>,
    last: String,
    is_over: bool,
}

/// A run whenever it changes, until it ends
#[utoipa::path(get, path = "/api/v1/runs/{id}/stream", tag = "automation", params(("id" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
async fn stream_run(
    State(automation): State<Automation>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    find(&mut *automation.kernel().db.read().await?, &actor, &id).await?;
    let wake = automation.kernel().db.watch_events();
    let feed = Feed {
        automation,
        actor,
        id,
        wake,
        last: String::new(),
        is_over: false,
    };
    let stream = stream::unfold(feed, |mut feed| async move {
        let text = feed.next().await?;
        Some((Ok(Event::default().event("run").data(text)), feed))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

impl Feed {
    async fn next(&mut self) -> Option<String> {
        let stop = self.automation.kernel().stop.clone();
        while !self.is_over && !stop.is_cancelled() {
            let (text, is_end) = self.read().await.ok()?;
            self.is_over = is_end;
            if text != self.last {
                self.last.clone_from(&text);
                return Some(text);
            }
            // A busy house says something all the time: what it says within a moment is looked at once.
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(GATHER) => {}
            }
            tokio::select! {
                () = stop.cancelled() => {}
                _ = tokio::time::timeout(Duration::from_secs(2), self.wake.changed()) => {}
            }
        }
        None
    }

    async fn read(&self) -> Result<(String, bool), Problem> {
        let mut reader = self.automation.kernel().db.read().await?;
        let run = find(&mut reader, &self.actor, &self.id).await?;
        let is_end = run.state.is_end();
        let tasks = store::tasks(&mut reader, &run.id).await?;
        let shown: RunView = view(&self.automation, run, tasks);
        Ok((serde_json::to_string(&shown).map_err(Problem::internal)?, is_end))
    }
}
