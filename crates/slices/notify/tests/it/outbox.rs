//! Pages and the outbox: who gets what, once, in which order, and how long it is tried.

use jiff::SignedDuration;
use kernel::Actor;
use notify::{Page, PageKind, Severity};
use serde_json::json;

use crate::house::{House, incident};
use crate::http_sink::HttpSink;

#[tokio::test]
async fn a_page_goes_once_to_each_channel_that_takes_it() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        let all = house.webhook("All", &format!("{}/all", sink.url)).await;
        let picky = house.webhook("Picky", &format!("{}/picky", sink.url)).await;
        let off = house.webhook("Off", &format!("{}/off", sink.url)).await;
        let subscription = json!({ "min_severity": "critical", "kinds": ["incident_opened"] });
        house
            .patch(
                &format!("/api/v1/channels/{picky}"),
                json!({ "subscription": subscription }),
            )
            .await;
        house
            .patch(&format!("/api/v1/channels/{off}"), json!({ "is_enabled": false }))
            .await;
        assert_eq!(house.page(&incident("inc_1:opened")).await, 2);
        assert_eq!(house.page(&incident("inc_1:opened")).await, 0);
        let warning = Page {
            severity: Severity::Warning,
            kind: PageKind::RunFinished,
            ..incident("run_1")
        };
        assert_eq!(house.page(&warning).await, 1);
        let chosen = Page {
            channels: Some(vec![picky.clone(), off.clone()]),
            ..incident("chosen")
        };
        assert_eq!(house.page(&chosen).await, 1);
        assert_eq!(house.notify.deliver().await.unwrap(), 4);
        let mut paths: Vec<_> = sink.got().iter().map(|got| got.path.clone()).collect();
        paths.sort();
        assert_eq!(paths, ["/all", "/all", "/picky", "/picky"]);
        assert_eq!(house.notify.deliver().await.unwrap(), 0);
        let list = house
            .get(&format!("/api/v1/messages?channel={all}&state=sent&limit=1"))
            .await;
        assert_eq!(list["items"][0]["title"], "nginx on web-1 has stopped");
        let next = list["next"].as_str().unwrap();
        let rest = house
            .get(&format!(
                "/api/v1/messages?channel={all}&state=sent&limit=1&cursor={next}"
            ))
            .await;
        assert_eq!(rest["items"].as_array().unwrap().len(), 1);
        assert_eq!(rest["next"], json!(null));
    }
}

#[tokio::test]
async fn nothing_is_sent_when_the_transaction_is_not_committed() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        house.webhook("Hook", &sink.url).await;
        let mut tx = house.kernel().db.write().await.unwrap();
        let queued = notify::page(&mut tx, &Actor::system("x"), &incident("k"))
            .await
            .unwrap();
        assert_eq!(queued, 1);
        tx.rollback().await.unwrap();
        assert_eq!(house.notify.deliver().await.unwrap(), 0);
        assert!(sink.got().is_empty());
    }
}

#[tokio::test]
async fn a_failure_waits_as_long_as_it_should_and_tells_once() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        house.webhook("Hook", &sink.url).await;
        sink.reply(500, Vec::new(), "");
        sink.reply(503, vec![("retry-after", "120".into())], "");
        house.page(&incident("k")).await;
        assert_eq!(house.notify.deliver().await.unwrap(), 1);
        assert_eq!(house.notify.deliver().await.unwrap(), 0);
        house.clock.advance(SignedDuration::from_secs(3));
        assert_eq!(house.notify.deliver().await.unwrap(), 1);
        house.clock.advance(SignedDuration::from_secs(119));
        assert_eq!(house.notify.deliver().await.unwrap(), 0);
        let waiting = house.get("/api/v1/messages").await;
        assert_eq!(waiting["items"][0]["attempts"], 2);
        assert!(waiting["items"][0]["error"].as_str().unwrap().contains("503"));
        house.clock.advance(SignedDuration::from_secs(1));
        assert_eq!(house.notify.deliver().await.unwrap(), 1);
        assert_eq!(house.states().await, ["sent"]);
        let keys: Vec<_> = sink
            .got()
            .iter()
            .map(|got| got.header("idempotency-key").to_owned())
            .collect();
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{keys:?}");
        let topics = house.topics().await;
        assert_eq!(topics[1..], ["message.queued", "message.failed", "message.sent"]);
    }
}

#[tokio::test]
async fn what_is_refused_for_good_is_given_up_until_somebody_retries() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        house.webhook("Hook", &sink.url).await;
        sink.reply(404, Vec::new(), "no such hook");
        house.page(&incident("k")).await;
        house.notify.deliver().await.unwrap();
        assert_eq!(house.states().await, ["dead"]);
        house.clock.advance(SignedDuration::from_hours(1));
        assert_eq!(house.notify.deliver().await.unwrap(), 0);
        let id = house.get("/api/v1/messages").await["items"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let path = format!("/api/v1/messages/{id}/retry");
        assert_eq!(house.call("viewer", "POST", &path, None).await.0, 403);
        let (status, body) = house.call("operator", "POST", &path, None).await;
        assert_eq!((status, &body["state"]), (200, &json!("waiting")));
        assert_eq!(house.notify.deliver().await.unwrap(), 1);
        assert_eq!(house.states().await, ["sent"]);
        assert_eq!(house.call("operator", "POST", &path, None).await.0, 409);
        let topics = house.topics().await;
        assert_eq!(
            topics[1..],
            [
                "message.queued",
                "message.failed",
                "message.retried",
                "message.sent"
            ]
        );
    }
}

#[tokio::test]
async fn after_a_day_a_message_is_dead() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        let hook = house.webhook("Hook", &sink.url).await;
        for _ in 0..400 {
            sink.reply(500, Vec::new(), "");
        }
        house.page(&incident("a")).await;
        let mut attempts = 0;
        while house.states().await == ["waiting"] {
            attempts += house.notify.deliver().await.unwrap();
            house.clock.advance(SignedDuration::from_mins(13));
            assert!(attempts < 200);
        }
        assert!(attempts > 50, "{attempts}");
        assert_eq!(house.states().await, ["dead"]);
        // What waits on a channel that stays off ends the same way.
        house.page(&incident("b")).await;
        house
            .patch(
                &format!("/api/v1/channels/{hook}"),
                json!({ "is_enabled": false }),
            )
            .await;
        assert_eq!(house.notify.deliver().await.unwrap(), 0);
        house.clock.advance(SignedDuration::from_hours(25));
        house.notify.sweep().await.unwrap();
        assert_eq!(house.states().await, ["dead", "dead"]);
        let failed = house.topics().await;
        assert_eq!(
            failed.iter().filter(|topic| *topic == "message.failed").count(),
            3
        );
        house.clock.advance(SignedDuration::from_hours(24 * 31));
        let mut tx = house.kernel().db.write().await.unwrap();
        let news = kernel::NewEvent::new("note.written", "x", &());
        tx.append(&kernel::Actor::system("test"), news).await.unwrap();
        tx.commit().await.unwrap();
        for (keep_days, left) in [(0, 2), (90, 2), (30, 0)] {
            kernel::retention::trim(house.kernel(), &notify::bounds(keep_days))
                .await
                .unwrap();
            assert_eq!(house.states().await.len(), left, "kept {keep_days} days");
        }
        assert!(house.states().await.is_empty());
    }
}

#[tokio::test]
async fn what_belongs_together_keeps_its_order() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        house.webhook("Hook", &sink.url).await;
        sink.reply(500, Vec::new(), "");
        house.page(&incident("opened")).await;
        let resolved = Page {
            kind: PageKind::IncidentResolved,
            ..incident("resolved")
        };
        house.page(&resolved).await;
        let other = Page {
            url_path: Some("/incidents/inc_2".into()),
            ..incident("other")
        };
        house.page(&other).await;
        house.notify.deliver().await.unwrap();
        assert_eq!(house.states().await, ["waiting", "waiting", "sent"]);
        house.clock.advance(SignedDuration::from_secs(3));
        house.notify.deliver().await.unwrap();
        assert_eq!(house.states().await, ["sent", "sent", "sent"]);
        let kinds: Vec<_> = sink
            .got()
            .iter()
            .skip(2)
            .map(|got| got.json()["kind"].clone())
            .collect();
        assert_eq!(kinds, ["incident_opened", "incident_resolved"]);
    }
}

#[tokio::test]
async fn removing_a_channel_gives_up_what_waits_on_it() {
    for house in House::both().await {
        let hook = house.webhook("Hook", "http://127.0.0.1:9/").await;
        house.page(&incident("k")).await;
        let path = format!("/api/v1/channels/{hook}");
        assert_eq!(house.call("administrator", "DELETE", &path, None).await.0, 204);
        let list = house.get("/api/v1/messages").await;
        assert_eq!(list["items"][0]["state"], "dead");
        assert_eq!(list["items"][0]["error"], "its channel was removed");
    }
}

#[tokio::test]
async fn waits_of_messages_survive_a_clock_that_steps_two_hours() {
    for step_h in [2, -2, 48, -48] {
        for house in House::both().await {
            let sink = HttpSink::start(house.kernel()).await;
            house.webhook("Hook", &sink.url).await;
            sink.reply(503, vec![("retry-after", "600".into())], "");
            house.page(&incident("k")).await;
            house.notify.deliver().await.unwrap();
            let step = SignedDuration::from_hours(step_h);
            house.clock.advance(step);
            house.notify.follow_step(step).await.unwrap();
            house.notify.sweep().await.unwrap();
            assert_eq!(house.notify.deliver().await.unwrap(), 0, "early after {step_h} h");
            house.clock.advance(SignedDuration::from_secs(600));
            assert_eq!(house.notify.deliver().await.unwrap(), 1, "late after {step_h} h");
            assert_eq!(house.states().await, ["sent"]);
        }
    }
}

/// A server that was down while its clock was set back has not seen the step.
#[tokio::test]
async fn a_message_dated_by_a_clock_that_was_ahead_is_sent_at_once() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        house.webhook("Hook", &sink.url).await;
        house.page(&incident("k")).await;
        house.clock.advance(SignedDuration::from_hours(-2));
        assert_eq!(house.another().deliver().await.unwrap(), 1);
        assert_eq!(house.states().await, ["sent"]);
    }
}

/// A step forward ends the lease of an attempt that is still under way.
#[tokio::test]
async fn a_clock_that_steps_forward_does_not_send_a_message_twice() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        house.webhook("Hook", &sink.url).await;
        sink.set_open(false);
        house.page(&incident("k")).await;
        let sending = house.notify.clone();
        let sending = kernel::task::spawn(house.kernel(), "sending", async move {
            sending.deliver().await.unwrap();
        });
        sink.wait_for(1).await;
        house.clock.advance(SignedDuration::from_hours(2));
        assert_eq!(house.notify.deliver().await.unwrap(), 0);
        sink.set_open(true);
        sending.await.unwrap();
        assert_eq!(sink.got().len(), 1);
        assert_eq!(house.states().await, ["sent"]);
    }
}

/// 481 alerts of one rule, and one page about something else.
#[tokio::test]
async fn a_flood_is_some_messages_and_a_bundle_that_counts_the_rest_and_delays_nothing_else() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        house.webhook("Hook", &sink.url).await;
        let mut tx = house.kernel().db.write().await.unwrap();
        let actor = Actor::system("incidents");
        for n in 0..481 {
            let page = Page {
                title: format!("Too many of series {n}"),
                severity: Severity::Warning,
                url_path: Some(format!("/incidents/inc_{n}")),
                source: Some("TooMany".into()),
                ..incident(&format!("flood {n}"))
            };
            notify::page(&mut tx, &actor, &page).await.unwrap();
        }
        let other = Page {
            title: "The database is down".into(),
            url_path: Some("/incidents/inc_other".into()),
            source: Some("DatabaseDown".into()),
            ..incident("other")
        };
        notify::page(&mut tx, &actor, &other).await.unwrap();
        tx.commit().await.unwrap();
        house.notify.deliver().await.unwrap();
        let got = sink.got();
        let title = |n: usize| got[n].json()["title"].as_str().unwrap().to_owned();
        // Among the first that one channel sends at once.
        assert!((0..4).any(|n| title(n).contains("The database is down")));
        assert!(got.len() <= 35, "{}", got.len());
        let bundle = got
            .iter()
            .map(|got| got.json())
            .find(|body| body["title"].as_str().unwrap().contains("notifications"))
            .unwrap();
        let alone = got.len() - 2;
        let text = bundle["text"].as_str().unwrap();
        let more = format!("- and {} more", 481 - alone - 10);
        assert!(text.contains(&more), "{text}");
        assert!(text.contains("https://ops.example.org/incidents/inc_"), "{text}");
        let mut reader = house.kernel().db.read().await.unwrap();
        let all = notify::store::messages::list(&mut reader, "", "", i64::MAX, 1_000)
            .await
            .unwrap();
        let in_state = |state: &str| all.iter().filter(|m| m.state.as_str() == state).count();
        assert_eq!((in_state("waiting"), in_state("bundled")), (0, 481 - alone));
        let sent = all
            .iter()
            .find(|m| m.page.title.contains("notifications"))
            .unwrap();
        assert!(
            all.iter()
                .all(|m| m.bundle.as_deref().is_none_or(|b| b == sent.id.as_str()))
        );
        drop(reader);
        // More of the same waits for its turn, then goes as one.
        for n in 0..50 {
            let page = Page {
                url_path: Some(format!("/incidents/more_{n}")),
                source: Some("TooMany".into()),
                ..incident(&format!("more {n}"))
            };
            house.page(&page).await;
        }
        assert_eq!(house.notify.deliver().await.unwrap(), 0);
        house.clock.advance(SignedDuration::from_secs(3));
        assert_eq!(house.notify.deliver().await.unwrap(), 1);
        assert!(house.states().await.iter().all(|state| state != "waiting"));
    }
}
