//! A join whose host is known: who may take it over.

use protocol::Identity;
use serde_json::Value;
use testkit::agent::{FakeAgent, identity};

use crate::api::{app, call, call_in};
use crate::kit::{Rig, wait_until};

/// What anybody on the network may know of a host.
fn public_keys(n: u32) -> Vec<(&'static str, Identity)> {
    let all = identity(n);
    let only = |change: fn(&mut Identity, Identity)| {
        let mut some = Identity::default();
        change(&mut some, identity(n));
        some
    };
    vec![
        ("everything", all),
        ("machine id", only(|to, from| to.machine_id = from.machine_id)),
        ("serial", only(|to, from| to.serial = from.serial)),
        ("host key", only(|to, from| to.host_key = from.host_key)),
        ("MAC", only(|to, from| to.macs = from.macs)),
    ]
}

#[tokio::test]
async fn a_token_alone_takes_over_no_live_host() {
    for rig in Rig::both_with(|settings| settings.lost_after_ms = 60_000).await {
        let (agent, mut link) = rig.connect(1).await;
        let host = rig.agent(&agent.id).await.item;
        let before = rig.item(&host).await;
        for (what, shown) in public_keys(1) {
            let token = rig.token_of(("grp", "x"), 1).await;
            let joined = FakeAgent::join(&token, "web-1", shown).await;
            if let Ok(joined) = &joined {
                assert_ne!(rig.agent(&joined.id).await.item, host, "{what}");
            }
            assert_eq!(
                rig.agent(&agent.id).await.state,
                fleet::model::AgentState::Active,
                "{what}"
            );
            let after = rig.item(&host).await;
            assert_eq!((&after.name, &after.tags), (&before.name, &before.tags), "{what}");
        }
        assert!(rig.topics("agent.replaced").await.is_empty());
        let seq = link.batch(1, vec![]).await;
        link.wait_ack(seq).await;
    }
}

#[tokio::test]
async fn a_takeover_waits_for_somebody_who_covers_the_host() {
    for rig in Rig::both_with(|settings| settings.lost_after_ms = 60_000).await {
        let app = app(&rig);
        let (agent, mut link) = rig.connect(1).await;
        let host = rig.agent(&agent.id).await.item;
        let token = rig.token_of(("grp", "x"), 1).await;
        let reason = FakeAgent::join(&token, "web-1", identity(1)).await.err().unwrap();
        assert!(
            reason.contains(protocol::AWAITING_APPROVAL) && reason.contains("web-1"),
            "{reason}"
        );
        // It asks again: one request.
        assert!(FakeAgent::join(&token, "web-1", identity(1)).await.is_err());
        let (_, page) = call(&app, "GET", "/api/v1/join-requests", Value::Null).await;
        let items = page["items"].as_array().unwrap();
        assert_eq!(items.len(), 1, "{page}");
        assert_eq!(
            (&items[0]["reason"], &items[0]["attempts"]),
            (&"live".into(), &2.into())
        );
        let path = format!("/api/v1/join-requests/{}", items[0]["id"].as_str().unwrap());
        let approve = format!("{path}/approve");
        // Whoever made the token does not cover the host, and does not even see the request.
        let (_, theirs) = call_in(&app, "grp=x", "GET", "/api/v1/join-requests", Value::Null).await;
        assert_eq!(theirs["items"], serde_json::json!([]));
        assert_eq!(call_in(&app, "grp=x", "POST", &approve, Value::Null).await.0, 404);
        assert!(FakeAgent::join(&token, "web-1", identity(1)).await.is_err());
        let (status, seen) = call_in(&app, "env=prod", "POST", &approve, Value::Null).await;
        assert_eq!((status, &seen["state"]), (200, &"approved".into()));
        // An approval is for the machine that was shown.
        let mut other = identity(1);
        other.serial = None;
        assert!(FakeAgent::join(&token, "web-1", other).await.is_err());
        let joined = FakeAgent::join(&token, "web-1", identity(1)).await.unwrap();
        link.wait_closed().await;
        assert_eq!(rig.agent(&joined.id).await.item, host);
        assert!(
            !rig.item(&host).await.tags.contains_key("grp"),
            "tags of a known host stay"
        );
        joined.connect().await.unwrap();
        assert_eq!(
            call(&app, "POST", &approve, Value::Null).await.0,
            409,
            "it is used"
        );
        rig.event("join_request.created", 1).await;
        rig.event("join_request.approved", 1).await;
    }
}

#[tokio::test]
async fn a_denied_join_stays_out() {
    for rig in Rig::both_with(|settings| settings.lost_after_ms = 60_000).await {
        let app = app(&rig);
        let (_agent, _link) = rig.connect(1).await;
        let token = rig.token(1).await;
        assert!(FakeAgent::join(&token, "web-1", identity(1)).await.is_err());
        let (_, page) = call(&app, "GET", "/api/v1/join-requests", Value::Null).await;
        let path = format!(
            "/api/v1/join-requests/{}/deny",
            page["items"][0]["id"].as_str().unwrap()
        );
        assert_eq!(call(&app, "POST", &path, Value::Null).await.0, 200);
        let reason = FakeAgent::join(&token, "web-1", identity(1)).await.err().unwrap();
        assert!(reason.contains("denied"), "{reason}");
    }
}

#[tokio::test]
async fn a_host_outside_of_the_token_is_not_taken_over() {
    for rig in Rig::both().await {
        let app = app(&rig);
        // Nobody watches the host any more: it is of `env=prod`, the token is not.
        let agent = rig.join(1).await;
        let path = format!("/api/v1/agents/{}", agent.id);
        assert_eq!(call(&app, "DELETE", &path, Value::Null).await.0, 204);
        let host = rig.agent(&agent.id).await.item;
        let foreign = rig.token_of(("grp", "x"), 1).await;
        let reason = FakeAgent::join(&foreign, "web-1", identity(1))
            .await
            .err()
            .unwrap();
        assert!(reason.contains("does not cover"), "{reason}");
        let own = rig.token_of(("env", "prod"), 1).await;
        let joined = FakeAgent::join(&own, "web-1", identity(1)).await.unwrap();
        assert_eq!(rig.agent(&joined.id).await.item, host);
    }
}

#[tokio::test]
async fn a_revoked_key_proves_nothing() {
    for rig in Rig::both().await {
        let app = app(&rig);
        let agent = rig.join(1).await;
        let path = format!("/api/v1/agents/{}", agent.id);
        assert_eq!(call(&app, "DELETE", &path, Value::Null).await.0, 204);
        let foreign = rig.token_of(("grp", "x"), 1).await;
        assert!(agent.rejoin(&foreign).await.is_err());
    }
}

#[tokio::test]
async fn a_lost_host_that_was_set_up_anew_comes_back() {
    for rig in Rig::both().await {
        let app = app(&rig);
        let (agent, link) = rig.connect(1).await;
        let token = rig.token(1).await;
        assert!(
            FakeAgent::join(&token, "web-1", identity(1)).await.is_err(),
            "it is there"
        );
        drop(link);
        wait_until("the loss", async || {
            (rig.agent(&agent.id).await.presence == fleet::Presence::Lost).then_some(())
        })
        .await;
        let again = FakeAgent::join(&token, "web-1", identity(1)).await.unwrap();
        assert_eq!(rig.agent(&again.id).await.item, rig.agent(&agent.id).await.item);
        rig.event("agent.replaced", 1).await;
        let (_, page) = call(&app, "GET", "/api/v1/join-requests", Value::Null).await;
        assert_eq!(page["items"], serde_json::json!([]), "nothing waits any more");
    }
}
