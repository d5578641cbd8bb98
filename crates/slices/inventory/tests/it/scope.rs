//! Writes of somebody whose role holds for `grp=x`, on what is of `grp=y`: refused, and nothing is changed.

use inventory::{Item, ItemId};
use kernel::Kernel;
use kernel::http::App;
use serde_json::{Value, json};

use crate::api::{app, call};
use crate::kit::{beds, events, facts, item, named, observe};

const X: &[(&str, &str)] = &[("role", "manager"), ("tag", "grp=x")];
const OPERATOR_X: &[(&str, &str)] = &[("role", "operator"), ("tag", "grp=x")];
const ALL: &[(&str, &str)] = &[("role", "manager")];

/// A host with services, of this group.
async fn host(kernel: &Kernel, app: &App, n: u32, group: &str) -> Item {
    let name = format!("{group}-{n}");
    let id = observe(kernel, n, &facts(&name, &format!("10.0.0.{n}"))).await;
    let change = json!({ "tags": { "grp": group } });
    assert_eq!(call(app, "PATCH", &path(&id), ALL, change).await.0, 200);
    item(kernel, &id).await
}

fn path(id: &ItemId) -> String {
    format!("/api/v1/items/{id}")
}

fn new(name: &str, parent: Option<&ItemId>) -> Value {
    json!({ "kind": "service", "name": name, "parent": parent.map(ToString::to_string), "tags": { "grp": "x" } })
}

#[tokio::test]
async fn nothing_is_put_on_a_foreign_host() {
    for bed in beds().await {
        let (kernel, app) = (bed.kernel(), app(bed.kernel()));
        let (ours, theirs) = (host(kernel, &app, 1, "x").await, host(kernel, &app, 2, "y").await);
        let before = events(kernel).await.len();
        let (status, _) = call(&app, "POST", "/api/v1/items", X, new("shell", Some(&theirs.id))).await;
        assert_eq!(status, 404, "a parent that is not seen");
        assert_eq!(events(kernel).await.len(), before);
        let (status, _) = call(&app, "POST", "/api/v1/items", X, new("app", Some(&ours.id))).await;
        assert_eq!(status, 201);
        // Tags of a child let others act on its host.
        let mut shared = new("tool", Some(&ours.id));
        assert_eq!(
            call(&app, "POST", "/api/v1/items", OPERATOR_X, shared.clone())
                .await
                .0,
            403
        );
        shared["tags"] = json!({});
        assert_eq!(
            call(&app, "POST", "/api/v1/items", OPERATOR_X, shared).await.0,
            201
        );
        // Without a parent it must be within the scope by itself.
        let mut free = new("free", None);
        free["tags"] = json!({});
        assert_eq!(call(&app, "POST", "/api/v1/items", X, free).await.0, 403);
    }
}

#[tokio::test]
async fn foreign_items_are_neither_changed_nor_related() {
    for bed in beds().await {
        let (kernel, app) = (bed.kernel(), app(bed.kernel()));
        let (ours, theirs) = (host(kernel, &app, 1, "x").await, host(kernel, &app, 2, "y").await);
        for retired in [false, true] {
            if retired {
                assert_eq!(
                    call(&app, "DELETE", &path(&theirs.id), ALL, Value::Null).await.0,
                    204
                );
            }
            let before = (item(kernel, &theirs.id).await, events(kernel).await.len());
            for change in [
                json!({ "name": "mine" }),
                json!({ "tags": { "grp": "x" } }),
                json!({ "team": "team_x" }),
                json!({ "owner": "per_1" }),
                json!({ "attributes": { "role": "mine" } }),
                json!({ "state": "retired" }),
                json!({ "state": "active" }),
            ] {
                assert_eq!(
                    call(&app, "PATCH", &path(&theirs.id), X, change.clone()).await.0,
                    404,
                    "{change}"
                );
            }
            assert_eq!(
                call(&app, "DELETE", &path(&theirs.id), X, Value::Null).await.0,
                404
            );
            for kind in ["runs_on", "depends_on", "connects_to", "part_of"] {
                for (from, to) in [(&ours.id, &theirs.id), (&theirs.id, &ours.id)] {
                    let relations = format!("{}/relations", path(from));
                    let drawn = json!({ "kind": kind, "to": to.to_string() });
                    let (status, _) = call(&app, "POST", &relations, X, drawn).await;
                    assert!(matches!(status, 404 | 422), "{kind}: {status}");
                }
            }
            assert_eq!(
                (item(kernel, &theirs.id).await, events(kernel).await.len()),
                before
            );
        }
    }
}

#[tokio::test]
async fn what_is_below_and_of_others_is_not_taken_along() {
    for bed in beds().await {
        let (kernel, app) = (bed.kernel(), app(bed.kernel()));
        let ours = host(kernel, &app, 1, "x").await;
        let theirs = named(kernel, "service", "ssh.service").await;
        // A service of somebody else on a host of ours.
        let change = json!({ "tags": { "grp": "y" } });
        assert_eq!(call(&app, "PATCH", &path(&theirs.id), ALL, change).await.0, 200);
        let before = item(kernel, &theirs.id).await;
        let both = json!({ "tags": { "grp": "x", "env": "prod" } });
        assert_eq!(call(&app, "PATCH", &path(&ours.id), X, both).await.0, 403);
        assert_eq!(
            call(&app, "PATCH", &path(&ours.id), X, json!({ "state": "retired" }))
                .await
                .0,
            403
        );
        assert_eq!(call(&app, "DELETE", &path(&ours.id), X, Value::Null).await.0, 403);
        assert_eq!(item(kernel, &theirs.id).await, before);
        // And it is not listed with the host.
        let (_, detail) = call(&app, "GET", &path(&ours.id), X, Value::Null).await;
        assert!(
            !detail["children"].to_string().contains("ssh.service"),
            "{detail}"
        );
        // What does not touch it is theirs to change.
        let own = json!({ "attributes": { "rack": "7" } });
        assert_eq!(call(&app, "PATCH", &path(&ours.id), X, own).await.0, 200);
    }
}

#[tokio::test]
async fn nobody_gives_away_what_would_leave_the_scope() {
    for bed in beds().await {
        let (kernel, app) = (bed.kernel(), app(bed.kernel()));
        let ours = host(kernel, &app, 1, "x").await;
        for change in [json!({ "tags": {} }), json!({ "tags": { "grp": "y" } })] {
            assert_eq!(call(&app, "PATCH", &path(&ours.id), X, change).await.0, 403);
        }
        let more = json!({ "tags": { "grp": "x", "tier": "1" } });
        assert_eq!(
            call(&app, "PATCH", &path(&ours.id), OPERATOR_X, more.clone())
                .await
                .0,
            403
        );
        assert_eq!(call(&app, "PATCH", &path(&ours.id), X, more).await.0, 200);
        let ssh = named(kernel, "service", "ssh.service").await;
        assert_eq!(ssh.tags["tier"], "1");
    }
}
