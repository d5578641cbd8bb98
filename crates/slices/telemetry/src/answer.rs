//! Large answers on their way out: bounded each, bounded together, and given up when their reader is too slow.
//!
//! An answer is made while its query holds its slot. It keeps the slot until there is room among the answers that are being sent, so
//! that slow readers hold what this room holds and no more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use kernel::Kernel;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::query::QueryError;

/// Largest answer, in bytes.
pub(crate) const MOST: usize = 64 << 20;
/// Answers up to this size are a matter of the connection that they go out on.
const SMALL: usize = 64 << 10;
/// What all larger answers hold together, in KiB.
const ROOM_KIB: usize = 256 << 10;
/// How long an answer waits for room.
const PATIENCE: Duration = Duration::from_secs(10);
/// A reader that takes longer is given up.
const SEND_TIME: Duration = Duration::from_secs(120);
const CHUNK: usize = 64 << 10;

#[derive(Clone)]
pub(crate) struct Answers {
    kernel: Kernel,
    room: Arc<Semaphore>,
    send_time: Duration,
}

/// What is left to send. Gone when the reader is given up, whatever still holds the body.
type Rest = Arc<Mutex<Option<(Bytes, OwnedSemaphorePermit)>>>;

impl Answers {
    pub(crate) fn new(kernel: &Kernel) -> Self {
        Self {
            kernel: kernel.clone(),
            room: Arc::new(Semaphore::new(ROOM_KIB)),
            send_time: SEND_TIME,
        }
    }

    /// Sends JSON. The slot of the query is given back when the answer has its room.
    pub(crate) async fn json(
        &self,
        body: String,
        slot: OwnedSemaphorePermit,
    ) -> Result<Response, QueryError> {
        let json = [(header::CONTENT_TYPE, "application/json")];
        if body.len() <= SMALL {
            return Ok((json, body).into_response());
        }
        let kib = u32::try_from(body.len().div_ceil(1024)).unwrap_or(u32::MAX);
        let room = tokio::time::timeout(PATIENCE, self.room.clone().acquire_many_owned(kib));
        let room = room
            .await
            .map_err(|_| QueryError::Crowded)?
            .map_err(|_| QueryError::Lost)?;
        drop(slot);
        let length = [(header::CONTENT_LENGTH, body.len().to_string())];
        Ok((json, length, self.body(body.into(), room)).into_response())
    }

    fn body(&self, bytes: Bytes, room: OwnedSemaphorePermit) -> Body {
        let rest: Rest = Arc::new(Mutex::new(Some((bytes, room))));
        let (reading, gone) = tokio::sync::oneshot::channel::<()>();
        let (watched, send_time) = (rest.clone(), self.send_time);
        // A reader that stops reading never asks again, so the body cannot give itself up.
        kernel::task::spawn(&self.kernel, "telemetry.answer", async move {
            let _ = tokio::time::timeout(send_time, gone).await;
            watched.lock().unwrap_or_else(PoisonError::into_inner).take();
        });
        let chunks = stream::unfold((rest, reading, false), |(rest, reading, is_over)| async move {
            if is_over {
                return None;
            }
            let chunk = next_chunk(&rest);
            let is_over = !matches!(chunk, Some(Ok(_)));
            chunk.map(|chunk| (chunk, (rest, reading, is_over)))
        });
        // What compresses an answer asks once more after its end.
        Body::from_stream(chunks.fuse())
    }
}

/// `None` at the end, an error when the reader was given up.
fn next_chunk(rest: &Rest) -> Option<std::io::Result<Bytes>> {
    let mut rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((bytes, _)) = rest.as_mut() else {
        return Some(Err(std::io::ErrorKind::TimedOut.into()));
    };
    if bytes.is_empty() {
        return None;
    }
    Some(Ok(bytes.split_to(CHUNK.min(bytes.len()))))
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn slot() -> OwnedSemaphorePermit {
        Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap()
    }

    fn answers(bed: &testkit::Bed, room_kib: usize, send_time: Duration) -> Answers {
        Answers {
            kernel: bed.kernel().clone(),
            room: Arc::new(Semaphore::new(room_kib)),
            send_time,
        }
    }

    async fn bed() -> testkit::Bed {
        testkit::Bed::both(&[]).await.remove(0)
    }

    #[tokio::test]
    async fn an_answer_arrives_whole_and_leaves_its_room() {
        let bed = bed().await;
        let answers = answers(&bed, 1024, SEND_TIME);
        for length in [10, SMALL, SMALL + 1, 1 << 20] {
            let text = "x".repeat(length);
            let answer = answers.json(text.clone(), slot().await).await.unwrap();
            let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
            assert_eq!(body.len(), length);
        }
        let all = answers.room.clone().acquire_many_owned(1024);
        let _all = tokio::time::timeout(PATIENCE, all).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn slow_readers_hold_a_bounded_room_and_their_slots_until_they_have_it() {
        let bed = bed().await;
        let answers = answers(&bed, 1024, SEND_TIME);
        let slots = Arc::new(Semaphore::new(1));
        let big = || "x".repeat(1 << 20);
        let held = answers
            .json(big(), slots.clone().acquire_owned().await.unwrap())
            .await
            .unwrap();
        let slot = slots.clone().acquire_owned().await.unwrap();
        let mut second = std::pin::pin!(answers.json(big(), slot));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(
            second.as_mut().poll(&mut context).is_pending(),
            "it waits for room"
        );
        assert!(slots.try_acquire().is_err(), "and holds its slot meanwhile");
        drop(held);
        second.await.unwrap();
        assert!(slots.try_acquire().is_ok());
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_is_given_up() {
        let bed = bed().await;
        let answers = answers(&bed, 1024, Duration::from_millis(20));
        let held = answers.json("x".repeat(1 << 20), slot().await).await.unwrap();
        let all = answers.room.clone().acquire_many_owned(1024);
        let _all = tokio::time::timeout(PATIENCE, all).await.unwrap().unwrap();
        assert!(
            to_bytes(held.into_body(), usize::MAX).await.is_err(),
            "cut off, not cut short"
        );
    }
}
