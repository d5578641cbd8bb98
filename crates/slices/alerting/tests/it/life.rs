//! The life of an alert in the database.

use alerting::decide::State;
use alerting::{Signal, settle_all, store};
use kernel::Timestamp;

use crate::parts::{advance, beds, observe, signal, told, topics};

#[tokio::test]
async fn without_a_wait_it_is_told_in_the_same_transaction() {
    for bed in beds().await {
        let kernel = bed.kernel();
        observe(kernel, &[signal(kernel, "DiskFull", "web-1", true)]).await;
        let events = told(kernel).await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].topic, "alert.fired");
        let data: alerting::AlertData = events[0].parse().unwrap();
        assert_eq!(
            (data.name.as_str(), data.value, data.active_since),
            ("DiskFull", Some(0.95), kernel.clock.now())
        );
        advance(kernel, 5);
        observe(kernel, &[signal(kernel, "DiskFull", "web-1", true)]).await;
        assert_eq!(topics(kernel).await, ["alert.fired"], "still so is no news");
        advance(kernel, 5);
        observe(kernel, &[signal(kernel, "DiskFull", "web-1", false)]).await;
        assert_eq!(topics(kernel).await, ["alert.fired", "alert.resolved"]);
    }
}

#[tokio::test]
async fn a_rolled_back_transaction_says_nothing() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let mut tx = kernel.db.write().await.unwrap();
        alerting::observe(&mut tx, &[signal(kernel, "DiskFull", "web-1", true)])
            .await
            .unwrap();
        tx.rollback().await.unwrap();
        assert!(told(kernel).await.is_empty());
    }
}

/// The wait is in the database: whoever comes up next goes on where it stands.
#[tokio::test]
async fn a_wait_goes_on_after_a_restart_and_fires_without_a_sample() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let waiting = Signal {
            for_ms: 60_000,
            ..signal(kernel, "Slow", "web-1", true)
        };
        observe(kernel, &[waiting]).await;
        advance(kernel, 59);
        settle_all(kernel).await.unwrap();
        assert!(told(kernel).await.is_empty());
        advance(kernel, 1);
        settle_all(kernel).await.unwrap();
        settle_all(kernel).await.unwrap();
        assert_eq!(topics(kernel).await, ["alert.fired"]);
    }
}

#[tokio::test]
async fn what_is_stored_is_what_was_decided() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let first = Signal {
            for_ms: 60_000,
            keep_firing_for_ms: 30_000,
            ..signal(kernel, "Slow", "web-1", true)
        };
        observe(kernel, std::slice::from_ref(&first)).await;
        let mut reader = kernel.db.read().await.unwrap();
        let print = first.fingerprint();
        let stored = store::alert::newest(&mut reader, &[&print])
            .await
            .unwrap()
            .remove(&print)
            .unwrap();
        let now = kernel.clock.now().as_microsecond();
        assert_eq!(stored.life.state, State::Pending);
        assert_eq!(
            (stored.life.for_us, stored.life.keep_us),
            (60_000_000, 30_000_000)
        );
        assert_eq!(alerting::decide::due(&stored.life), Some(now + 60_000_000));
        assert_eq!(stored.labels, first.labels);
        assert_eq!(stored.life.sources["rule:1"].at, now);
    }
}

#[tokio::test]
async fn kept_firing_then_resolved_by_time() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let look = |active| Signal {
            keep_firing_for_ms: 30_000,
            ..signal(kernel, "Errors", "web-1", active)
        };
        observe(kernel, &[look(true)]).await;
        advance(kernel, 10);
        observe(kernel, &[look(false)]).await;
        advance(kernel, 29);
        settle_all(kernel).await.unwrap();
        assert_eq!(topics(kernel).await, ["alert.fired"]);
        advance(kernel, 1);
        settle_all(kernel).await.unwrap();
        assert_eq!(topics(kernel).await, ["alert.fired", "alert.resolved"]);
    }
}

#[tokio::test]
async fn after_a_restart_what_a_source_no_longer_sees_is_gone() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let both = [
            signal(kernel, "Down", "web-1", true),
            signal(kernel, "Down", "web-2", true),
        ];
        observe(kernel, &both).await;
        let other = Signal {
            source: "rule:2".into(),
            ..signal(kernel, "Else", "web-3", true)
        };
        observe(kernel, &[other]).await;
        advance(kernel, 30);
        let mut tx = kernel.db.write().await.unwrap();
        let now: Timestamp = tx.now();
        let still = [signal(kernel, "Down", "web-2", true)];
        alerting::reconcile(&mut tx, "rule:1", &still, now).await.unwrap();
        tx.commit().await.unwrap();
        let events = told(kernel).await;
        let resolved: Vec<_> = events.iter().filter(|e| e.topic == "alert.resolved").collect();
        assert_eq!(resolved.len(), 1);
        assert_eq!(resolved[0].data["labels"]["instance"], "web-1");
    }
}

#[tokio::test]
async fn an_alert_that_comes_and_goes_is_marked() {
    for bed in beds().await {
        let kernel = bed.kernel();
        for _ in 0..4 {
            observe(kernel, &[signal(kernel, "Edge", "web-1", true)]).await;
            advance(kernel, 60);
            observe(kernel, &[signal(kernel, "Edge", "web-1", false)]).await;
            advance(kernel, 60);
        }
        let fired: Vec<_> = told(kernel)
            .await
            .into_iter()
            .filter(|event| event.topic == "alert.fired")
            .map(|event| event.data["flapping"].as_bool().unwrap())
            .collect();
        assert_eq!(fired, [false, false, false, true]);
    }
}

/// One batch may tell a whole story.
#[tokio::test]
async fn fired_and_resolved_in_one_batch_are_both_told() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let mut gone = signal(kernel, "Blip", "web-1", false);
        gone.at = kernel.clock.now();
        let mut there = signal(kernel, "Blip", "web-1", true);
        there.at = kernel.clock.now() - jiff::SignedDuration::from_secs(10);
        let mut again = signal(kernel, "Blip", "web-1", true);
        again.at = kernel.clock.now() - jiff::SignedDuration::from_secs(20);
        let mut pause = signal(kernel, "Blip", "web-1", false);
        pause.at = kernel.clock.now() - jiff::SignedDuration::from_secs(15);
        observe(kernel, &[gone, there, again, pause]).await;
        assert_eq!(
            topics(kernel).await,
            ["alert.fired", "alert.resolved", "alert.fired", "alert.resolved"]
        );
    }
}

#[tokio::test]
async fn a_lost_agent_is_an_alert() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let handle = alerting::Alerting::new(kernel);
        let slice = alerting::slice(&handle);
        let consumer = &slice.consumers[0];
        let say = async |topic: &'static str, host: &str| {
            let mut tx = kernel.db.write().await.unwrap();
            kernel::event::store::create_cursor(&mut tx, consumer.name)
                .await
                .unwrap();
            let data = serde_json::json!({ "agent_id": "agt_1", "item_id": "itm_9", "name": host });
            tx.append(
                &kernel::Actor::system("fleet"),
                kernel::NewEvent::new(topic, "agt_1", &data),
            )
            .await
            .unwrap();
            tx.commit().await.unwrap();
            while kernel::event::consume::drain(kernel, consumer).await.unwrap() {}
        };
        say("agent.lost", "web-9").await;
        advance(kernel, 20);
        say("agent.returned", "web-9").await;
        let events = told(kernel).await;
        assert_eq!(
            events.iter().map(|e| e.topic.as_str()).collect::<Vec<_>>(),
            ["alert.fired", "alert.resolved"]
        );
        assert_eq!(events[0].data["name"], "HostLost");
        assert_eq!(events[0].data["labels"]["instance"], "web-9");
        assert_eq!(events[0].cause, Some(1));

        // The name that it returns under does not matter, and one that is taken out never returns.
        for end in ["agent.returned", "agent.revoked"] {
            advance(kernel, 20);
            say("agent.lost", "web-9").await;
            advance(kernel, 20);
            say(end, "web-10").await;
            let events = told(kernel).await;
            let last = events.last().unwrap();
            assert_eq!(
                (last.topic.as_str(), &last.data["labels"]["instance"]),
                ("alert.resolved", &"web-9".into())
            );
        }
        assert_eq!(told(kernel).await.len(), 6);
    }
}

/// The timekeeper wakes at the due time, well within the second of its fallback poll.
#[tokio::test]
async fn the_timekeeper_is_exact() {
    for bed in testkit::Bed::both(crate::parts::SCHEMA).await {
        let kernel = bed.kernel();
        let handle = alerting::Alerting::new(kernel);
        for task in alerting::slice(&handle).tasks {
            kernel::task::start(kernel, task);
        }
        let wait = Signal {
            for_ms: 150,
            ..signal(kernel, "Soon", "web-1", true)
        };
        observe(kernel, &[wait]).await;
        let mut watch = kernel.db.watch_events();
        let fired = async {
            while told(kernel).await.is_empty() {
                watch.changed().await.unwrap();
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), fired)
            .await
            .unwrap();
        let events = told(kernel).await;
        let data: alerting::AlertData = events[0].parse().unwrap();
        let late = events[0].at.duration_since(data.active_since).as_millis();
        assert!((150..900).contains(&late), "fired after {late} ms");
    }
}

#[tokio::test]
async fn what_ended_long_ago_is_forgotten_and_what_holds_is_not() {
    for bed in beds().await {
        let kernel = bed.kernel();
        observe(
            kernel,
            &[
                signal(kernel, "Old", "web-1", true),
                signal(kernel, "Held", "web-1", true),
            ],
        )
        .await;
        advance(kernel, 60);
        observe(kernel, &[signal(kernel, "Old", "web-1", false)]).await;
        advance(kernel, 9 * 86_400);
        observe(kernel, &[signal(kernel, "Young", "web-1", true)]).await;
        advance(kernel, 60);
        observe(kernel, &[signal(kernel, "Young", "web-1", false)]).await;
        let names = async || {
            let mut reader = kernel.db.read().await.unwrap();
            let rows = sqlx::query("SELECT name FROM alert ORDER BY name")
                .fetch_all(&mut *reader)
                .await
                .unwrap();
            rows.iter()
                .map(|row| sqlx::Row::get(row, 0))
                .collect::<Vec<String>>()
        };
        kernel::retention::trim(kernel, &alerting::bounds(10))
            .await
            .unwrap();
        assert_eq!(names().await, ["Held", "Old", "Young"]);
        advance(kernel, 2 * 86_400);
        let mut tx = kernel.db.write().await.unwrap();
        let news = kernel::NewEvent::new("note.written", "x", &());
        tx.append(&kernel::Actor::system("test"), news).await.unwrap();
        tx.commit().await.unwrap();
        kernel::retention::trim(kernel, &alerting::bounds(10))
            .await
            .unwrap();
        assert_eq!(names().await, ["Held", "Young"]);
    }
}

/// Ids follow the wall clock: after a step back a newer life has a smaller one.
#[tokio::test]
async fn an_older_life_with_a_later_id_neither_wins_nor_takes_the_resolve() {
    for bed in beds().await {
        let kernel = bed.kernel();
        observe(kernel, &[signal(kernel, "DiskFull", "web-1", true)]).await;
        advance(kernel, 10);
        observe(kernel, &[signal(kernel, "DiskFull", "web-1", false)]).await;
        let mut tx = kernel.db.write().await.unwrap();
        sqlx::query("UPDATE alert SET id = 'alr_ffffffffffffffffffffffffffffffff'")
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        for _ in 0..2 {
            advance(kernel, 10);
            observe(kernel, &[signal(kernel, "DiskFull", "web-1", true)]).await;
            advance(kernel, 10);
            observe(kernel, &[signal(kernel, "DiskFull", "web-1", false)]).await;
        }
        let topics = topics(kernel).await;
        assert_eq!(topics, ["alert.fired", "alert.resolved"].repeat(3));
        let mut reader = kernel.db.read().await.unwrap();
        assert!(store::alert::live(&mut reader).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn waits_of_alerts_keep_their_length_when_the_clock_steps_two_hours() {
    for step_h in [2, -2] {
        for bed in beds().await {
            let kernel = bed.kernel();
            let waiting = Signal {
                for_ms: 600_000,
                ..signal(kernel, "Slow", "web-1", true)
            };
            observe(kernel, &[waiting]).await;
            let mut kept = signal(kernel, "Kept", "web-1", true);
            kept.keep_firing_for_ms = 600_000;
            observe(kernel, &[kept.clone()]).await;
            advance(kernel, 1);
            kept.active = false;
            kept.at = kernel.clock.now();
            observe(kernel, &[kept]).await;
            advance(kernel, step_h * 3_600);
            let mut tx = kernel.db.write().await.unwrap();
            alerting::follow_step(&mut tx, step_h * 3_600_000_000)
                .await
                .unwrap();
            tx.commit().await.unwrap();
            advance(kernel, 598);
            settle_all(kernel).await.unwrap();
            assert_eq!(topics(kernel).await, ["alert.fired"], "early after {step_h} h");
            advance(kernel, 3);
            settle_all(kernel).await.unwrap();
            let topics = topics(kernel).await;
            assert_eq!(topics.len(), 3, "late after {step_h} h: {topics:?}");
        }
    }
}
