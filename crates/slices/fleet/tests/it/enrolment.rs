//! Join tokens, certificates, revocation, copies.

use std::time::Duration;

use testkit::agent::{FakeAgent, identity};

use crate::kit::{Rig, wait_until};

#[tokio::test]
async fn a_host_joins_with_a_token_once() {
    for rig in Rig::both().await {
        let (token, text) = rig.token_with(1, Duration::from_secs(60), Some("team_1")).await;
        let agent = FakeAgent::join(&text, "web-1", identity(1)).await.unwrap();
        let stored = rig.agent(&agent.id).await;
        assert_eq!(stored.join_token, token.id.to_string());
        let mut reader = rig.kernel().db.read().await.unwrap();
        let host = inventory::store::item(&mut reader, &stored.item)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (host.name.as_str(), host.team.as_deref()),
            ("web-1", Some("team_1"))
        );
        assert_eq!(host.tags["env"], "prod");
        drop(reader);
        let reason = FakeAgent::join(&text, "web-2", identity(2)).await.err().unwrap();
        assert!(reason.contains("used up"), "{reason}");
        assert_eq!(rig.topics("agent.").await, ["agent.joined"]);
    }
}

#[tokio::test]
async fn bad_tokens_open_nothing() {
    for rig in Rig::both().await {
        let good = rig.token(1).await;
        let (_, expired) = rig.token_with(1, Duration::ZERO, None).await;
        assert!(FakeAgent::join(&expired, "web-1", identity(1)).await.is_err());
        // Another secret, and another authority.
        let other = Rig::start(testkit::Bed::sqlite(crate::kit::SCHEMA).await, |_| {}).await;
        let foreign = other.token(1).await;
        let moved = foreign_at(&foreign, &rig.address.to_string());
        assert!(
            FakeAgent::join(&moved, "web-1", identity(1)).await.is_err(),
            "the authority is pinned"
        );
        FakeAgent::join(&good, "web-1", identity(1)).await.unwrap();
    }
}

fn foreign_at(token: &str, address: &str) -> String {
    use base64::Engine;
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let json = engine.decode(token.strip_prefix("ms1.").unwrap()).unwrap();
    let mut body: serde_json::Value = serde_json::from_slice(&json).unwrap();
    body["a"] = serde_json::json!([address]);
    format!("ms1.{}", engine.encode(body.to_string()))
}

#[tokio::test]
async fn without_a_certificate_there_is_only_joining() {
    for rig in Rig::both().await {
        let agent = rig.join(1).await;
        // An agent of another fleet shows a certificate of an authority that is not ours.
        let other = Rig::start(testkit::Bed::sqlite(crate::kit::SCHEMA).await, |_| {}).await;
        let mut stranger = other.join(9).await;
        stranger.addresses = agent.addresses.clone();
        stranger.ca_pem = agent.ca_pem.clone();
        assert!(stranger.connect().await.is_err());
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_and_an_old_one_may_still_renew() {
    for rig in Rig::both_with(|settings| settings.certificate_days = 0).await {
        // The certificate has run out at birth; the grace lets it in to renew, and to do nothing else.
        let mut agent = rig.join(1).await;
        wait_until("the end of the certificate", async || {
            let end = rig.agent(&agent.id).await.certificate_expires_at;
            (rig.kernel().clock.now().as_second() > end.as_second()).then_some(())
        })
        .await;
        let mut link = agent.connect().await.unwrap();
        link.batch(1, vec![testkit::agent::sample(1, "load", 1, 1.0)])
            .await;
        let request = protocol::ToServer::Renew {
            csr_pem: agent.csr_pem(),
        };
        link.send(&request).await.unwrap();
        let mut said = Vec::new();
        while let Some(message) = link.receive().await {
            said.push(message);
        }
        let [protocol::ToAgent::Renewed { certificate_pem, .. }] = said.as_slice() else {
            panic!("nothing but the certificate is answered: {said:?}");
        };
        assert_ne!(*certificate_pem, agent.certificate_pem);
        assert!(rig.intake.taken.lock().unwrap().is_empty());
        assert_eq!(rig.agent(&agent.id).await.presence, fleet::Presence::New);
        agent.certificate_pem.clone_from(certificate_pem);
        agent.connect().await.unwrap();
    }
    for rig in Rig::both_with(|settings| {
        settings.certificate_days = 0;
        settings.certificate_grace_days = 0;
    })
    .await
    {
        let agent = rig.join(1).await;
        // Certificates count in whole seconds.
        wait_until("the end of the certificate", async || agent.connect().await.err()).await;
    }
}

#[tokio::test]
async fn a_revoked_agent_is_cut_and_stays_out() {
    for rig in Rig::both().await {
        let (agent, mut link) = rig.connect(1).await;
        let app = crate::api::app(&rig);
        let path = format!("/api/v1/agents/{}", agent.id);
        let (status, _) = crate::api::call(&app, "DELETE", &path, serde_json::Value::Null).await;
        assert_eq!(status, 204);
        link.wait_closed().await;
        let reason = agent.connect().await.err().unwrap();
        assert!(reason.contains("was revoked"), "{reason}");
        rig.event("agent.revoked", 1).await;
    }
}

#[tokio::test]
async fn a_host_that_joins_again_with_its_key_replaces_its_agent() {
    for rig in Rig::both().await {
        let (before, mut link) = rig.connect(1).await;
        let after = before.rejoin(&rig.token(1).await).await.unwrap();
        link.wait_closed().await;
        let (old, new) = (rig.agent(&before.id).await, rig.agent(&after.id).await);
        assert_eq!(old.item, new.item, "it is the same host");
        assert!(before.connect().await.err().unwrap().contains("replaced"));
        after.connect().await.unwrap();
    }
}

#[tokio::test]
async fn a_copy_of_a_connected_agent_is_told_and_refused() {
    for rig in Rig::both_with(|settings| settings.lost_after_ms = 10_000).await {
        let (agent, mut link) = rig.connect(1).await;
        let mut copy = agent.clone();
        copy.identity = identity(2);
        let reason = copy.connect().await.err().unwrap();
        assert!(reason.contains("copy"), "{reason}");
        rig.event("agent.duplicated", 1).await;
        let seq = link.batch(1, vec![]).await;
        link.wait_ack(seq).await;
        // The same machine may come again before its old connection is known to be dead.
        let mut again = agent.connect().await.unwrap();
        link.wait_closed().await;
        let seq = again.batch(2, vec![]).await;
        again.wait_ack(seq).await;
    }
}

#[tokio::test]
async fn clones_of_a_host_become_hosts_of_their_own() {
    for rig in Rig::both().await {
        let token = rig.token(2).await;
        let mut clone = identity(2);
        clone.machine_id = identity(1).machine_id;
        let a = FakeAgent::join(&token, "web", identity(1)).await.unwrap();
        let b = FakeAgent::join(&token, "web", clone).await.unwrap();
        let (a, b) = (rig.agent(&a.id).await, rig.agent(&b.id).await);
        assert_ne!(a.item, b.item);
        assert_eq!(rig.topics("item.conflict").await.len(), 1);
    }
}

#[tokio::test]
async fn the_authority_survives_a_restart() {
    for rig in Rig::both().await {
        let again = fleet::Fleet::new(rig.kernel(), fleet::Settings::default(), "http://x", rig.address)
            .await
            .unwrap();
        let fingerprint = async |fleet: &fleet::Fleet| {
            use base64::Engine;
            let text = fleet.local_join_token().await.unwrap();
            let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
            let json = engine.decode(text.strip_prefix("ms1.").unwrap()).unwrap();
            let body: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(body["a"][0], rig.address.to_string());
            body["f"].as_str().unwrap().to_owned()
        };
        assert_eq!(fingerprint(&rig.fleet).await, fingerprint(&again).await);
        let text = rig.fleet.local_join_token().await.unwrap();
        FakeAgent::join(&text, "local", identity(7)).await.unwrap();
    }
}
