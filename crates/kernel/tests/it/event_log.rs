//! Events, consumers and migrations, on both databases.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use kernel::event::{consume, store};
use kernel::{Actor, Consumer, Kernel, Migration, NewEvent};
use sqlx::Row;
use testkit::Bed;

const NOTES: &[Migration] = &[Migration {
    version: 1,
    name: "note",
    sql: "CREATE TABLE note (id {{serial}}, text TEXT NOT NULL, raw {{blob}})",
}];

async fn append(kernel: &Kernel, text: &str) -> i64 {
    let mut tx = kernel.db.write().await.unwrap();
    let event = NewEvent::new("note.written", text, &serde_json::json!({ "text": text }));
    let seq = tx.append(&Actor::system("test"), event).await.unwrap();
    tx.commit().await.unwrap();
    seq
}

async fn count_notes(kernel: &Kernel) -> i64 {
    let mut reader = kernel.db.read().await.unwrap();
    let row = sqlx::query("SELECT CAST(COUNT(*) AS BIGINT) FROM note")
        .fetch_one(&mut *reader)
        .await
        .unwrap();
    row.try_get(0).unwrap()
}

fn noter() -> Consumer {
    Consumer::new("noter", &["note.*"], |tx, event| {
        Box::pin(async move {
            sqlx::query("INSERT INTO note (text) VALUES ($1)")
                .bind(event.subject.clone())
                .execute(&mut **tx)
                .await?;
            tx.append(&Actor::system("noter"), NewEvent::new("reply.sent", "x", &()))
                .await?;
            Ok(())
        })
    })
}

#[tokio::test]
async fn a_consumer_takes_each_event_once_and_names_the_cause() {
    for bed in Bed::both(&[("notes", NOTES)]).await {
        let kernel = bed.kernel();
        let first = append(kernel, "a").await;
        append(kernel, "b").await;
        let mut tx = kernel.db.write().await.unwrap();
        store::create_cursor(&mut tx, "noter").await.unwrap();
        tx.commit().await.unwrap();
        let consumer = noter();
        consume::drain(kernel, &consumer).await.unwrap();
        consume::drain(kernel, &consumer).await.unwrap();
        assert_eq!(count_notes(kernel).await, 2);
        let mut reader = kernel.db.read().await.unwrap();
        let chain = store::chain(&mut reader, first, 10).await.unwrap();
        let topics: Vec<_> = chain.iter().map(|e| e.topic.as_str()).collect();
        assert_eq!(topics, ["note.written", "reply.sent"]);
        assert_eq!(chain[1].cause, Some(first));
    }
}

#[tokio::test]
async fn a_bad_event_is_parked_and_the_next_one_is_taken() {
    for bed in Bed::both(&[("notes", NOTES)]).await {
        let kernel = bed.kernel();
        append(kernel, "poison").await;
        append(kernel, "fine").await;
        let tries = Arc::new(AtomicU32::new(0));
        let seen = tries.clone();
        let consumer = Consumer::new("picky", &["note.written"], move |_, event| {
            let seen = seen.clone();
            Box::pin(async move {
                if event.subject == "poison" {
                    seen.fetch_add(1, Ordering::SeqCst);
                    return Err("indigestible".into());
                }
                Ok(())
            })
        });
        let mut tx = kernel.db.write().await.unwrap();
        store::create_cursor(&mut tx, "picky").await.unwrap();
        tx.commit().await.unwrap();
        while consume::drain(kernel, &consumer).await.unwrap() {}
        // Past what tells of the parking.
        consume::drain(kernel, &consumer).await.unwrap();
        let mut reader = kernel.db.read().await.unwrap();
        assert_eq!(tries.load(Ordering::SeqCst), 8);
        assert_eq!(store::count_parked(&mut reader).await.unwrap(), 1);
        assert_eq!(
            store::cursor(&mut reader, "picky").await.unwrap(),
            Some(store::latest(&mut reader).await.unwrap())
        );
    }
}

/// With many writers at once, a reader that follows the numbers must never pass one that commits later.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn numbers_become_visible_in_order() {
    for bed in Bed::both(&[]).await {
        let kernel = bed.kernel().clone();
        let writers: Vec<_> = (0..4)
            .map(|w| {
                let kernel = kernel.clone();
                kernel::task::spawn(&kernel.clone(), "writer", async move {
                    for n in 0..25 {
                        append(&kernel, &format!("{w}-{n}")).await;
                    }
                })
            })
            .collect();
        let mut seen = Vec::new();
        while seen.len() < 100 {
            let mut reader = kernel.db.read().await.unwrap();
            let last = seen.last().copied().unwrap_or(0);
            seen.extend(
                store::after(&mut reader, last, 1000)
                    .await
                    .unwrap()
                    .iter()
                    .map(|e| e.seq),
            );
            drop(reader);
            tokio::task::yield_now().await;
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let mut reader = kernel.db.read().await.unwrap();
        let all: Vec<_> = store::after(&mut reader, 0, 1000)
            .await
            .unwrap()
            .iter()
            .map(|e| e.seq)
            .collect();
        assert_eq!(seen, all);
    }
}

#[tokio::test]
async fn a_newer_database_and_a_changed_step_are_refused() {
    for bed in Bed::both(&[("notes", NOTES)]).await {
        let db = &bed.kernel().db;
        db.migrate(&[("notes", NOTES)]).await.unwrap();
        let error = db.migrate(&[("notes", &[])]).await.unwrap_err().to_string();
        assert!(
            error.contains("newer than this program") && error.contains("notes"),
            "{error}"
        );
        const CHANGED: &[Migration] = &[Migration {
            version: 1,
            name: "note",
            sql: "CREATE TABLE other (id BIGINT)",
        }];
        let error = db.migrate(&[("notes", CHANGED)]).await.unwrap_err().to_string();
        assert!(error.contains("changed after"), "{error}");
    }
}

/// SQLite ends a transaction by itself when the disk fails under it. What is committed later must be there all the same.
#[tokio::test]
async fn a_transaction_that_the_database_ended_leaves_nothing_behind() {
    for bed in Bed::both(&[("notes", NOTES)]).await {
        let kernel = bed.kernel();
        let insert = "INSERT INTO note (text) VALUES ('x')";
        let mut ended = kernel.db.write().await.unwrap();
        sqlx::query("ROLLBACK").execute(&mut *ended).await.unwrap();
        drop(ended);
        let mut dropped = kernel.db.write().await.unwrap();
        sqlx::query(insert).execute(&mut *dropped).await.unwrap();
        drop(dropped);
        let mut kept = kernel.db.write().await.unwrap();
        sqlx::query(insert).execute(&mut *kept).await.unwrap();
        kept.commit().await.unwrap();
        assert_eq!(count_notes(kernel).await, 1);
    }
}
