//! Writers take turns, many events go in at once, history ends where it should, and a stop loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::response::IntoResponse;
use kernel::db::Kind;
use kernel::event::store::{self, Filter};
use kernel::retention::{self, Bound};
use kernel::{Actor, Clock, DbError, Kernel, Migration, NewEvent, Problem};
use sqlx::{AssertSqlSafe, Row};
use testkit::Bed;

const PAIR: &[Migration] = &[Migration {
    version: 1,
    name: "pair",
    sql: "CREATE TABLE pair (id BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL); INSERT INTO pair (id, n) VALUES (1, 0), (2, 0)",
}];

async fn bump(kernel: &Kernel, order: [i64; 2], append_at: usize) -> Result<(), DbError> {
    let mut tx = kernel.db.write().await?;
    for (step, id) in order.into_iter().enumerate() {
        if step == append_at {
            tx.append(&Actor::system("test"), NewEvent::new("pair.changed", id, &()))
                .await?;
        }
        sqlx::query("UPDATE pair SET n = n + 1 WHERE id = $1")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        tokio::task::yield_now().await;
    }
    tx.commit().await
}

/// Rows and the event log in every order at once: without turns, PostgreSQL would end some of these as deadlocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn transactions_never_wait_for_each_other_in_a_circle() {
    for bed in Bed::both(&[("pair", PAIR)]).await {
        let kernel = bed.kernel();
        let failures = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (kernel, failures) = (kernel.clone(), failures.clone());
                let order = if writer % 2 == 0 { [1, 2] } else { [2, 1] };
                kernel::task::spawn(&kernel.clone(), "writer", async move {
                    for _ in 0..20 {
                        if let Err(error) = bump(&kernel, order, writer % 3).await {
                            failures.fetch_add(1, Ordering::SeqCst);
                            println!("{error}");
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(failures.load(Ordering::SeqCst), 0);
        let mut reader = kernel.db.read().await.unwrap();
        let row = sqlx::query("SELECT n FROM pair WHERE id = 1")
            .fetch_one(&mut *reader)
            .await
            .unwrap();
        assert_eq!(row.try_get::<i64, _>(0).unwrap(), 160);
    }
}

/// Somebody else's transaction, which knows nothing of turns, can still bring one of ours down: the client may try again.
#[tokio::test]
async fn a_deadlock_is_told_as_503_with_retry_after() {
    let bed = Bed::postgres(&[]).await;
    for code in ["40P01", "40001"] {
        let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'in the way' USING ERRCODE = '{code}'; END $$");
        let mut tx = bed.kernel().db.write().await.unwrap();
        let error = sqlx::raw_sql(AssertSqlSafe(raise)).execute(&mut *tx).await;
        let error = DbError::from(error.unwrap_err());
        assert!(error.is_conflict() && !error.is_unavailable(), "{error}");
        let problem = Problem::from(error);
        assert_eq!(
            (problem.status, problem.kind.as_str()),
            (503, "/docs/api/errors/busy")
        );
        assert_eq!(problem.into_response().headers()["retry-after"], "1");
    }
}

#[tokio::test]
async fn many_events_go_in_at_once_and_in_order() {
    for bed in Bed::both(&[]).await {
        let kernel = bed.kernel();
        let actor = Actor::system("test");
        for count in [0, 1, 15, 16, 129, 300] {
            let events = (0..count).map(|n| NewEvent::new("note.written", n, &n)).collect();
            let mut tx = kernel.db.write().await.unwrap();
            let numbers = tx.append_all(&actor, events).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(numbers.len(), count);
            assert!(numbers.is_sorted());
            let mut reader = kernel.db.read().await.unwrap();
            for (index, seq) in numbers.into_iter().enumerate() {
                let event = store::get(&mut reader, seq).await.unwrap().unwrap();
                assert_eq!(event.subject, index.to_string());
            }
        }
    }
}

async fn subjects(kernel: &Kernel, filter: &Filter, before: i64) -> Vec<String> {
    let mut reader = kernel.db.read().await.unwrap();
    let events = store::before(&mut reader, filter, before, 100).await.unwrap();
    events.into_iter().map(|event| event.subject).collect()
}

#[tokio::test]
async fn every_filter_finds_the_same_events() {
    let start: kernel::Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    let beds = [
        Bed::sqlite_at(&[], Clock::fake(start)).await,
        Bed::postgres_at(&[], Clock::fake(start)).await,
    ];
    for bed in beds {
        let kernel = bed.kernel();
        let (ann, bob) = (Actor::system("ann"), Actor::system("bob"));
        for (n, topic) in [
            "alert.fired",
            "alert.resolved",
            "alerting.x",
            "run.started",
            "alert.fired",
        ]
        .into_iter()
        .enumerate()
        {
            let mut tx = kernel.db.write().await.unwrap();
            let actor = if n % 2 == 0 { &ann } else { &bob };
            tx.append(actor, NewEvent::new(topic, n, &())).await.unwrap();
            tx.commit().await.unwrap();
            kernel.clock.advance(jiff::SignedDuration::from_secs(60));
        }
        let text = |text: &str| Some(text.to_owned());
        let at = |minute: i64| Some(start.as_microsecond() + minute * 60_000_000);
        let everything = Filter::default();
        assert_eq!(
            subjects(kernel, &everything, i64::MAX).await,
            ["4", "3", "2", "1", "0"]
        );
        assert_eq!(subjects(kernel, &everything, 3).await, ["1", "0"]);
        for (topic, want) in [
            ("alert.", vec!["4", "1", "0"]),
            ("alert", vec!["4", "2", "1", "0"]),
            ("alert.fired", vec!["4", "0"]),
            ("none", vec![]),
        ] {
            let filter = Filter {
                topic_prefix: text(topic),
                ..Filter::default()
            };
            assert_eq!(subjects(kernel, &filter, i64::MAX).await, want, "{topic}");
        }
        let filter = Filter {
            actor: text("system:bob"),
            topic_prefix: text("run"),
            ..Filter::default()
        };
        assert_eq!(subjects(kernel, &filter, i64::MAX).await, ["3"]);
        let stretch = Filter {
            from_us: at(1),
            to_us: at(4),
            ..Filter::default()
        };
        assert_eq!(subjects(kernel, &stretch, i64::MAX).await, ["3", "2", "1"]);
        assert_eq!(
            subjects(kernel, &stretch, 3).await,
            ["1"],
            "the page after the third event"
        );
        let subject = Filter {
            subject: text("2"),
            to_us: at(2),
            ..Filter::default()
        };
        assert!(subjects(kernel, &subject, i64::MAX).await.is_empty());
    }
}

#[tokio::test]
async fn history_ends_but_not_what_is_held_or_not_taken_yet() {
    let start: kernel::Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    let beds = [
        Bed::sqlite_at(&[], Clock::fake(start)).await,
        Bed::postgres_at(&[], Clock::fake(start)).await,
    ];
    for bed in beds {
        let kernel = bed.kernel();
        let mut tx = kernel.db.write().await.unwrap();
        let events = (0..1200).map(|n| NewEvent::new("note.written", n, &())).collect();
        let numbers = tx.append_all(&Actor::system("test"), events).await.unwrap();
        store::create_cursor(&mut tx, "slow").await.unwrap();
        tx.commit().await.unwrap();
        kernel.clock.advance(jiff::SignedDuration::from_hours(24 * 11));
        let mut tx = kernel.db.write().await.unwrap();
        let young = NewEvent::new("note.written", "young", &());
        tx.append(&Actor::system("test"), young).await.unwrap();
        tx.commit().await.unwrap();

        let bounds = || {
            retention::events(
                retention::Settings { keep_days: 10 },
                vec![|_, (low, high)| {
                    Box::pin(async move {
                        Ok([5, 700]
                            .into_iter()
                            .filter(|n| (low..=high).contains(n))
                            .collect())
                    })
                }],
            )
        };
        retention::trim(kernel, &bounds()).await.unwrap();
        assert_eq!(
            subjects(kernel, &Filter::default(), 10).await.len(),
            9,
            "not taken yet"
        );
        let mut tx = kernel.db.write().await.unwrap();
        store::advance(&mut tx, "slow", 0, numbers[1199]).await.unwrap();
        tx.commit().await.unwrap();
        retention::trim(kernel, &bounds()).await.unwrap();
        assert_eq!(
            subjects(kernel, &Filter::default(), i64::MAX).await,
            ["event", "young", "699", "4"]
        );
        let mut reader = kernel.db.read().await.unwrap();
        let told = store::get(&mut reader, 1202).await.unwrap().unwrap();
        assert_eq!(
            (told.topic.as_str(), &told.data["removed"]),
            ("retention.trimmed", &1198.into())
        );
        assert!(
            kernel
                .metrics
                .render()
                .contains("mainstay_retention_removed_total{what=\"event\"} 1198")
        );
        drop(reader);
        retention::trim(kernel, &[Bound::delete("event", 0, "not even SQL")])
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_stop_waits_for_what_tasks_write_at_their_end() {
    for bed in Bed::both(&[("pair", PAIR)]).await {
        let kernel = bed.kernel().clone();
        let outcome = Arc::new(std::sync::Mutex::new(None));
        let (inner, result) = (kernel.clone(), outcome.clone());
        kernel::task::spawn(&kernel, "writer", async move {
            inner.stop.cancelled().await;
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            *result.lock().unwrap() = Some(bump(&inner, [1, 2], 0).await.is_ok());
        });
        kernel.close(Duration::from_secs(10)).await;
        assert_eq!(*outcome.lock().unwrap(), Some(true));
        assert!(kernel.db.read().await.is_err());
        assert!(matches!(kernel.db.kind(), Kind::Sqlite | Kind::Postgres));
    }
}
