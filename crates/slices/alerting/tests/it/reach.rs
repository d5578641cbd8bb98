//! Mutes of people whose role holds for some items: they reach no further, now or later.

use alerting::settle_all;
use kernel::Kernel;
use serde_json::{Value, json};

use crate::api::Client;
use crate::parts::{advance, beds, observe, signal, tagged_host, told};

const PROD: &[(&str, &str)] = &[("role", "manager"), ("env", "prod"), ("person", "per_prod")];
const TEST: &[(&str, &str)] = &[("role", "manager"), ("env", "test"), ("person", "per_test")];

fn everything(client: &Client, comment: &str) -> Value {
    let ends = (client.now() + jiff::SignedDuration::from_hours(1)).to_string();
    let matcher = json!({ "name": "alertname", "op": "=", "value": "DiskFull" });
    json!({ "matchers": [matcher], "comment": comment, "ends_at": ends })
}

/// The host and topic of every event about an alert.
async fn said(kernel: &Kernel) -> Vec<(String, String)> {
    let mut said: Vec<_> = told(kernel)
        .await
        .into_iter()
        .map(|event| {
            let host = event.data["labels"]["instance"].as_str().unwrap().to_owned();
            (host, event.topic)
        })
        .collect();
    said.sort();
    said
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = all.iter();
    pairs
        .map(|(host, topic)| ((*host).to_owned(), (*topic).to_owned()))
        .collect()
}

#[tokio::test]
async fn a_scoped_managers_silence_mutes_their_alerts_alone_also_those_to_come() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let client = Client::new(kernel);
        for (host, env) in [
            ("web-1", "prod"),
            ("db-1", "test"),
            ("web-2", "prod"),
            ("db-2", "test"),
        ] {
            tagged_host(kernel, host, env).await;
        }
        let look = |host: &'static str| signal(kernel, "DiskFull", host, true);
        observe(kernel, &[look("web-1"), look("db-1")]).await;
        let silence = everything(&client, "mine");
        let made = client
            .send("POST", "/api/v1/silences", &silence, PROD)
            .await
            .ok(201);
        assert_eq!(
            made["scopes"],
            json!([{ "team": null, "tags": { "env": "prod" } }])
        );
        advance(kernel, 1);
        // Of no item, so of nobody's part.
        observe(kernel, &[look("web-2"), look("db-2"), look("nowhere")]).await;
        settle_all(kernel).await.unwrap();
        assert_eq!(
            said(kernel).await,
            pairs(&[
                ("db-1", "alert.fired"),
                ("db-2", "alert.fired"),
                ("nowhere", "alert.fired"),
                ("web-1", "alert.fired"),
                ("web-1", "alert.silenced"),
                ("web-2", "alert.silenced"),
            ])
        );
    }
}

#[tokio::test]
async fn an_item_that_leaves_the_reach_is_not_muted_any_more() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let client = Client::new(kernel);
        let (web, _) = tagged_host(kernel, "web-1", "prod").await;
        let ends = (client.now() + jiff::SignedDuration::from_hours(1)).to_string();
        let window = json!({ "title": "x", "items": [web.as_str()], "ends_at": ends });
        client
            .send("POST", "/api/v1/maintenance", &window, PROD)
            .await
            .ok(201);
        let silence = everything(&client, "mine");
        client
            .send("POST", "/api/v1/silences", &silence, PROD)
            .await
            .ok(201);
        let mut tx = kernel.db.write().await.unwrap();
        sqlx::query("UPDATE item SET tags = $2, own_tags = $2 WHERE id = $1")
            .bind(web.as_str().to_owned())
            .bind(r#"{"env":"test"}"#)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        observe(kernel, &[signal(kernel, "DiskFull", "web-1", true)]).await;
        assert_eq!(said(kernel).await, pairs(&[("web-1", "alert.fired")]));
    }
}

#[tokio::test]
async fn others_mutes_are_neither_listed_nor_changed_nor_ended() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let client = Client::new(kernel);
        let (web, _) = tagged_host(kernel, "web-1", "prod").await;
        let (db, _) = tagged_host(kernel, "db-1", "test").await;
        observe(kernel, &[signal(kernel, "DiskFull", "db-1", true)]).await;
        let ends = (client.now() + jiff::SignedDuration::from_hours(1)).to_string();
        let window = |item: &str| json!({ "title": "secret plan", "items": [item], "ends_at": ends });
        let silence = everything(&client, "secret plan");
        let prod_silence = client
            .send("POST", "/api/v1/silences", &silence, PROD)
            .await
            .ok(201);
        let prod_window = client
            .send("POST", "/api/v1/maintenance", &window(web.as_str()), PROD)
            .await
            .ok(201);
        let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
        for (list, made) in [
            ("/api/v1/silences", id(&prod_silence)),
            ("/api/v1/maintenance", id(&prod_window)),
        ] {
            let seen = client.send("GET", list, &Value::Null, TEST).await.ok(200);
            assert!(!seen.to_string().contains("secret plan"), "{seen}");
            let one = format!("{list}/{made}");
            client.send("GET", &one, &Value::Null, TEST).await.ok(404);
            client.send("DELETE", &one, &Value::Null, TEST).await.ok(404);
            let longer = json!({ "ends_at": ends });
            client.send("PATCH", &one, &longer, TEST).await.ok(404);
            let own = client.send("GET", list, &Value::Null, PROD).await.ok(200);
            assert_eq!(own["items"].as_array().unwrap().len(), 1);
        }
        // Somebody of the same part sees it; ending it is for who made it, or for whoever answers for everything.
        let colleague = [("role", "manager"), ("env", "prod"), ("person", "per_other")];
        let one = format!("/api/v1/silences/{}", id(&prod_silence));
        client.send("GET", &one, &Value::Null, &colleague).await.ok(200);
        client
            .send("DELETE", &one, &Value::Null, &colleague)
            .await
            .ok(403);
        // What mutes an alert that somebody sees is shown to them, and is not theirs to end.
        let all = client
            .post("/api/v1/silences", &everything(&client, "for all"))
            .await
            .ok(201);
        let shown = client
            .send("GET", "/api/v1/silences", &Value::Null, TEST)
            .await
            .ok(200);
        assert_eq!(shown["items"][0]["comment"], "for all");
        let one = format!("/api/v1/silences/{}", id(&all));
        client.send("DELETE", &one, &Value::Null, TEST).await.ok(403);
        client
            .send("PATCH", &one, &json!({ "ends_at": ends }), TEST)
            .await
            .ok(403);
        let made = client
            .post("/api/v1/maintenance", &window(db.as_str()))
            .await
            .ok(201);
        let one = format!("/api/v1/maintenance/{}", id(&made));
        client.send("DELETE", &one, &Value::Null, TEST).await.ok(403);
        client.delete(&one).await.ok(200);
    }
}
