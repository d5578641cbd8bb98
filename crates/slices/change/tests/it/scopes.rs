//! What a role that holds for some items may do: its own rows, and nothing else.

use std::collections::BTreeMap;

use change::{Decision, Proposal, Risk};
use kernel::{Actor, Grant, Role, Scope};
use serde_json::{Value, json};
use testkit::Bed;

use crate::{SCHEMA, person, proposal};

fn manager(id: &str, team: Option<&str>, tags: &[(&str, &str)]) -> Actor {
    let tags = tags
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let scope = Scope {
        team: team.map(str::to_owned),
        tags,
    };
    Actor {
        grants: vec![Grant {
            role: Role::Manager,
            scope,
        }],
        ..person(id)
    }
}

async fn send(bed: &Bed, who: &Actor, method: &str, path: &str, body: Value) -> (u16, Value) {
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
        std::sync::Arc::new(Fixed(who.clone())),
        Default::default(),
    );
    let request = axum::http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(axum::body::Body::from(body.to_string()))
        .unwrap();
    let response = app.router.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

fn freeze(team: Option<&str>, tags: Value) -> Value {
    json!({ "title": "Freeze", "team": team, "tags": tags, "starts_at": "2020-01-01T00:00:00Z", "ends_at": "2099-01-01T00:00:00Z" })
}

fn window(tags: Value) -> Value {
    json!({ "title": "Nights", "tags": tags, "days": ["mon"], "start_minute": 60, "end_minute": 120, "time_zone": "UTC" })
}

#[tokio::test]
async fn freezes_and_windows_are_planned_within_ones_own_scope() {
    for bed in Bed::both(SCHEMA).await {
        let (all, x) = (person("ann"), manager("xavier", None, &[("grp", "x")]));
        let of_team = manager("tina", Some("team_1"), &[]);
        for body in [
            freeze(None, json!({})),
            freeze(None, json!({ "grp": "y" })),
            freeze(None, json!({ "env": "prod" })),
            freeze(Some("team_1"), json!({})),
        ] {
            assert_eq!(send(&bed, &x, "POST", "/api/v1/freezes", body).await.0, 403);
        }
        assert_eq!(
            send(&bed, &x, "POST", "/api/v1/change-windows", window(json!({})))
                .await
                .0,
            403
        );
        assert_eq!(
            send(
                &bed,
                &x,
                "POST",
                "/api/v1/change-windows",
                window(json!({ "grp": "x" }))
            )
            .await
            .0,
            200
        );
        assert_eq!(
            send(
                &bed,
                &x,
                "POST",
                "/api/v1/freezes",
                freeze(None, json!({ "grp": "x", "env": "prod" }))
            )
            .await
            .0,
            200
        );
        assert_eq!(
            send(
                &bed,
                &of_team,
                "POST",
                "/api/v1/freezes",
                freeze(Some("team_1"), json!({}))
            )
            .await
            .0,
            200
        );
        assert_eq!(
            send(&bed, &of_team, "POST", "/api/v1/freezes", freeze(None, json!({})))
                .await
                .0,
            403
        );
        for (tags, end, remove) in [
            (json!({}), 403, 403),
            (json!({ "grp": "y" }), 404, 404),
            (json!({ "env": "prod" }), 403, 403),
        ] {
            let made = send(&bed, &all, "POST", "/api/v1/freezes", freeze(None, tags.clone()))
                .await
                .1;
            let path = format!("/api/v1/freezes/{}/end", made["id"].as_str().unwrap());
            assert_eq!(send(&bed, &x, "POST", &path, Value::Null).await.0, end, "{tags}");
            assert_eq!(
                send(&bed, &all, "POST", &path, Value::Null).await.0,
                204,
                "it was still on: {tags}"
            );
            let made = send(&bed, &all, "POST", "/api/v1/change-windows", window(tags.clone()))
                .await
                .1;
            let path = format!("/api/v1/change-windows/{}", made["id"].as_str().unwrap());
            assert_eq!(
                send(&bed, &x, "DELETE", &path, Value::Null).await.0,
                remove,
                "{tags}"
            );
            assert_eq!(
                send(&bed, &all, "DELETE", &path, Value::Null).await.0,
                204,
                "{tags}"
            );
        }
    }
}

#[tokio::test]
async fn a_change_without_targets_is_for_those_who_answer_for_everything() {
    for bed in Bed::both(SCHEMA).await {
        let empty = Proposal {
            targets: Vec::new(),
            ..proposal(Risk::High)
        };
        let mut tx = bed.kernel().db.write().await.unwrap();
        let x = manager("xavier", None, &[("grp", "x")]);
        let Decision::NeedsApproval { id, .. } =
            change::request(&mut tx, &person("ann"), &empty).await.unwrap()
        else {
            panic!("no approval asked for")
        };
        tx.commit().await.unwrap();
        let path = format!("/api/v1/changes/{id}/approve");
        assert_eq!(
            send(&bed, &x, "POST", &path, json!({ "version": 1 })).await.0,
            404
        );
        let also_sees = Actor {
            grants: [
                x.grants.clone(),
                vec![Grant {
                    role: Role::Viewer,
                    scope: Scope::default(),
                }],
            ]
            .concat(),
            ..x
        };
        assert_eq!(
            send(&bed, &also_sees, "POST", &path, json!({ "version": 1 }))
                .await
                .0,
            403
        );
        assert_eq!(
            send(&bed, &person("bob"), "POST", &path, json!({ "version": 1 }))
                .await
                .0,
            200
        );
    }
}

#[tokio::test]
async fn a_change_shows_the_targets_that_one_may_see() {
    for bed in Bed::both(SCHEMA).await {
        let target = |name: &str, grp: &str| change::Target {
            item_id: format!("itm_{name}"),
            name: name.into(),
            tags: BTreeMap::from([("grp".to_owned(), grp.to_owned())]),
            team: None,
        };
        let both = Proposal {
            title: "Restart on foreign-1".into(),
            plan_summary: "own-1: restart\nforeign-1: restart".into(),
            targets: vec![target("own-1", "x"), target("foreign-1", "y")],
            ..proposal(Risk::High)
        };
        let mut tx = bed.kernel().db.write().await.unwrap();
        change::request(&mut tx, &person("ann"), &both).await.unwrap();
        tx.commit().await.unwrap();
        let x = manager("xavier", None, &[("grp", "x")]);
        let list = send(&bed, &x, "GET", "/api/v1/changes", Value::Null).await.1;
        let one = format!("/api/v1/changes/{}", list["items"][0]["id"].as_str().unwrap());
        let one = send(&bed, &x, "GET", &one, Value::Null).await.1;
        for answer in [list, one] {
            assert!(answer.to_string().contains("own-1"), "{answer}");
            assert!(!answer.to_string().contains("foreign-1"), "{answer}");
        }
    }
}

/// The window closes, or a freeze begins, between the approval and its use.
#[tokio::test]
async fn an_approval_is_redeemed_and_used_by_the_rules_of_the_moment() {
    for bed in Bed::both(SCHEMA).await {
        let db = &bed.kernel().db;
        let mut tx = db.write().await.unwrap();
        let Decision::NeedsApproval { id, .. } =
            change::request(&mut tx, &person("ann"), &proposal(Risk::High))
                .await
                .unwrap()
        else {
            panic!("no approval asked for")
        };
        let Decision::Granted(low) = change::request(&mut tx, &person("ann"), &proposal(Risk::Low))
            .await
            .unwrap()
        else {
            panic!("not granted")
        };
        assert_eq!(change::recheck(&mut tx, low.change_id()).await.unwrap(), Ok(()));
        tx.commit().await.unwrap();
        let approve = format!("/api/v1/changes/{id}/approve");
        assert_eq!(
            send(&bed, &person("bob"), "POST", &approve, json!({ "version": 1 }))
                .await
                .0,
            200
        );
        send(
            &bed,
            &person("bob"),
            "POST",
            "/api/v1/freezes",
            freeze(None, json!({})),
        )
        .await;
        let mut tx = db.write().await.unwrap();
        let refused = change::redeem(&mut tx, &id, "abc").await;
        assert!(matches!(refused, Err(change::RedeemError::Refused(reason)) if reason.contains("Freeze")));
        let refused = change::recheck(&mut tx, low.change_id()).await.unwrap();
        assert!(refused.is_err_and(|reason| reason.contains("Freeze")));
        change::finish(
            &mut tx,
            &person("ann"),
            low.change_id(),
            change::Outcome::Cancelled,
        )
        .await
        .unwrap();
        assert!(
            change::recheck(&mut tx, low.change_id()).await.unwrap().is_err(),
            "it is cancelled"
        );
    }
}
