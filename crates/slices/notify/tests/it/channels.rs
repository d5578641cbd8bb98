//! Channels over HTTP: validation, secrets, the test button.

use serde_json::json;

use crate::house::House;
use crate::http_sink::HttpSink;

#[tokio::test]
async fn secrets_go_in_and_never_come_out() {
    for house in House::both().await {
        let config = json!({ "type": "webhook", "url": "https://hooks.example.org/x", "headers": { "x-team": "web" } });
        let secrets = json!({ "signing_key": "hush-hush", "authorization": "Bearer sesame" });
        let id = house.channel("Hooks", config, secrets).await;
        let path = format!("/api/v1/channels/{id}");
        let shown = house.get(&path).await;
        assert_eq!(
            shown["secrets_set"],
            json!(["signing_key", "authorization", "headers.x-team"])
        );
        let (status, changed) = house
            .patch(&path, json!({ "secrets": { "signing_key": "" }, "name": "Hook" }))
            .await;
        assert_eq!(status, 200, "{changed}");
        assert_eq!(changed["secrets_set"], json!(["authorization", "headers.x-team"]));
        let mut reader = house.kernel().db.read().await.unwrap();
        let events = kernel::event::store::after(&mut reader, 0, 100).await.unwrap();
        let stored = notify::store::channels::get(&mut reader, id.as_str())
            .await
            .unwrap()
            .unwrap();
        let said = format!(
            "{shown}{changed}{events:?}{:?}",
            String::from_utf8_lossy(&stored.secrets)
        );
        assert!(!said.contains("hush") && !said.contains("sesame"));
        assert_eq!(events.last().unwrap().data["changed"], json!(["name", "secrets"]));
        drop(reader);
        let (status, _) = house.call("administrator", "DELETE", &path, None).await;
        assert_eq!(status, 204);
        assert_eq!(house.call("viewer", "GET", &path, None).await.0, 404);
        assert_eq!(
            house.topics().await,
            ["channel.created", "channel.changed", "channel.removed"]
        );
    }
}

#[tokio::test]
async fn bad_channels_are_refused_with_their_fields() {
    for house in House::both().await {
        let email = |change: serde_json::Value| {
            let mut config = json!({ "type": "email", "host": "mail.example.org", "port": 587, "from": "a@b.org", "to": ["c@d.org"] });
            for (name, value) in change.as_object().unwrap() {
                config[name] = value.clone();
            }
            json!({ "name": "Mail", "config": config })
        };
        let cases = [
            (email(json!({ "to": [] })), "config.to"),
            (email(json!({ "to": ["nobody"] })), "config.to[0]"),
            (email(json!({ "from": "x\ny@z.org" })), "config.from"),
            (email(json!({ "port": 0 })), "config.port"),
            (
                email(json!({ "username": "u", "security": "none" })),
                "config.security",
            ),
            (email(json!({ "ca_pem": "nonsense" })), "config.ca_pem"),
            (
                json!({ "name": "S", "config": { "type": "slack" } }),
                "secrets.url",
            ),
            (
                json!({ "name": "S", "config": { "type": "slack" }, "secrets": { "url": "ftp://x.org/y" } }),
                "secrets.url",
            ),
            (
                json!({ "name": "M", "config": { "type": "matrix", "homeserver": "https://m.org", "room": "#x:m.org" } }),
                "config.room",
            ),
            (
                json!({ "name": "W", "config": { "type": "webhook", "url": "https://u:p@x.org/" } }),
                "config.url",
            ),
            (
                json!({ "name": "W", "config": { "type": "webhook", "url": "https://x.org/", "headers": { "Host": "y" } } }),
                "config.headers",
            ),
            (
                json!({ "name": "W", "config": { "type": "webhook", "url": "https://x.org/" }, "secrets": { "password": "x" } }),
                "secrets.password",
            ),
            (
                json!({ "name": "W", "config": { "type": "webhook", "url": "https://x.org/" }, "title_template": "a\n{{" }),
                "title_template",
            ),
            (
                json!({ "name": "", "config": { "type": "webhook", "url": "https://x.org/" } }),
                "name",
            ),
            (json!({ "name": "W", "config": { "type": "pigeon" } }), "body"),
        ];
        for (body, field) in cases {
            let (status, answer) = house.post("/api/v1/channels", body.clone()).await;
            assert_eq!(status, 422, "{body} {answer}");
            let fields = answer["errors"].as_array().unwrap();
            assert!(
                fields.iter().any(|error| error["field"] == field),
                "{field} in {answer}"
            );
        }
        house.webhook("W", "https://x.org/").await;
        let twin = json!({ "name": "w", "config": { "type": "webhook", "url": "https://x.org/" } });
        assert_eq!(house.post("/api/v1/channels", twin.clone()).await.0, 409);
        assert_eq!(
            house
                .call("operator", "POST", "/api/v1/channels", Some(twin))
                .await
                .0,
            403
        );
        let page = house.get("/api/v1/channels?limit=1").await;
        assert_eq!(page["items"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn the_test_button_tells_how_it_went() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        let id = house.webhook("Hook", &format!("{}/hook", sink.url)).await;
        let path = format!("/api/v1/channels/{id}/test");
        let (status, result) = house.post(&path, json!({})).await;
        assert_eq!((status, &result["is_delivered"]), (200, &json!(true)));
        assert_eq!(sink.got()[0].json()["kind"], "test");
        sink.reply(403, Vec::new(), "who are you?");
        let (_, result) = house.post(&path, json!({})).await;
        assert_eq!(result["is_delivered"], false);
        let error = result["errors"][0].as_str().unwrap();
        assert!(error.contains("403") && error.contains("who are you?"), "{error}");
        let shown = house.get(&format!("/api/v1/channels/{id}")).await;
        assert_eq!(shown["error"], error);
        // It went past the outbox.
        assert!(house.states().await.is_empty());
        assert_eq!(house.post("/api/v1/channels/chn_x/test", json!({})).await.0, 404);
    }
}

/// Tokens stand in addresses and headers; receivers quote them when they refuse.
#[tokio::test]
async fn headers_and_tokens_in_addresses_are_sealed_and_still_sent() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        let url = format!("{}/hook/T0kenHush?key=quiet1", sink.url);
        let config = json!({ "type": "webhook", "url": url, "headers": { "x-api-key": "sesame42" } });
        let id = house.channel("Hook", config, json!({})).await;
        let path = format!("/api/v1/channels/{id}");
        // What is shown can be sent back.
        let shown = house.get(&path).await;
        let change = json!({ "config": shown["config"], "name": "Hooks" });
        let (status, changed) = house.patch(&path, change).await;
        assert_eq!(status, 200, "{changed}");
        house.page(&crate::house::incident("a")).await;
        sink.reply(
            400,
            Vec::new(),
            "no such key: sesame42, quiet1 of /hook/T0kenHush?key=quiet1",
        );
        house.notify.deliver().await.unwrap();
        let got = &sink.got()[0];
        assert_eq!(got.path, "/hook/T0kenHush?key=quiet1");
        assert_eq!(got.header("x-api-key"), "sesame42");
        let mut reader = house.kernel().db.read().await.unwrap();
        let events = kernel::event::store::after(&mut reader, 0, 100).await.unwrap();
        let stored = notify::store::channels::get(&mut reader, id.as_str())
            .await
            .unwrap()
            .unwrap();
        let messages = house.get("/api/v1/messages").await;
        let channels = house.get("/api/v1/channels").await;
        let said = format!(
            "{shown}{changed}{events:?}{:?}{messages}{channels}",
            stored.config
        );
        for secret in ["T0kenHush", "quiet1", "sesame42"] {
            assert!(!said.contains(secret), "{secret} in {said}");
        }
        let bad = json!({ "config": { "type": "webhook", "url": "https://other.org/…" } });
        assert_eq!(house.patch(&path, bad).await.0, 422);
    }
}

#[tokio::test]
async fn what_was_stored_in_clear_is_sealed_at_the_start() {
    for house in House::both().await {
        let sink = HttpSink::start(house.kernel()).await;
        let id = house.webhook("Hook", &sink.url).await;
        let clear = json!({ "type": "webhook", "url": format!("{}/T0kenHush", sink.url), "headers": { "x-key": "sesame42" } });
        let mut tx = house.kernel().db.write().await.unwrap();
        sqlx::query("UPDATE channel SET config = $1")
            .bind(clear.to_string())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        house.notify.seal_plain().await.unwrap();
        let mut reader = house.kernel().db.read().await.unwrap();
        let stored = notify::store::channels::get(&mut reader, id.as_str())
            .await
            .unwrap()
            .unwrap();
        let config = format!("{:?}", stored.config);
        assert!(
            !config.contains("T0kenHush") && !config.contains("sesame42"),
            "{config}"
        );
        drop(reader);
        house.page(&crate::house::incident("a")).await;
        house.notify.deliver().await.unwrap();
        assert_eq!(sink.got()[0].path, "/T0kenHush");
        assert_eq!(sink.got()[0].header("x-key"), "sesame42");
    }
}
