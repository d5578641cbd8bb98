//! Failed sign-ins: what they cost others, behind proxies and on the database.

use kernel::Clock;
use serde_json::json;
use testkit::Bed;

use crate::house::{Answer, Caller, House, PASSWORD};

async fn house() -> House {
    let clock = Clock::fake("2026-01-01T00:00:00Z".parse().unwrap());
    House::on(Bed::sqlite_at(&[("access", access::MIGRATIONS)], clock).await)
}

async fn attempt(house: &House, caller: &Caller, login: &str, password: &str) -> Answer {
    let body = json!({ "login": login, "password": password });
    house.post(caller, "/api/v1/session", body).await
}

/// Fails until it is told to wait; gives the number of attempts.
async fn fail(house: &House, caller: &Caller) -> usize {
    for n in 0..40 {
        let login = format!("guess{n}");
        if attempt(house, caller, &login, "not my password").await.status == 429 {
            return n;
        }
    }
    panic!("never told to wait")
}

#[tokio::test]
async fn a_stranger_who_signs_in_does_not_wait_for_the_writer_nor_take_it() {
    for house in House::both().await {
        let writer = house.bed.kernel().db.write().await.unwrap();
        let stranger = Caller::default();
        for _ in 0..3 {
            let refused = attempt(&house, &stranger, "nobody", "not my password").await;
            assert_eq!(refused.status, 401);
        }
        writer.rollback().await.unwrap();
        let topics = house.topics().await;
        assert_eq!(topics, ["session.refused"; 3]);
    }
}

#[tokio::test]
async fn failures_are_counted_over_a_restart() {
    let house = house().await;
    let stranger = Caller::default();
    fail(&house, &stranger).await;
    house.access.write_attempts().await.unwrap();
    let House { bed, .. } = house;
    let house = House::on(bed);
    let refused = attempt(&house, &stranger, "another", "not my password").await;
    assert_eq!(refused.status, 429, "{}", refused.body);
}

/// A proxy that adds a line of its own leaves the line that the client sent.
#[tokio::test]
async fn a_line_of_the_clients_own_does_not_bypass_the_count() {
    let house = house().await;
    let mut last = 0;
    for n in 0..40 {
        let liar = Caller {
            address: Some(format!("203.0.113.{n}")),
            second_line: Some("198.51.100.1".into()),
            ..Caller::default()
        };
        let login = format!("guess{n}");
        last = attempt(&house, &liar, &login, "not my password").await.status;
        if last == 429 {
            break;
        }
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn failures_behind_an_unlisted_proxy_lock_nobody_else_out() {
    let house = house().await;
    house.ann().await;
    let behind = |address: &str| Caller {
        address: Some(address.into()),
        peer: Some("10.9.9.9:443".into()),
        ..Caller::default()
    };
    fail(&house, &behind("203.0.113.5")).await;
    let ann = attempt(&house, &behind("203.0.113.6"), "ann", PASSWORD).await;
    assert_eq!(ann.status, 200, "{}", ann.body);
}

#[tokio::test]
async fn a_browser_that_was_used_before_is_not_locked_out_by_others_at_its_address() {
    let house = house().await;
    house.ann().await;
    let somebody = Caller {
        peer: Some("192.0.2.50:1".into()),
        ..Caller::default()
    };
    let opened = attempt(&house, &somebody, "ann", PASSWORD).await;
    let device = opened.headers.get_all("set-cookie").iter().nth(1).unwrap();
    let device = device.to_str().unwrap().split(';').next().unwrap().to_owned();
    assert!(device.starts_with("mainstay_device="));
    fail(&house, &somebody).await;
    assert_eq!(attempt(&house, &somebody, "ann", PASSWORD).await.status, 429);
    let known = Caller {
        cookie: Some(device.clone()),
        ..somebody.clone()
    };
    let guess = attempt(&house, &known, "bob", PASSWORD).await;
    assert_eq!(guess.status, 429, "it is ann's browser, not bob's");
    assert_eq!(attempt(&house, &known, "ann", PASSWORD).await.status, 200);
    // Who took the cookie does not guess without end.
    let mut last = 0;
    for _ in 0..10 {
        last = attempt(&house, &known, "ann", "not my password").await.status;
    }
    assert_eq!(last, 429);
}
