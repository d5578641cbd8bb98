//! E-mail, over a real SMTP conversation.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use notify::{Page, PageKind, Settings};
use serde_json::{Value, json};

use crate::house::{House, incident, settings};
use crate::smtp_sink::SmtpSink;

fn config(sink: &SmtpSink, security: &str, to: &[&str]) -> Value {
    json!({
        "type": "email", "host": "localhost", "port": sink.port, "security": security,
        "from": "Mainstay <mainstay@example.org>", "to": to,
    })
}

#[tokio::test]
async fn each_recipient_gets_a_mail_and_a_conversation_holds_together() {
    for house in House::both().await {
        let sink = SmtpSink::start(house.kernel(), false).await;
        let to = ["ann@example.org", "Bob <bob@example.org>"];
        house.channel("Mail", config(&sink, "none", &to), json!({})).await;
        assert_eq!(house.page(&incident("opened")).await, 2);
        let resolved = Page {
            kind: PageKind::IncidentResolved,
            ..incident("resolved")
        };
        assert_eq!(house.page(&resolved).await, 2);
        house.notify.deliver().await.unwrap();
        let mails = sink.mails();
        assert_eq!(mails.len(), 4);
        let for_bob: Vec<_> = mails
            .iter()
            .filter(|mail| mail.to.contains("<bob@example.org>"))
            .collect();
        assert_eq!(
            for_bob[0].header("Subject"),
            "Critical: nginx on web-1 has stopped"
        );
        assert_eq!(
            for_bob[1].header("Subject"),
            "Resolved: nginx on web-1 has stopped"
        );
        assert_eq!(for_bob[0].header("References"), for_bob[1].header("References"));
        assert_eq!(for_bob[0].header("Auto-Submitted"), "auto-generated");
        assert_eq!(for_bob[0].header("Date"), "Sun, 01 Mar 2026 12:00:00 +0000");
        let ids: std::collections::BTreeSet<_> = mails.iter().map(|mail| mail.header("Message-ID")).collect();
        assert_eq!(ids.len(), 4);
        assert!(
            ids.iter()
                .all(|id| id.starts_with("<msg_") && id.ends_with("@ops.example.org>")),
            "{ids:?}"
        );
        assert!(for_bob[0].data.contains("Host: web-1"));
        assert!(
            for_bob[0]
                .data
                .contains("https://ops.example.org/incidents/inc_1")
        );
    }
}

#[tokio::test]
async fn starttls_and_sign_in_protect_what_is_sent() {
    for house in House::both().await {
        let sink = SmtpSink::start(house.kernel(), true).await;
        let mut config = config(&sink, "starttls", &["ann@example.org"]);
        config["username"] = json!("mainstay");
        // A certificate that nobody vouches for is no reason to send in clear.
        let id = house
            .channel("Mail", config.clone(), json!({ "password": "sesame" }))
            .await;
        house.page(&incident("a")).await;
        house.notify.deliver().await.unwrap();
        assert!(sink.mails().is_empty());
        assert_eq!(house.states().await, ["waiting"]);
        config["ca_pem"] = json!(sink.ca_pem);
        let (status, body) = house
            .patch(&format!("/api/v1/channels/{id}"), json!({ "config": config }))
            .await;
        assert_eq!(status, 200, "{body}");
        house.clock.advance(SignedDuration::from_secs(3));
        house.notify.deliver().await.unwrap();
        let mails = sink.mails();
        assert_eq!(mails.len(), 1, "{}", house.get("/api/v1/messages").await);
        assert!(mails[0].is_encrypted);
        // base64 of "\0mainstay\0sesame"
        assert_eq!(mails[0].auth, "AG1haW5zdGF5AHNlc2FtZQ==");
        assert_eq!(mails[0].from, "MAIL FROM:<mainstay@example.org>");
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing_when_it_is_asked_for() {
    for house in House::both().await {
        let sink = SmtpSink::start(house.kernel(), false).await;
        house
            .channel("Mail", config(&sink, "starttls", &["ann@example.org"]), json!({}))
            .await;
        house.page(&incident("a")).await;
        house.notify.deliver().await.unwrap();
        assert!(sink.mails().is_empty());
        assert_ne!(house.states().await, ["sent"]);
    }
}

#[tokio::test]
async fn one_bad_address_does_not_keep_the_others_from_their_mail() {
    for house in House::both().await {
        let sink = SmtpSink::start(house.kernel(), false).await;
        let id = house
            .channel("Mail", config(&sink, "none", &["gone@example.org"]), json!({}))
            .await;
        sink.refuse_recipient("550 no such user");
        house.page(&incident("a")).await;
        house.notify.deliver().await.unwrap();
        assert_eq!(house.states().await, ["dead"]);
        let error = house.get("/api/v1/messages").await["items"][0]["error"].clone();
        assert!(error.as_str().unwrap().contains("no such user"), "{error}");
        let two = config(&sink, "none", &["slow@example.org", "ann@example.org"]);
        house
            .patch(&format!("/api/v1/channels/{id}"), json!({ "config": two }))
            .await;
        house.page(&incident("b")).await;
        sink.refuse_recipient("450 greylisted, come again");
        house.notify.deliver().await.unwrap();
        assert_eq!(sink.mails().len(), 1);
        house.clock.advance(SignedDuration::from_secs(3));
        house.notify.deliver().await.unwrap();
        assert_eq!(sink.mails().len(), 2);
        assert_eq!(house.states().await, ["dead", "sent", "sent"]);
    }
}

#[tokio::test]
async fn a_title_cannot_smuggle_headers_into_a_mail() {
    for house in House::both().await {
        let sink = SmtpSink::start(house.kernel(), false).await;
        house
            .channel("Mail", config(&sink, "none", &["ann@example.org"]), json!({}))
            .await;
        let page = Page {
            title: "down\r\nBcc: eve@example.org\r\n\r\nhello".into(),
            text: "a\u{0}b\r\n.\r\nMAIL FROM:<eve@example.org>".into(),
            ..incident("a")
        };
        house.page(&page).await;
        house.notify.deliver().await.unwrap();
        let mails = sink.mails();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].header("Bcc"), "");
        assert!(
            mails[0]
                .header("Subject")
                .contains("down Bcc: eve@example.org hello"),
            "{}",
            mails[0].data
        );
    }
}

/// RFC 5321 gives a server ten minutes after the final dot.
#[tokio::test]
async fn a_server_that_takes_its_time_after_the_last_dot_gets_one_mail() {
    let mut settings = settings();
    settings.patience.mail_step = Duration::from_secs(20);
    settings.patience.renew_every = Duration::from_millis(20);
    for house in House::both_with(settings).await {
        let sink = SmtpSink::start(house.kernel(), false).await;
        house
            .channel("Mail", config(&sink, "none", &["ann@example.org"]), json!({}))
            .await;
        house.page(&incident("a")).await;
        sink.set_open(false);
        let sending = house.notify.clone();
        let sending = kernel::task::spawn(house.kernel(), "sending", async move {
            sending.deliver().await.unwrap();
        });
        sink.wait_for(1).await;
        for _ in 0..4 {
            // Longer than a lease; the sender renews it, so nobody else takes the message.
            house.clock.advance(SignedDuration::from_secs(40));
            let until = house.clock.now().as_microsecond() + 44_000_000;
            let deadline = Instant::now() + Duration::from_secs(20);
            while lease_until(&house).await < until {
                assert!(Instant::now() < deadline);
                tokio::task::yield_now().await;
            }
            assert_eq!(house.another().deliver().await.unwrap(), 0);
        }
        sink.set_open(true);
        sending.await.unwrap();
        assert_eq!(house.states().await, ["sent"]);
        assert_eq!(sink.mails().len(), 1);
    }
}

async fn lease_until(house: &House) -> i64 {
    let mut reader = house.kernel().db.read().await.unwrap();
    let row = sqlx::query("SELECT lease_until FROM message")
        .fetch_one(&mut *reader)
        .await
        .unwrap();
    sqlx::Row::get(&row, 0)
}

#[tokio::test]
async fn a_mail_that_is_never_confirmed_is_repeated_rarely_and_a_few_times() {
    let mut settings = settings();
    settings.patience.mail_end = Duration::from_millis(100);
    for house in House::both_with(settings).await {
        let sink = SmtpSink::start(house.kernel(), false).await;
        house
            .channel("Mail", config(&sink, "none", &["ann@example.org"]), json!({}))
            .await;
        house.page(&incident("a")).await;
        sink.set_open(false);
        house.notify.deliver().await.unwrap();
        let message = &house.get("/api/v1/messages").await["items"][0];
        assert_eq!(message["outcome"], "unknown");
        assert!(
            message["error"].as_str().unwrap().contains("did not confirm"),
            "{message}"
        );
        for minutes in 0..(26 * 60) {
            house.clock.advance(SignedDuration::from_mins(1));
            house.notify.deliver().await.unwrap();
            assert!(
                minutes >= 8 || sink.mails().len() == 1,
                "repeated after {minutes} min"
            );
        }
        assert_eq!(sink.mails().len(), 4);
        assert_eq!(house.states().await, ["unconfirmed"]);
    }
}

#[tokio::test]
async fn ehlo_names_the_public_host_or_what_the_channel_says_or_an_address() {
    for house in House::both().await {
        let sink = SmtpSink::start(house.kernel(), false).await;
        let mut config = config(&sink, "none", &["ann@example.org"]);
        let id = house.channel("Mail", config.clone(), json!({})).await;
        house.page(&incident("a")).await;
        house.notify.deliver().await.unwrap();
        for bad in ["vm", "a b.org", "[1.2.3]", ""] {
            config["ehlo_name"] = json!(bad);
            let change = json!({ "config": config });
            let (status, body) = house.patch(&format!("/api/v1/channels/{id}"), change).await;
            assert_eq!(
                (status, &body["errors"][0]["field"]),
                (422, &json!("config.ehlo_name"))
            );
        }
        config["ehlo_name"] = json!("mx.example.net");
        house
            .patch(&format!("/api/v1/channels/{id}"), json!({ "config": config }))
            .await;
        house.page(&incident("b")).await;
        house.notify.deliver().await.unwrap();
        let names: Vec<String> = sink.mails().into_iter().map(|mail| mail.ehlo).collect();
        assert_eq!(names, ["ops.example.org", "mx.example.net"]);
    }
    let bare = Settings {
        public_url: "http://vm:8080".into(),
        ..settings()
    };
    for house in House::both_with(bare).await {
        let sink = SmtpSink::start(house.kernel(), false).await;
        house
            .channel("Mail", config(&sink, "none", &["ann@example.org"]), json!({}))
            .await;
        house.page(&incident("a")).await;
        house.notify.deliver().await.unwrap();
        let ehlo = sink.mails()[0].ehlo.clone();
        assert!(ehlo.starts_with("[127.") || ehlo.starts_with("[IPv6:"), "{ehlo}");
    }
}

/// Killed while the mail server took its time: it may have the mail.
#[tokio::test]
async fn what_was_handed_over_before_a_crash_is_not_sent_again_at_once() {
    let mut settings = settings();
    settings.patience.renew_every = Duration::from_millis(20);
    for house in House::both_with(settings).await {
        if house.kernel().db.kind() != kernel::db::Kind::Sqlite {
            continue;
        }
        let sink = SmtpSink::start(house.kernel(), false).await;
        house
            .channel("Mail", config(&sink, "none", &["ann@example.org"]), json!({}))
            .await;
        house.page(&incident("a")).await;
        sink.set_open(false);
        {
            let sending = house.notify.deliver();
            tokio::pin!(sending);
            let noted = async {
                while house.get("/api/v1/messages").await["items"][0]["outcome"] != "unknown" {
                    tokio::task::yield_now().await;
                }
            };
            let noted = tokio::time::timeout(Duration::from_secs(20), noted);
            tokio::select! {
                _ = &mut sending => panic!("the server has not answered"),
                noted = noted => noted.unwrap(),
            }
        }
        for task in notify::slice(&house.another()).tasks {
            drop(kernel::task::start(house.kernel(), task));
        }
        let next = house.clock.now() + SignedDuration::from_mins(10);
        let deadline = Instant::now() + Duration::from_secs(20);
        while house.get("/api/v1/messages").await["items"][0]["next_attempt_at"] != next.to_string() {
            assert!(
                Instant::now() < deadline,
                "{}",
                house.get("/api/v1/messages").await
            );
            tokio::task::yield_now().await;
        }
        assert_eq!(sink.mails().len(), 1);
    }
}
