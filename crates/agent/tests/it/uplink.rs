//! Joining, sending, being cut off, coming back.

use std::sync::atomic::Ordering;

use agent::{Error, Options};
use protocol::{Body, ToAgent, ToServer};
use tokio::net::TcpListener;

use crate::server::{Running, Server, eventually};

fn options(dir: &tempfile::TempDir, server: &Server) -> Options {
    Options {
        token: Some(server.token()),
        ..Options::new(dir.path().join("state"))
    }
}

fn has_load(server: &Server) -> Option<()> {
    let samples = server.record.samples();
    let is_load = |labels: &protocol::Labels| labels.iter().any(|(_, value)| value == "node_load1");
    samples.iter().any(|(labels, ..)| is_load(labels)).then_some(())
}

#[tokio::test]
async fn an_agent_joins_and_its_samples_arrive() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = Running::start(options(&dir, &server));
    eventually("a sample of the load", || has_load(&server)).await;
    agent.stop().await.unwrap();
    let messages = server.record.messages.lock().unwrap().clone();
    assert!(
        matches!(&messages[0], ToServer::Join { csr_pem, .. } if csr_pem.contains("CERTIFICATE REQUEST"))
    );
    assert!(matches!(&messages[1], ToServer::Hello { identity, .. } if identity.boot_id.is_some()));
    // Joined already: the second start needs no token.
    let agent = Running::start(Options::new(dir.path().join("state")));
    eventually("a second hello", || {
        let messages = server.record.messages.lock().unwrap();
        (messages
            .iter()
            .filter(|message| matches!(message, ToServer::Hello { .. }))
            .count()
            == 2)
            .then_some(())
    })
    .await;
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn another_authority_and_a_wrong_secret_are_refused() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let token = server.token_with(&"ab".repeat(32));
    let error = agent::join(&token, dir.path()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let wrong = Server::start().await;
    let text = wrong.token();
    // The right server with a secret of no worth.
    let json = format!(
        r#"{{"a":["{}"],"f":"{}","s":"guess"}}"#,
        wrong.address,
        wrong.authority.fingerprint()
    );
    let guess = format!(
        "ms1.{}",
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, json)
    );
    assert!(matches!(
        agent::join(&guess, dir.path()).await,
        Err(Error::Refused(_))
    ));
    assert!(!dir.path().join("agent.json").exists());
    assert_eq!(agent::join(&text, dir.path()).await.unwrap().agent_id, "agt_test");
    assert!(matches!(
        agent::run(Options::new(dir.path().join("other")), Default::default()).await,
        Err(Error::NotJoined)
    ));
}

#[tokio::test]
async fn what_was_sampled_while_cut_off_arrives_later_in_order() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = Running::start(options(&dir, &server));
    eventually("a batch", || server.record.batches().last().cloned()).await;
    let (address, authority) = server.stop().await;
    let spool = dir.path().join("state/spool");
    eventually("a spool", || std::fs::read_dir(&spool).ok()?.next()?.ok()).await;
    let listener = TcpListener::bind(address).await.unwrap();
    let server = Server::on(listener, authority).await;
    let batches = eventually("spooled and live batches", || {
        let batches = server.record.batches();
        (batches.iter().any(|batch| batch.spooled) && batches.iter().any(|batch| !batch.spooled))
            .then_some(batches)
    })
    .await;
    let seqs: Vec<u64> = batches.iter().map(|batch| batch.seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seqs:?}");
    let live = batches.iter().position(|batch| !batch.spooled).unwrap();
    assert!(batches[..live].iter().all(|batch| batch.spooled));
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn nothing_is_lost_when_the_server_never_acknowledged() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    server.record.acking.store(false, Ordering::SeqCst);
    let agent = Running::start(options(&dir, &server));
    eventually("batches", || (server.record.batches().len() > 3).then_some(())).await;
    server.cut();
    eventually("batches again", || {
        let batches = server.record.batches();
        batches
            .iter()
            .filter(|batch| batch.seq == 1)
            .nth(1)
            .filter(|batch| batch.spooled)
            .cloned()
    })
    .await;
    agent.stop().await.unwrap();
    // A new run sends them a third time, and no gap is told.
    server.record.acking.store(true, Ordering::SeqCst);
    let agent = Running::start(options(&dir, &server));
    let batches = eventually("the first batch once more", || {
        let batches = server.record.batches();
        (batches.iter().filter(|batch| batch.seq == 1).count() == 3).then_some(batches)
    })
    .await;
    assert!(
        !batches
            .iter()
            .any(|batch| batch.body.iter().any(|body| matches!(body, Body::Gap(_))))
    );
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn pings_are_answered_and_settings_taken() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    let agent = Running::start(options(&dir, &server));
    eventually("a batch", || server.record.batches().last().cloned()).await;
    server.tell(ToAgent::Ping { nonce: 77 });
    eventually("a pong", || {
        let messages = server.record.messages.lock().unwrap();
        messages
            .iter()
            .any(|message| {
                matches!(
                    message,
                    ToServer::Pong {
                        nonce: 77,
                        now_ms: Some(_)
                    }
                )
            })
            .then_some(())
    })
    .await;
    server.tell(ToAgent::Throttle {
        min_interval_ms: 60_000,
    });
    let before = server.record.batches().len();
    server.tell(ToAgent::Throttle { min_interval_ms: 0 });
    eventually("more batches", || {
        (server.record.batches().len() > before + 3).then_some(())
    })
    .await;
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_certificate_past_half_of_its_life_is_renewed() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    // As many days before now as after, cut to midnight: past the half.
    server.record.certificate_days.store(1, Ordering::SeqCst);
    agent::join(&server.token(), &dir.path().join("state"))
        .await
        .unwrap();
    let before = std::fs::read(dir.path().join("state/agent.crt")).unwrap();
    server.record.certificate_days.store(90, Ordering::SeqCst);
    let agent = Running::start(Options::new(dir.path().join("state")));
    eventually("a new certificate", || {
        let now = std::fs::read(dir.path().join("state/agent.crt")).unwrap();
        (now != before).then_some(())
    })
    .await;
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_host_that_was_away_for_too_long_joins_again_with_a_new_token() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start().await);
    server.record.certificate_days.store(0, Ordering::SeqCst);
    let state = dir.path().join("state");
    agent::join(&server.token(), &state).await.unwrap();
    server.record.certificate_days.store(90, Ordering::SeqCst);
    // Without a token it goes on collecting, and asks again now and then.
    let agent = Running::start(Options::new(&state));
    let spool = state.join("spool");
    eventually("a spool", || std::fs::read_dir(&spool).ok()?.next()?.ok()).await;
    assert_eq!(server.record.hellos(), 0);
    agent.stop().await.unwrap();
    // With one it is back, and what it saw meanwhile comes with it.
    let agent = Running::start(options(&dir, &server));
    let batches = eventually("spooled and live batches", || {
        let batches = server.record.batches();
        (batches.iter().any(|batch| batch.spooled) && batches.iter().any(|batch| !batch.spooled))
            .then_some(batches)
    })
    .await;
    let seqs: Vec<u64> = batches.iter().map(|batch| batch.seq).collect();
    assert_eq!(seqs[0], 1);
    assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seqs:?}");
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_seen_for_one_fleet_is_not_told_to_another() {
    let (dir, before, after) = (
        tempfile::tempdir().unwrap(),
        Server::start().await,
        Server::start().await,
    );
    before.record.acking.store(false, Ordering::SeqCst);
    let agent = Running::start(options(&dir, &before));
    eventually("batches", || (before.record.batches().len() > 2).then_some(())).await;
    agent.stop().await.unwrap();
    let last = before.record.batches().last().unwrap().at_ms;
    let agent = Running::start(options(&dir, &after));
    let first = eventually("a batch", || after.record.batches().first().cloned()).await;
    assert!(first.seq == 1 && first.at_ms > last, "{first:?}");
    agent.stop().await.unwrap();
}
