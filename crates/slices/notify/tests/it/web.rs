//! Webhook, Slack-compatible and Matrix channels, against a receiver that looks closely.

use jiff::SignedDuration;
use notify::{Page, PageAlert, Severity};
use serde_json::json;

use crate::house::{House, incident, settings};
use crate::http_sink::HttpSink;
use crate::smtp_sink::SmtpSink;

#[tokio::test]
async fn a_webhook_is_signed_and_carries_its_key() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        let config = json!({ "type": "webhook", "url": format!("{}/in?x=1", sink.url), "headers": { "x-team": "web" } });
        house
            .channel(
                "Hook",
                config,
                json!({ "signing_key": "key", "authorization": "Bearer sesame" }),
            )
            .await;
        house.page(&incident("k")).await;
        house.notify.deliver().await.unwrap();
        let got = &sink.got()[0];
        assert_eq!((got.method.as_str(), got.path.as_str()), ("POST", "/in?x=1"));
        assert_eq!(got.header("content-type"), "application/json");
        assert_eq!(got.header("x-team"), "web");
        assert_eq!(got.header("authorization"), "Bearer sesame");
        let body = got.json();
        assert_eq!(body["id"], got.header("idempotency-key"));
        assert_eq!(body["kind"], "incident_opened");
        assert_eq!(body["url"], "https://ops.example.org/incidents/inc_1");
        assert_eq!(body["fields"], json!([{ "name": "Host", "value": "web-1" }]));
        let (time, signature) = got.header("mainstay-signature").split_once(",v1=").unwrap();
        let time = time.strip_prefix("t=").unwrap();
        assert_eq!(time, house.clock.now().as_second().to_string());
        use hmac::{Hmac, KeyInit, Mac};
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"key").unwrap();
        mac.update(format!("{time}.").as_bytes());
        mac.update(&got.body);
        let expected: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(signature, expected);
    }
}

#[tokio::test]
async fn a_redirect_is_followed_on_the_same_host_only() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        let elsewhere = HttpSink::start(house.kernel()).await;
        let config = json!({ "type": "webhook", "url": sink.url });
        house
            .channel("Hook", config, json!({ "authorization": "Bearer sesame" }))
            .await;
        sink.reply(307, vec![("location", "/moved".into())], "");
        house.page(&incident("a")).await;
        house.notify.deliver().await.unwrap();
        assert_eq!(house.states().await, ["sent"]);
        assert_eq!(sink.got()[1].path, "/moved");
        sink.reply(307, vec![("location", format!("{}/stolen", elsewhere.url))], "");
        house.page(&incident("b")).await;
        house.notify.deliver().await.unwrap();
        assert!(elsewhere.got().is_empty());
        assert_eq!(house.states().await, ["sent", "dead"]);
    }
}

/// After these a client asks with GET: what was sent is not in it.
#[tokio::test]
async fn a_redirect_that_loses_the_body_is_no_success_and_names_the_new_address() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        let id = house.webhook("Hook", &format!("{}/hook", sink.url)).await;
        for (n, status) in [301, 302, 303].into_iter().enumerate() {
            sink.reply(status, vec![("location", "/hook/?token=hush".into())], "");
            house.page(&incident(&format!("k{n}"))).await;
            house.notify.deliver().await.unwrap();
            assert_eq!(sink.got().len(), n + 1, "nothing is asked of the new address");
            let message = &house.get("/api/v1/messages").await["items"][0];
            assert_eq!(message["state"], "dead");
            assert_eq!(message["outcome"], "misconfigured");
            let error = message["error"].as_str().unwrap();
            assert!(error.contains(&format!("{}/hook/", sink.url)), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
        // With the right address, what was given up is sent.
        let config = json!({ "type": "webhook", "url": format!("{}/hook/", sink.url) });
        let (status, body) = house
            .patch(&format!("/api/v1/channels/{id}"), json!({ "config": config }))
            .await;
        assert_eq!(status, 200, "{body}");
        house.notify.deliver().await.unwrap();
        assert_eq!(house.states().await, ["sent", "sent", "sent"]);
        assert_eq!(sink.got()[3].json()["kind"], "incident_opened");
    }
}

#[tokio::test]
async fn a_channel_that_cannot_deliver_is_told_on_the_others_once_a_day() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        let other = HttpSink::start(house.kernel()).await;
        house.webhook("Broken", &sink.url).await;
        for key in ["a", "b"] {
            sink.reply(401, Vec::new(), "who are you");
            house.page(&incident(key)).await;
            house.notify.deliver().await.unwrap();
            if key == "a" {
                house.webhook("Other", &other.url).await;
            }
        }
        sink.reply(401, Vec::new(), "who are you");
        house.page(&incident("c")).await;
        house.notify.deliver().await.unwrap();
        let titles: Vec<String> = other
            .got()
            .iter()
            .map(|got| got.json()["title"].to_string())
            .collect();
        let told = titles.iter().filter(|title| title.contains("does not deliver"));
        assert_eq!(told.count(), 1, "{titles:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_not_answered_is_repeated_rarely_and_never_called_sent() {
    let mut settings = settings();
    settings.patience.request = std::time::Duration::from_millis(100);
    for house in House::both_with(settings).await {
        let sink = HttpSink::start(house.kernel()).await;
        house.webhook("Hook", &sink.url).await;
        sink.set_open(false);
        house.page(&incident("k")).await;
        house.notify.deliver().await.unwrap();
        let message = &house.get("/api/v1/messages").await["items"][0];
        assert_eq!(
            (&message["state"], &message["outcome"]),
            (&json!("waiting"), &json!("unknown"))
        );
        for wait_min in [10, 30, 60] {
            house.clock.advance(SignedDuration::from_secs(wait_min * 60 - 1));
            assert_eq!(house.notify.deliver().await.unwrap(), 0);
            house.clock.advance(SignedDuration::from_secs(1));
            assert_eq!(house.notify.deliver().await.unwrap(), 1);
        }
        assert_eq!(house.states().await, ["unconfirmed"]);
        house.clock.advance(SignedDuration::from_hours(20));
        assert_eq!(house.notify.deliver().await.unwrap(), 0);
        assert_eq!(sink.got().len(), 4);
        let topics = house.topics().await;
        assert_eq!(
            topics[1..],
            ["message.queued", "message.failed", "message.unconfirmed"]
        );
    }
}

#[tokio::test]
async fn slack_gets_blocks_and_a_fallback_with_nothing_to_misread() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        let url = format!("{}/services/T0/B0/secret", sink.url);
        house
            .channel("Chat", json!({ "type": "slack" }), json!({ "url": url }))
            .await;
        sink.reply(429, vec![("retry-after", "30".into())], "");
        house.page(&incident("k")).await;
        house.notify.deliver().await.unwrap();
        house.clock.advance(SignedDuration::from_secs(29));
        assert_eq!(house.notify.deliver().await.unwrap(), 0);
        house.clock.advance(SignedDuration::from_secs(1));
        house.notify.deliver().await.unwrap();
        let body = sink.got()[1].json();
        assert_eq!(body["blocks"][0]["type"], "header");
        let text = body["blocks"][1]["text"]["text"].as_str().unwrap();
        assert_eq!(text, "It was active for 3 days &amp; left with &lt;status 1&gt;.");
        assert_eq!(body["blocks"][2]["fields"][0]["text"], "*Host*\nweb-1");
        assert!(
            body["text"]
                .as_str()
                .unwrap()
                .contains("https://ops.example.org/incidents/inc_1")
        );
        // An address that cannot be reached is told without its secret part.
        let shown = house.get("/api/v1/messages").await.to_string()
            + &house.get("/api/v1/channels").await.to_string();
        assert!(!shown.contains("secret\"") && !shown.contains("/T0/"), "{shown}");
    }
}

#[tokio::test]
async fn an_unreachable_address_is_told_without_its_secret() {
    for house in House::both().await {
        let url = "http://127.0.0.1:9/services/T0/hush";
        house
            .channel("Chat", json!({ "type": "slack" }), json!({ "url": url }))
            .await;
        house.page(&incident("k")).await;
        house.notify.deliver().await.unwrap();
        let list = house.get("/api/v1/messages").await;
        assert_eq!(list["items"][0]["state"], "waiting");
        assert!(!list.to_string().contains("hush"), "{list}");
        assert!(
            list["items"][0]["error"]
                .as_str()
                .unwrap()
                .to_lowercase()
                .contains("refused"),
            "{list}"
        );
    }
}

#[tokio::test]
async fn matrix_gets_one_event_under_one_transaction_id() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        let config = json!({ "type": "matrix", "homeserver": format!("{}/", sink.url), "room": "!ops room:example.org" });
        house
            .channel("Room", config, json!({ "access_token": "syt_1" }))
            .await;
        sink.reply(
            429,
            Vec::new(),
            r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":9000}"#,
        );
        house.page(&incident("k")).await;
        house.notify.deliver().await.unwrap();
        house.clock.advance(SignedDuration::from_secs(8));
        assert_eq!(house.notify.deliver().await.unwrap(), 0);
        house.clock.advance(SignedDuration::from_secs(1));
        sink.reply(200, Vec::new(), r#"{"event_id":"$1"}"#);
        assert_eq!(house.notify.deliver().await.unwrap(), 1);
        assert_eq!(house.states().await, ["sent"]);
        let got = sink.got();
        assert_eq!(got[0].path, got[1].path);
        assert_eq!(got[1].method, "PUT");
        assert!(
            got[1]
                .path
                .starts_with("/_matrix/client/v3/rooms/!ops%20room:example.org/send/m.room.message/msg_"),
            "{}",
            got[1].path
        );
        assert_eq!(got[1].header("authorization"), "Bearer syt_1");
        let body = got[1].json();
        assert!(
            body["formatted_body"]
                .as_str()
                .unwrap()
                .contains("&lt;status 1&gt;")
        );
        assert!(body["body"].as_str().unwrap().contains("Host: web-1"));
    }
}

#[tokio::test]
async fn a_channels_own_words_replace_the_default() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        let id = house.webhook("Hook", &sink.url).await;
        let change = json!({ "title_template": "{{ severity|upper }} {{ fields[0].value }}", "text_template": "see {{ url }}" });
        let (status, body) = house.patch(&format!("/api/v1/channels/{id}"), change).await;
        assert_eq!(status, 200, "{body}");
        house.page(&incident("k")).await;
        house.notify.deliver().await.unwrap();
        let body = sink.got()[0].json();
        assert_eq!(body["title"], "CRITICAL web-1");
        assert_eq!(body["text"], "see https://ops.example.org/incidents/inc_1");
    }
}

/// What a rule says of its alert, in every channel and in templates.
#[tokio::test]
async fn description_runbook_value_labels_and_place_reach_people_on_every_channel() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        let mail = SmtpSink::start(house.kernel(), false).await;
        house.webhook("Hook", &format!("{}/hook", sink.url)).await;
        let chat = json!({ "url": format!("{}/chat", sink.url) });
        house.channel("Chat", json!({ "type": "slack" }), chat).await;
        let room = json!({ "type": "matrix", "homeserver": sink.url, "room": "!ops:example.org" });
        house
            .channel("Room", room, json!({ "access_token": "syt_1" }))
            .await;
        let address = json!({
            "type": "email", "host": "localhost", "port": mail.port, "security": "none",
            "from": "mainstay@example.org", "to": ["ann@example.org"],
        });
        house.channel("Mail", address, json!({})).await;
        let own = house.webhook("Own words", &format!("{}/own", sink.url)).await;
        let template =
            "{{ description }} {{ runbook_url }} {{ labels.job }} {{ alerts[0].annotations.dashboard }}";
        let change = json!({ "text_template": template });
        assert_eq!(
            house.patch(&format!("/api/v1/channels/{own}"), change).await.0,
            200
        );
        let alert = PageAlert {
            name: "DataVolumeFills".into(),
            severity: Severity::Critical,
            summary: "A volume fills".into(),
            description: "Volume data has 42 % left; delete old dumps first".into(),
            value: Some("42.5".into()),
            service: Some("postgres".into()),
            host: Some("db-7".into()),
            since: Some(house.clock.now()),
            runbook_url: Some("https://runbooks.example.org/volume".into()),
            labels: [("job".to_owned(), "node".to_owned())].into(),
            annotations: [("dashboard".to_owned(), "https://g.example.org/d/1".to_owned())].into(),
            ..PageAlert::default()
        };
        let page = Page {
            alerts: vec![alert],
            alerts_left_out: 470,
            ..incident("k")
        };
        assert_eq!(house.page(&page).await, 5);
        house.notify.deliver().await.unwrap();
        let sent = |part: &str| {
            let got = sink.got();
            let one = got.iter().find(|got| got.path.contains(part)).unwrap();
            one.json().to_string()
        };
        // The first alternative of a mail is plain text; lines may be wrapped.
        let mail = mail.mails()[0].data.replace("=\r\n", "").replace("=3D", "=");
        for (channel, text) in [
            ("hook", sent("/hook")),
            ("chat", sent("/chat")),
            ("room", sent("/rooms/")),
            ("mail", mail),
        ] {
            for part in [
                "42 % left; delete old dumps first",
                "https://runbooks.example.org/volume",
                "42.5",
                "postgres",
                "db-7",
                "2026-03-01",
                "https://g.example.org/d/1",
                "node",
                "470",
            ] {
                assert!(text.contains(part), "{channel} lacks {part}: {text}");
            }
        }
        let own = "Volume data has 42 % left; delete old dumps first https://runbooks.example.org/volume node \
            https://g.example.org/d/1";
        assert!(sent("/own").contains(own), "{}", sent("/own"));
    }
}
