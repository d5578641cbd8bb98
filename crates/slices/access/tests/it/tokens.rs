//! API tokens: narrow, expiring, revocable.

use serde_json::json;

use crate::house::{Caller, House};

#[tokio::test]
async fn a_narrow_token_does_what_it_says_and_makes_only_narrower_ones() {
    for house in House::both().await {
        let ann = house.ann().await;
        let make = |permissions: serde_json::Value| json!({ "name": "narrow", "permissions": permissions });
        let made = house
            .post(&ann, "/api/v1/tokens", make(json!(["people.read", "tokens.*"])))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
        let secret = made.body["token"].as_str().unwrap();
        assert!(secret.starts_with("ms_") && secret.len() == 67);
        let narrow = Caller::token(secret);
        assert_eq!(house.get(&narrow, "/api/v1/people").await.status, 200);
        assert_eq!(house.get(&narrow, "/api/v1/teams").await.status, 403);
        assert_eq!(
            house
                .post(&narrow, "/api/v1/tokens", make(json!(["people.read"])))
                .await
                .status,
            201
        );
        assert_eq!(
            house
                .post(&narrow, "/api/v1/tokens", make(json!(["people.*"])))
                .await
                .status,
            403
        );
        assert_eq!(
            house
                .post(&narrow, "/api/v1/tokens", json!({ "name": "wide" }))
                .await
                .status,
            403
        );
        assert_eq!(
            house
                .post(&ann, "/api/v1/tokens", make(json!(["no.such"])))
                .await
                .status,
            422
        );
        assert_eq!(
            house.post(&ann, "/api/v1/tokens", make(json!([]))).await.status,
            422
        );
        let list = house.get(&ann, "/api/v1/tokens").await;
        assert_eq!(list.body["items"].as_array().unwrap().len(), 2);
        assert!(!list.body.to_string().contains(secret));
        let path = format!("/api/v1/tokens/{}", made.body["id"].as_str().unwrap());
        assert_eq!(house.delete(&ann, &path).await.status, 204);
        assert_eq!(house.get(&narrow, "/api/v1/people").await.status, 401);
    }
}

#[tokio::test]
async fn tokens_of_others_are_for_administrators() {
    for house in House::both().await {
        let ann = house.ann().await;
        house.add_person(&ann, "bob", Some("viewer")).await;
        let bob = house.sign_in("bob").await.caller();
        let hers = house
            .post(&ann, "/api/v1/tokens", json!({ "name": "hers" }))
            .await
            .body;
        let path = format!("/api/v1/tokens/{}", hers["id"].as_str().unwrap());
        assert_eq!(house.delete(&bob, &path).await.status, 404);
        assert_eq!(house.get(&bob, "/api/v1/tokens?owner=all").await.status, 403);
        let for_ann = json!({ "name": "theirs", "owner": hers["owner"] });
        assert_eq!(
            house.post(&bob, "/api/v1/tokens", for_ann.clone()).await.status,
            403
        );
        let his = house
            .post(
                &bob,
                "/api/v1/tokens",
                json!({ "name": "his", "expires_in_days": 1 }),
            )
            .await;
        assert_eq!(his.status, 201);
        // An administrator revokes anybody's, and makes none in another person's name.
        let all = house.get(&ann, "/api/v1/tokens?owner=all").await.body;
        assert_eq!(all["items"].as_array().unwrap().len(), 2);
        let for_bob = json!({ "name": "x", "owner": his.body["owner"] });
        assert_eq!(house.post(&ann, "/api/v1/tokens", for_bob).await.status, 422);
        let path = format!("/api/v1/tokens/{}", his.body["id"].as_str().unwrap());
        assert_eq!(house.delete(&ann, &path).await.status, 204);
    }
}

#[tokio::test]
async fn the_bootstrap_token_administers_and_replaces_the_one_before() {
    for house in House::both().await {
        let first = house.access.bootstrap_token().await.unwrap();
        let caller = Caller::token(&first);
        assert_eq!(house.get(&caller, "/api/v1/people").await.status, 200);
        assert!(house.access.is_good_token(&first).await.unwrap());
        // A script is nobody who could sign in: the setup link is still there for a person.
        assert!(house.access.needs_setup().await.unwrap());
        house.add_person(&caller, "ann", Some("administrator")).await;
        assert!(!house.access.needs_setup().await.unwrap());
        let second = house.access.bootstrap_token().await.unwrap();
        assert!(!house.access.is_good_token(&first).await.unwrap());
        assert!(house.access.is_good_token(&second).await.unwrap());
        assert!(!house.access.is_good_token("ms_nonsense").await.unwrap());
    }
}

#[tokio::test]
async fn uses_are_written_by_the_housekeeping_not_by_the_request() {
    for house in House::both().await {
        let ann = house.ann().await;
        let made = house
            .post(&ann, "/api/v1/tokens", json!({ "name": "script" }))
            .await
            .body;
        let script = Caller::token(made["token"].as_str().unwrap());
        house.get(&script, "/api/v1/people").await;
        let list = house.get(&ann, "/api/v1/tokens").await.body;
        assert_eq!(list["items"][0]["used_at"], json!(null));
        let slice = access::slice(&house.access);
        let mut running = Vec::new();
        for task in slice.tasks {
            running.push(kernel::task::start(house.bed.kernel(), task));
        }
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let list = house.get(&ann, "/api/v1/tokens").await.body;
            if list["items"][0]["used_at"].is_string() {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "never written");
            tokio::task::yield_now().await;
        }
        house.bed.kernel().stop.cancel();
        for task in running {
            task.await.unwrap();
        }
    }
}
