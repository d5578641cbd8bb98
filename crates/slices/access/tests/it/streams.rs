//! Streams that are open when their reader loses what they were opened with.

use std::time::Duration;

use axum::body::BodyDataStream;
use futures_util::StreamExt;
use serde_json::json;

use crate::house::{Caller, House};

const STREAM: &str = "/api/v1/events/stream";

async fn is_cut(mut stream: BodyDataStream) -> bool {
    let rest = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(8), rest).await.is_ok()
}

#[tokio::test]
async fn a_stream_ends_with_logout_revocation_disabling_and_demotion() {
    for house in House::both().await {
        let ann = house.ann().await;
        let id = house.add_person(&ann, "bob", Some("auditor")).await;
        let person = format!("/api/v1/people/{id}");

        let bob = house.sign_in("bob").await.caller();
        let stream = house.stream(&bob, STREAM).await;
        assert_eq!(house.delete(&bob, "/api/v1/session").await.status, 204);
        assert!(is_cut(stream).await, "after logout");

        let bob = house.sign_in("bob").await.caller();
        let stream = house.stream(&bob, STREAM).await;
        let grants = house.get(&ann, &format!("{person}/grants")).await.body;
        let grant = grants["items"][0]["id"]
            .as_str()
            .or(grants[0]["id"].as_str())
            .unwrap();
        let path = format!("/api/v1/grants/{grant}");
        let gone = house.delete(&ann, &path).await;
        assert_eq!(gone.status, 204, "{}", gone.body);
        assert!(is_cut(stream).await, "after demotion");

        let again = house
            .post(&ann, &format!("{person}/grants"), json!({ "role": "viewer" }))
            .await;
        assert_eq!(again.status, 201, "{}", again.body);
        let stream = house.stream(&bob, STREAM).await;
        let off = house.patch(&ann, &person, json!({ "is_disabled": true })).await;
        assert_eq!(off.status, 200, "{}", off.body);
        assert!(is_cut(stream).await, "after disabling");

        let made = house
            .post(&ann, "/api/v1/tokens", json!({ "name": "script" }))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
        let script = Caller::token(
            made.body["secret"]
                .as_str()
                .or(made.body["token"].as_str())
                .unwrap(),
        );
        let stream = house.stream(&script, STREAM).await;
        let id = made.body["id"]
            .as_str()
            .or(made.body["token"]["id"].as_str())
            .unwrap();
        let path = format!("/api/v1/tokens/{id}");
        assert_eq!(house.delete(&ann, &path).await.status, 204);
        assert!(is_cut(stream).await, "after revocation");
    }
}
