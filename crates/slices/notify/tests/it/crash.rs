//! A process that dies between sending and noting it, and the task that sends by itself.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use kernel::db::Kind;
use serde_json::json;

use crate::house::{House, incident};
use crate::http_sink::HttpSink;

#[tokio::test]
async fn after_a_crash_a_message_is_sent_again_under_the_same_id() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        house.webhook("Hook", &sink.url).await;
        house.page(&incident("k")).await;
        sink.set_open(false);
        {
            let dying = house.another();
            let sending = dying.deliver();
            tokio::pin!(sending);
            tokio::select! {
                _ = &mut sending => panic!("the receiver has not answered"),
                _ = sink.wait_for(1) => {}
            }
        }
        sink.set_open(true);
        // Nobody else takes it while the lease holds.
        assert_eq!(house.notify.deliver().await.unwrap(), 0);
        house.clock.advance(SignedDuration::from_secs(46));
        assert_eq!(house.notify.deliver().await.unwrap(), 1);
        let got = sink.got();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].header("idempotency-key"), got[1].header("idempotency-key"));
        assert_eq!(got[0].json(), got[1].json());
        assert_eq!(house.states().await, ["sent"]);
        assert_eq!(house.notify.deliver().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn two_processes_never_send_the_same_message() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        house.webhook("Hook", &sink.url).await;
        for n in 0..20 {
            let page = notify::Page {
                url_path: None,
                ..incident(&format!("k{n}"))
            };
            house.page(&page).await;
        }
        let (one, two) = (house.another(), house.another());
        let (one, two) = tokio::join!(one.deliver(), two.deliver());
        assert_eq!(one.unwrap() + two.unwrap(), 20);
        assert_eq!(sink.got().len(), 20);
        assert!(house.states().await.iter().all(|state| state == "sent"));
    }
}

#[tokio::test]
async fn the_task_sends_with_the_commit_and_one_slow_receiver_holds_up_nobody() {
    for house in House::both().await {
        let slow = HttpSink::start(house.kernel()).await;
        let quick = HttpSink::start(house.kernel()).await;
        slow.set_open(false);
        house.webhook("Slow", &slow.url).await;
        house.webhook("Quick", &quick.url).await;
        let mut tasks = Vec::new();
        for task in notify::slice(&house.notify).tasks {
            tasks.push(kernel::task::start(house.kernel(), task));
        }
        for n in 0..8 {
            let page = notify::Page {
                url_path: Some(format!("/incidents/inc_{n}")),
                ..incident(&format!("k{n}"))
            };
            house.page(&page).await;
        }
        quick.wait_for(8).await;
        // As many as may be under way on one channel, and no more.
        assert_eq!(slow.wait_for(4).await.len(), 4);
        slow.set_open(true);
        slow.wait_for(8).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        while house.states().await.iter().any(|state| state != "sent") {
            assert!(Instant::now() < deadline, "{:?}", house.states().await);
            tokio::task::yield_now().await;
        }
        house.kernel().stop.cancel();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_restart_on_sqlite_does_not_wait_for_leases_of_the_dead() {
    for house in House::both().await {
        if house.kernel().db.kind() != Kind::Sqlite {
            continue;
        }
        let sink = HttpSink::start(house.kernel()).await;
        house.webhook("Hook", &sink.url).await;
        house.page(&incident("k")).await;
        sink.set_open(false);
        {
            let dying = house.another();
            let sending = dying.deliver();
            tokio::pin!(sending);
            tokio::select! {
                _ = &mut sending => panic!("the receiver has not answered"),
                _ = sink.wait_for(1) => {}
            }
        }
        sink.set_open(true);
        for task in notify::slice(&house.notify).tasks {
            drop(kernel::task::start(house.kernel(), task));
        }
        sink.wait_for(2).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        while house.states().await != ["sent"] {
            assert!(Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
        assert_eq!(
            house.get("/api/v1/messages").await["items"][0]["attempts"],
            json!(2)
        );
    }
}
