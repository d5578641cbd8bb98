//! Changes on both databases.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod scopes;

use std::collections::BTreeMap;

use change::{ChangeState, Decision, Outcome, Proposal, RedeemError, Risk, Source, Target};
use kernel::{Actor, ActorKind, Grant, Role, Scope};
use testkit::Bed;

const SCHEMA: &[(&str, &[kernel::Migration])] =
    &[("access", access::MIGRATIONS), ("change", change::MIGRATIONS)];

fn proposal(risk: Risk) -> Proposal {
    Proposal {
        title: "Restart nginx on web-1".into(),
        kind: "runbook".into(),
        source: Source::Person,
        risk,
        is_standard: false,
        reason: "it leaks".into(),
        plan_hash: "abc".into(),
        plan_summary: "service nginx restarted".into(),
        targets: vec![Target {
            item_id: "itm_1".into(),
            name: "web-1".into(),
            tags: BTreeMap::new(),
            team: None,
        }],
    }
}

fn person(id: &str) -> Actor {
    let grants = vec![Grant {
        role: Role::Manager,
        scope: Scope::default(),
    }];
    Actor {
        kind: ActorKind::Person,
        id: id.into(),
        name: id.into(),
        grants,
        only: None,
    }
}

#[tokio::test]
async fn a_low_risk_change_is_granted_and_finished_once() {
    for bed in Bed::both(&[("change", change::MIGRATIONS)]).await {
        let db = &bed.kernel().db;
        let mut tx = db.write().await.unwrap();
        let Decision::Granted(permit) = change::request(&mut tx, &person("ann"), &proposal(Risk::Low))
            .await
            .unwrap()
        else {
            panic!("not granted")
        };
        tx.commit().await.unwrap();
        for outcome in [Outcome::Succeeded, Outcome::Failed] {
            let mut tx = db.write().await.unwrap();
            change::finish(&mut tx, &Actor::system("test"), permit.change_id(), outcome)
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
        let mut reader = db.read().await.unwrap();
        let stored = change::get(&mut reader, permit.change_id())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(stored.state, ChangeState::Succeeded);
        let topics: Vec<String> = kernel::event::store::after(&mut reader, 0, 10)
            .await
            .unwrap()
            .into_iter()
            .map(|e| e.topic)
            .collect();
        assert_eq!(topics, ["change.requested", "change.granted", "change.finished"]);
    }
}

async fn decide(bed: &Bed, id: &change::ChangeId, who: Actor, verb: &str, version: i64) -> u16 {
    use tower::ServiceExt;
    struct Fixed(Actor);
    impl kernel::http::Authenticate for Fixed {
        fn authenticate<'a>(
            &'a self,
            _: &'a axum::http::request::Parts,
        ) -> kernel::BoxFuture<'a, Result<Option<Actor>, kernel::Problem>> {
            Box::pin(async { Ok(Some(self.0.clone())) })
        }
    }
    let mut slices = vec![change::slice(bed.kernel())];
    let app = kernel::http::assemble(
        bed.kernel(),
        &mut slices,
        std::sync::Arc::new(Fixed(who)),
        Default::default(),
    );
    let request = axum::http::Request::builder()
        .method("POST")
        .uri(format!("/api/v1/changes/{id}/{verb}"))
        .header("content-type", "application/json")
        .body(axum::body::Body::from(format!("{{\"version\":{version}}}")))
        .unwrap();
    app.router.oneshot(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn high_risk_needs_a_second_person_and_the_same_plan() {
    for bed in Bed::both(&[("change", change::MIGRATIONS)]).await {
        let db = &bed.kernel().db;
        let mut tx = db.write().await.unwrap();
        let Decision::NeedsApproval { id, .. } =
            change::request(&mut tx, &person("ann"), &proposal(Risk::High))
                .await
                .unwrap()
        else {
            panic!("no approval asked for")
        };
        assert!(matches!(
            change::redeem(&mut tx, &id, "abc").await,
            Err(RedeemError::Refused(_))
        ));
        tx.commit().await.unwrap();
        assert_eq!(
            decide(&bed, &id, person("ann"), "approve", 1).await,
            409,
            "the one who asked"
        );
        assert_eq!(
            decide(&bed, &id, person("bob"), "approve", 7).await,
            412,
            "a stale version"
        );
        assert_eq!(decide(&bed, &id, person("bob"), "approve", 1).await, 200);
        assert_eq!(
            decide(&bed, &id, person("bob"), "reject", 2).await,
            409,
            "decided already"
        );
        let mut tx = db.write().await.unwrap();
        let other = change::redeem(&mut tx, &id, "other plan").await;
        assert!(matches!(other, Err(RedeemError::Refused(reason)) if reason.contains("not the one")));
        assert_eq!(
            change::redeem(&mut tx, &id, "abc").await.unwrap().targets().len(),
            1
        );
        assert!(
            change::redeem(&mut tx, &id, "abc").await.is_err(),
            "redeemed once"
        );
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn what_still_waits_can_be_withdrawn_and_not_succeed() {
    for bed in Bed::both(&[("change", change::MIGRATIONS)]).await {
        let mut tx = bed.kernel().db.write().await.unwrap();
        let Decision::NeedsApproval { id, .. } =
            change::request(&mut tx, &person("ann"), &proposal(Risk::High))
                .await
                .unwrap()
        else {
            panic!("no approval asked for")
        };
        for (outcome, state) in [
            (Outcome::Succeeded, ChangeState::Requested),
            (Outcome::Cancelled, ChangeState::Cancelled),
        ] {
            change::finish(&mut tx, &person("ann"), &id, outcome)
                .await
                .unwrap();
            assert_eq!(change::get(&mut tx, &id).await.unwrap().unwrap().state, state);
        }
        tx.commit().await.unwrap();
        assert_eq!(
            decide(&bed, &id, person("bob"), "approve", 2).await,
            409,
            "withdrawn"
        );
    }
}

/// Nobody is their own second person through an account that they made, and no program is anybody's.
#[tokio::test]
async fn a_service_account_is_no_second_person() {
    for bed in Bed::both(SCHEMA).await {
        let service = |id: &str| Actor {
            kind: ActorKind::Service,
            ..person(id)
        };
        let mut tx = bed.kernel().db.write().await.unwrap();
        for who in ["ann", "eve"] {
            access::store::holders::note(&mut tx, "svc_1", &person(who))
                .await
                .unwrap();
        }
        let Decision::NeedsApproval { id, .. } =
            change::request(&mut tx, &service("svc_1"), &proposal(Risk::High))
                .await
                .unwrap()
        else {
            panic!("no approval asked for")
        };
        tx.commit().await.unwrap();
        // Who made the account, who made a token of it, and another program.
        assert_eq!(decide(&bed, &id, person("ann"), "approve", 1).await, 409);
        assert_eq!(decide(&bed, &id, person("eve"), "approve", 1).await, 409);
        assert_eq!(decide(&bed, &id, service("svc_2"), "approve", 1).await, 409);
        assert_eq!(decide(&bed, &id, person("bob"), "approve", 1).await, 200);
    }
}

/// Nobody is on record behind the account: then nobody can be shown to be somebody else.
#[tokio::test]
async fn an_account_of_unknown_origin_has_no_second_person() {
    for bed in Bed::both(SCHEMA).await {
        let service = Actor {
            kind: ActorKind::Service,
            ..person("svc_9")
        };
        let mut tx = bed.kernel().db.write().await.unwrap();
        let Decision::NeedsApproval { id, .. } = change::request(&mut tx, &service, &proposal(Risk::High))
            .await
            .unwrap()
        else {
            panic!("no approval asked for")
        };
        tx.commit().await.unwrap();
        assert_eq!(decide(&bed, &id, person("bob"), "approve", 1).await, 409);
    }
}
