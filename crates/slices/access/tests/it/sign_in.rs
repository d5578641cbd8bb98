//! Setting up, signing in and out, sessions, throttling.

use jiff::SignedDuration;
use kernel::{Clock, Timestamp};
use serde_json::json;
use testkit::Bed;

use crate::house::{Caller, House, PASSWORD};

#[tokio::test]
async fn the_setup_token_makes_one_administrator_once() {
    for house in House::both().await {
        let nobody = Caller::default();
        assert_eq!(house.get(&nobody, "/api/v1/setup").await.body["needed"], true);
        let first = house.access.setup_link_token().await.unwrap().unwrap();
        let second = house.access.setup_link_token().await.unwrap().unwrap();
        let body = |token: &str, password: &str| json!({ "token": token, "name": "Ann", "login": "ann", "password": password });
        assert_eq!(
            house
                .post(&nobody, "/api/v1/setup", body(&first, PASSWORD))
                .await
                .status,
            403
        );
        assert_eq!(
            house
                .post(&nobody, "/api/v1/setup", body(&second, "short"))
                .await
                .status,
            422
        );
        let done = house
            .post(&nobody, "/api/v1/setup", body(&second, PASSWORD))
            .await;
        assert_eq!(done.status, 200, "{}", done.body);
        assert_eq!(done.body["roles"], json!(["administrator"]));
        assert_eq!(
            house
                .post(&nobody, "/api/v1/setup", body(&second, PASSWORD))
                .await
                .status,
            403
        );
        assert_eq!(house.get(&nobody, "/api/v1/setup").await.body["needed"], false);
        assert_eq!(house.access.setup_link_token().await.unwrap(), None);
        assert_eq!(
            house.topics().await,
            ["setup.completed", "grant.added", "session.opened"]
        );
    }
}

#[tokio::test]
async fn a_session_tells_who_one_is_and_changes_need_the_csrf_token() {
    for house in House::both().await {
        let ann = house.ann().await;
        let me = house.get(&ann, "/api/v1/session").await;
        assert_eq!(me.body["actor"]["login"], "ann");
        assert_eq!(me.body["csrf_token"], ann.csrf.clone().unwrap());
        let permissions = me.body["permissions"].as_array().unwrap();
        assert!(permissions.contains(&json!("people.write")), "{permissions:?}");
        let forged = Caller {
            csrf: None,
            ..ann.clone()
        };
        let refused = house.delete(&forged, "/api/v1/session").await;
        assert_eq!(refused.status, 403, "{}", refused.body);
        let wrong = Caller {
            csrf: Some("0".repeat(64)),
            ..ann.clone()
        };
        assert_eq!(
            house
                .post(&wrong, "/api/v1/teams", json!({ "name": "x" }))
                .await
                .status,
            403
        );
        let gone = house.delete(&ann, "/api/v1/session").await;
        assert_eq!(gone.status, 204);
        assert!(gone.cookie().unwrap().ends_with('='));
        assert_eq!(house.get(&ann, "/api/v1/session").await.status, 401);
        assert_eq!(house.get(&Caller::default(), "/api/v1/session").await.status, 401);
    }
}

#[tokio::test]
async fn signing_in_rotates_the_secret_and_forgets_the_old_session() {
    for house in House::both().await {
        let ann = house.ann().await;
        let body = json!({ "login": "ANN ", "password": PASSWORD });
        let again = house.post(&ann, "/api/v1/session", body).await;
        assert_eq!(again.status, 200, "{}", again.body);
        assert_ne!(again.cookie(), ann.cookie);
        assert_eq!(house.get(&ann, "/api/v1/session").await.status, 401);
        assert_eq!(house.get(&again.caller(), "/api/v1/session").await.status, 200);
        let set = again.headers["set-cookie"].to_str().unwrap();
        assert!(
            set.contains("HttpOnly") && set.contains("SameSite=Lax") && !set.contains("Secure"),
            "{set}"
        );
    }
}

#[tokio::test]
async fn wrong_passwords_and_unknown_logins_get_the_same_answer_and_then_wait() {
    for house in House::both().await {
        house.ann().await;
        let attempt = async |login: &str, password: &str, address: &str| {
            let caller = Caller {
                address: Some(address.to_owned()),
                ..Caller::default()
            };
            let body = json!({ "login": login, "password": password });
            house.post(&caller, "/api/v1/session", body).await
        };
        let wrong = attempt("ann", "not my password", "192.0.2.1").await;
        let unknown = attempt("nobody", "not my password", "192.0.2.2").await;
        assert_eq!((wrong.status, unknown.status), (401, 401));
        assert_eq!(wrong.body["detail"], unknown.body["detail"]);
        for _ in 0..4 {
            assert_eq!(attempt("ann", "not my password", "192.0.2.1").await.status, 401);
        }
        // The fifth failure blocks this pair for at least a second; it has not passed when the next attempt comes, or another failure doubles it.
        let mut last = attempt("ann", "not my password", "192.0.2.1").await;
        for _ in 0..4 {
            if last.status == 429 {
                break;
            }
            last = attempt("ann", "not my password", "192.0.2.1").await;
        }
        assert_eq!(last.status, 429, "{}", last.body);
        let wait: u64 = last.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=900).contains(&wait), "{wait}");
        // From elsewhere the right password still opens.
        assert_eq!(attempt("ann", PASSWORD, "192.0.2.3").await.status, 200);
        let topics = house.topics().await;
        assert!(topics.iter().filter(|topic| *topic == "session.refused").count() >= 6);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attempts_at_the_same_time_cannot_outrun_the_count() {
    for house in House::both().await {
        house.ann().await;
        let caller = Caller::default();
        let attempts = (0..12).map(|n| {
            let body = json!({ "login": "ann", "password": format!("guess number {n}") });
            house.post(&caller, "/api/v1/session", body)
        });
        let answers = futures_util::future::join_all(attempts).await;
        let tried = answers.iter().filter(|answer| answer.status == 401).count();
        assert!(tried <= 7, "{tried} guesses were answered");
    }
}

fn house_at(clock: &Clock, bed: Bed) -> House {
    assert!(matches!(clock, Clock::Fake(_)));
    House::on(bed)
}

#[tokio::test]
async fn a_session_ends_when_idle_and_its_secret_is_replaced_each_day() {
    let schema: &[(&'static str, &'static [kernel::Migration])] = &[("access", access::MIGRATIONS)];
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for is_sqlite in [true, false] {
        let clock = Clock::fake(start);
        let bed = if is_sqlite {
            Bed::sqlite_at(schema, clock.clone()).await
        } else {
            Bed::postgres_at(schema, clock.clone()).await
        };
        let house = house_at(&clock, bed);
        let ann = house.ann().await;
        clock.advance(SignedDuration::from_hours(25));
        let rotated = house.get(&ann, "/api/v1/session").await;
        let fresh = Caller {
            cookie: rotated.cookie(),
            ..ann.clone()
        };
        assert!(fresh.cookie.is_some() && fresh.cookie != ann.cookie);
        assert_eq!(rotated.body["csrf_token"], ann.csrf.clone().unwrap());
        // Requests that were under way with the secret before it still pass, for a minute.
        assert_eq!(house.get(&ann, "/api/v1/people").await.status, 200);
        clock.advance(SignedDuration::from_secs(61));
        assert_eq!(house.get(&ann, "/api/v1/people").await.status, 401);
        assert_eq!(house.get(&fresh, "/api/v1/people").await.status, 200);
        clock.advance(SignedDuration::from_hours(98));
        assert_eq!(house.get(&fresh, "/api/v1/people").await.status, 401);
    }
}

#[tokio::test]
async fn a_new_password_ends_every_session_but_its_own() {
    for house in House::both().await {
        let ann = house.ann().await;
        let phone = house.sign_in("ann").await.caller();
        let change = |current: &str, new: &str| json!({ "current": current, "new": new });
        let path = "/api/v1/session/password";
        assert_eq!(
            house
                .post(&ann, path, change("no idea at all", "eight red tricycles"))
                .await
                .status,
            422
        );
        assert_eq!(
            house
                .post(&ann, path, change(PASSWORD, "password123"))
                .await
                .status,
            422
        );
        let done = house
            .post(&ann, path, change(PASSWORD, "eight red tricycles"))
            .await;
        assert_eq!(done.status, 200, "{}", done.body);
        for old in [&ann, &phone] {
            assert_eq!(house.get(old, "/api/v1/session").await.status, 401);
        }
        assert_eq!(house.get(&done.caller(), "/api/v1/session").await.status, 200);
        assert_eq!(house.sign_in("ann").await.status, 401);
    }
}

#[tokio::test]
async fn a_printed_link_is_worth_nothing_once_there_is_an_administrator() {
    for house in House::both().await {
        let link = house.access.setup_link_token().await.unwrap().unwrap();
        let script = Caller::token(&house.access.bootstrap_token().await.unwrap());
        house.add_person(&script, "ann", Some("administrator")).await;
        let body = json!({ "token": link, "name": "Eve", "login": "eve", "password": PASSWORD });
        let nobody = Caller::default();
        assert_eq!(house.post(&nobody, "/api/v1/setup", body).await.status, 403);
        let people = house.get(&script, "/api/v1/people").await.body;
        assert_eq!(people["items"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_stranger_cannot_lock_somebody_out_of_where_they_are_signed_in() {
    let schema: &[(&'static str, &'static [kernel::Migration])] = &[("access", access::MIGRATIONS)];
    let clock = Clock::fake("2026-01-01T00:00:00Z".parse().unwrap());
    let house = house_at(&clock, Bed::sqlite_at(schema, clock.clone()).await);
    house.ann().await;
    let from = |address: String| Caller {
        address: Some(address),
        ..Caller::default()
    };
    let right = || json!({ "login": "ann", "password": PASSWORD });
    let home = from("203.0.113.5".into());
    assert_eq!(house.post(&home, "/api/v1/session", right()).await.status, 200);
    // Many machines, each below the bound of its own.
    for n in 0..50 {
        let stranger = from(format!("198.51.100.{n}"));
        let guess = json!({ "login": "ann", "password": "not my password" });
        house.post(&stranger, "/api/v1/session", guess).await;
    }
    let elsewhere = from("192.0.2.77".into());
    assert_eq!(
        house.post(&elsewhere, "/api/v1/session", right()).await.status,
        429
    );
    assert_eq!(house.post(&home, "/api/v1/session", right()).await.status, 200);
}
