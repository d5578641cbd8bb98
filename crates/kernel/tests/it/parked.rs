//! Handlers that panic, hang or fail: what they cost, what is parked, and how it is taken after all. On both databases.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use kernel::event::{consume, measure, parked, store};
use kernel::{Actor, AnyError, Consumer, DbError, Kernel, NewEvent};
use testkit::Bed;
use tower::ServiceExt;

use crate::http::ByHeader;

async fn append(kernel: &Kernel, subjects: &[&str]) -> Vec<i64> {
    let mut tx = kernel.db.write().await.unwrap();
    let events = subjects
        .iter()
        .map(|subject| NewEvent::new("note.written", subject, &()));
    let numbers = tx
        .append_all(&Actor::system("test"), events.collect())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    numbers
}

async fn drain(kernel: &Kernel, consumer: &Consumer) {
    while consume::drain(kernel, consumer).await.unwrap() {}
    // What parking appends is behind the batch.
    consume::drain(kernel, consumer).await.unwrap();
}

async fn list(kernel: &Kernel) -> Vec<parked::ParkedEvent> {
    let mut reader = kernel.db.read().await.unwrap();
    parked::list(&mut reader, (i64::MAX, i64::MAX), 100)
        .await
        .unwrap()
}

/// Counts what it takes; is bad to the subject `poison`, in the way given.
fn picky(bad: impl Fn() -> Result<(), AnyError> + Send + Sync + 'static) -> (Consumer, Arc<AtomicU32>) {
    let (bad, taken) = (Arc::new(bad), Arc::new(AtomicU32::new(0)));
    let seen = taken.clone();
    let consumer = Consumer::new("picky", &["note.written"], move |tx, event| {
        let (bad, seen) = (bad.clone(), seen.clone());
        Box::pin(async move {
            if event.subject == "poison" {
                bad()?;
            }
            tx.after_commit(move || {
                seen.fetch_add(1, Ordering::SeqCst);
            });
            Ok(())
        })
    });
    (consumer, taken)
}

#[tokio::test]
async fn a_panic_is_an_attempt_and_parks() {
    for bed in Bed::both(&[]).await {
        let kernel = bed.kernel();
        consume::register(kernel, &["picky"]).await.unwrap();
        let tries = Arc::new(AtomicU32::new(0));
        let count = tries.clone();
        let (consumer, taken) = picky(move || {
            count.fetch_add(1, Ordering::SeqCst);
            panic!("beyond repair")
        });
        let numbers = append(kernel, &["a", "b", "poison", "c", "d"]).await;
        drain(kernel, &consumer).await;
        assert_eq!(taken.load(Ordering::SeqCst), 4);
        assert_eq!(tries.load(Ordering::SeqCst), 8);
        let list = list(kernel).await;
        let [one] = list.as_slice() else {
            panic!("{list:?}")
        };
        assert_eq!((one.consumer.as_str(), one.seq), ("picky", numbers[2]));
        assert!(one.error.contains("panicked: beyond repair"), "{}", one.error);
        assert_eq!(one.topic.as_deref(), Some("note.written"));
        let mut reader = kernel.db.read().await.unwrap();
        let told = store::after(&mut reader, numbers[4], 10).await.unwrap();
        assert_eq!(
            (told[0].topic.as_str(), told[0].subject.as_str()),
            ("event.parked", "picky")
        );
        assert_eq!(told[0].cause, Some(numbers[2]));
        let sizes = measure::sizes(&mut reader).await.unwrap();
        assert_eq!(sizes.parked, [("picky".to_owned(), 1)]);
    }
}

#[tokio::test]
async fn a_handler_that_hangs_gives_the_writer_back() {
    for bed in Bed::both(&[]).await {
        let kernel = bed.kernel();
        consume::register(kernel, &["stuck"]).await.unwrap();
        let consumer = Consumer::new("stuck", &["note.written"], |tx, event| {
            Box::pin(async move {
                sqlx::query("UPDATE consumer_cursor SET seq = seq WHERE name = 'stuck'")
                    .execute(&mut **tx)
                    .await?;
                if event.subject == "poison" {
                    std::future::pending::<()>().await;
                }
                Ok(())
            })
        });
        let consumer = consumer.within(Duration::from_millis(30));
        append(kernel, &["poison", "fine"]).await;
        drain(kernel, &consumer).await;
        assert_eq!(list(kernel).await.len(), 1);
        assert!(list(kernel).await[0].error.contains("not done within"));
        append(kernel, &["still writes"]).await;
    }
}

#[tokio::test]
async fn events_share_a_transaction_while_none_fails() {
    for bed in Bed::both(&[]).await {
        let kernel = bed.kernel();
        consume::register(kernel, &["many"]).await.unwrap();
        let times = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
        let seen = times.clone();
        let consumer = Consumer::new("many", &["note.written"], move |tx, _| {
            seen.lock().unwrap().insert(tx.now());
            Box::pin(async { Ok(()) })
        });
        append(kernel, &["x"; 200]).await;
        drain(kernel, &consumer).await;
        let mut reader = kernel.db.read().await.unwrap();
        let cursor = store::cursor(&mut reader, "many").await.unwrap();
        assert_eq!(cursor, Some(store::latest(&mut reader).await.unwrap()));
        let count = times.lock().unwrap().len();
        assert!(count <= 20, "{count} transactions for 200 events");
    }
}

#[tokio::test]
async fn a_new_consumer_begins_at_the_end_of_a_history_that_others_followed() {
    for bed in Bed::both(&[]).await {
        let kernel = bed.kernel();
        append(kernel, &["first"]).await;
        consume::register(kernel, &["old"]).await.unwrap();
        append(kernel, &["second"]).await;
        consume::register(kernel, &["old", "new"]).await.unwrap();
        let mut reader = kernel.db.read().await.unwrap();
        assert_eq!(store::cursor(&mut reader, "old").await.unwrap(), Some(0));
        assert_eq!(store::cursor(&mut reader, "new").await.unwrap(), Some(2));
    }
}

#[tokio::test]
async fn a_row_that_does_not_read_is_parked_and_the_next_one_is_taken() {
    for bed in Bed::both(&[]).await {
        let kernel = bed.kernel();
        consume::register(kernel, &["picky"]).await.unwrap();
        let (consumer, taken) = picky(|| Ok(()));
        let numbers = append(kernel, &["a", "torn", "b"]).await;
        let mut tx = kernel.db.write().await.unwrap();
        sqlx::query("UPDATE event SET data = '{' WHERE seq = $1")
            .bind(numbers[1])
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        drain(kernel, &consumer).await;
        assert_eq!(taken.load(Ordering::SeqCst), 2);
        assert_eq!(list(kernel).await[0].seq, numbers[1]);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a slice's own")]
struct Wrapped(#[source] DbError);

#[tokio::test]
async fn a_database_that_is_away_parks_nothing_however_the_error_is_wrapped() {
    for bed in Bed::both(&[]).await {
        let kernel = bed.kernel();
        consume::register(kernel, &["picky"]).await.unwrap();
        let is_away = Arc::new(AtomicBool::new(true));
        let away = is_away.clone();
        let (consumer, taken) = picky(move || match away.load(Ordering::SeqCst) {
            true => Err(Box::new(Wrapped(DbError::Sqlx(sqlx::Error::PoolTimedOut)))),
            false => Ok(()),
        });
        append(kernel, &["a", "poison"]).await;
        for _ in 0..10 {
            assert!(
                consume::drain(kernel, &consumer)
                    .await
                    .unwrap_err()
                    .is_unavailable()
            );
        }
        is_away.store(false, Ordering::SeqCst);
        drain(kernel, &consumer).await;
        assert_eq!(taken.load(Ordering::SeqCst), 2);
        assert!(list(kernel).await.is_empty());
    }
}

#[tokio::test]
async fn a_handler_that_fails_at_everything_does_not_take_minutes_for_each() {
    let bed = Bed::sqlite(&[]).await;
    let kernel = bed.kernel();
    consume::register(kernel, &["picky"]).await.unwrap();
    let tries = Arc::new(AtomicU32::new(0));
    let count = tries.clone();
    let (consumer, _) = picky(move || {
        count.fetch_add(1, Ordering::SeqCst);
        Err("never".into())
    });
    append(kernel, &["poison"; 40]).await;
    drain(kernel, &consumer).await;
    assert_eq!(list(kernel).await.len(), 40);
    assert!(tries.load(Ordering::SeqCst) <= 8 + 4 + 38 * 2, "{tries:?}");
}

async fn ask(bed: &Bed, method: &str, path: &str, role: &str) -> (u16, serde_json::Value) {
    let app = kernel::http::assemble(bed.kernel(), &mut [], Arc::new(ByHeader), Default::default());
    let request = Request::builder().method(method).uri(path).header("role", role);
    let response = app
        .router
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_parked_event_is_listed_tried_again_and_dismissed() {
    for bed in Bed::both(&[]).await {
        let kernel = bed.kernel();
        consume::register(kernel, &["picky"]).await.unwrap();
        let is_broken = Arc::new(AtomicBool::new(true));
        let broken = is_broken.clone();
        let (consumer, taken) = picky(move || match broken.load(Ordering::SeqCst) {
            true => Err("not today".into()),
            false => Ok(()),
        });
        let numbers = append(kernel, &["poison", "poison"]).await;
        drain(kernel, &consumer).await;
        let (status, page) = ask(&bed, "GET", "/api/v1/parked-events?limit=1", "administrator").await;
        assert_eq!((status, page["items"].as_array().unwrap().len()), (200, 1));
        let next = page["next"].as_str().unwrap();
        let path = format!("/api/v1/parked-events?cursor={next}");
        let (_, page) = ask(&bed, "GET", &path, "administrator").await;
        assert_eq!(page["items"][0]["seq"], numbers[0]);
        assert_eq!(page["items"][0]["error"], "not today");

        let first = format!("/api/v1/parked-events/picky/{}", numbers[0]);
        let retry = format!("{first}/retry");
        for role in ["viewer", "operator", "manager", "auditor"] {
            assert_eq!(ask(&bed, "POST", &retry, role).await.0, 403);
            assert_eq!(ask(&bed, "DELETE", &first, role).await.0, 403);
            assert_eq!(ask(&bed, "GET", "/api/v1/parked-events", role).await.0, 403);
        }
        assert_eq!(ask(&bed, "POST", &retry, "administrator").await.0, 202);
        drain(kernel, &consumer).await;
        assert_eq!((list(kernel).await.len(), taken.load(Ordering::SeqCst)), (2, 0));
        is_broken.store(false, Ordering::SeqCst);
        assert_eq!(ask(&bed, "POST", &retry, "administrator").await.0, 202);
        drain(kernel, &consumer).await;
        assert_eq!((list(kernel).await.len(), taken.load(Ordering::SeqCst)), (1, 1));
        assert_eq!(ask(&bed, "POST", &retry, "administrator").await.0, 404);

        let second = format!("/api/v1/parked-events/picky/{}", numbers[1]);
        assert_eq!(ask(&bed, "DELETE", &second, "administrator").await.0, 204);
        assert!(list(kernel).await.is_empty());
        assert_eq!(ask(&bed, "DELETE", &second, "administrator").await.0, 404);
        let mut reader = kernel.db.read().await.unwrap();
        let topics: Vec<String> = store::after(&mut reader, numbers[1], 100)
            .await
            .unwrap()
            .into_iter()
            .map(|event| event.topic)
            .collect();
        assert_eq!(topics.iter().filter(|t| *t == "event.released").count(), 1);
        assert_eq!(topics.last().map(String::as_str), Some("event.dismissed"));
    }
}

/// A client that hangs up drops the request wherever it stands; what was committed is followed up all the same.
#[tokio::test]
async fn a_commit_that_nobody_waits_for_runs_its_hooks() {
    for bed in Bed::both(&[]).await {
        let kernel = bed.kernel();
        let mut watch = kernel.db.watch_events();
        let mut tx = kernel.db.write().await.unwrap();
        tx.append(&Actor::system("test"), NewEvent::new("note.written", "x", &()))
            .await
            .unwrap();
        let (told, heard) = tokio::sync::oneshot::channel();
        tx.after_commit(|| panic!("a hook that fails"));
        tx.after_commit(move || {
            let _ = told.send(());
        });
        let mut commit = Box::pin(tx.commit());
        assert!(futures_util::poll!(commit.as_mut()).is_pending());
        drop(commit);
        tokio::time::timeout(Duration::from_secs(10), heard)
            .await
            .unwrap()
            .unwrap();
        assert!(watch.has_changed().unwrap() && *watch.borrow_and_update() == 1);
    }
}
