//! Roles, scopes, and the administrator who is always left.

use serde_json::json;

use crate::house::House;

#[tokio::test]
async fn the_last_administrator_cannot_be_removed_in_any_way() {
    for house in House::both().await {
        let ann = house.ann().await;
        let me = house.get(&ann, "/api/v1/session").await.body;
        let id = me["actor"]["id"].as_str().unwrap();
        let person = format!("/api/v1/people/{id}");
        let detail = house.get(&ann, &person).await.body;
        let grant = format!("/api/v1/grants/{}", detail["grants"][0]["id"].as_str().unwrap());
        assert_eq!(
            house
                .patch(&ann, &person, json!({ "is_disabled": true }))
                .await
                .status,
            409
        );
        assert_eq!(house.delete(&ann, &person).await.status, 409);
        assert_eq!(house.delete(&ann, &grant).await.status, 409);
        // Through a team she would still be one, until the team goes.
        let team = house
            .post(&ann, "/api/v1/teams", json!({ "name": "Admins" }))
            .await
            .body;
        let team = format!("/api/v1/teams/{}", team["id"].as_str().unwrap());
        house
            .post(
                &ann,
                &format!("{team}/grants"),
                json!({ "role": "administrator" }),
            )
            .await;
        house
            .post(&ann, &format!("{team}/members"), json!({ "person": id }))
            .await;
        assert_eq!(house.delete(&ann, &grant).await.status, 204);
        assert_eq!(house.delete(&ann, &team).await.status, 409);
        assert_eq!(
            house.delete(&ann, &format!("{team}/members/{id}")).await.status,
            409
        );
        house.add_person(&ann, "bob", Some("administrator")).await;
        assert_eq!(house.delete(&ann, &team).await.status, 204);
        assert_eq!(house.get(&ann, "/api/v1/people").await.status, 403);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_administrators_cannot_remove_each_other_at_once() {
    for house in House::both().await {
        let ann = house.ann().await;
        let ann_id = house.get(&ann, "/api/v1/session").await.body["actor"]["id"].clone();
        let bob_id = house.add_person(&ann, "bob", Some("administrator")).await;
        let bob = house.sign_in("bob").await.caller();
        let off = || json!({ "is_disabled": true });
        let his = format!("/api/v1/people/{bob_id}");
        let hers = format!("/api/v1/people/{}", ann_id.as_str().unwrap());
        let (one, two) = tokio::join!(house.patch(&ann, &his, off()), house.patch(&bob, &hers, off()));
        assert!(one.status == 200 || two.status == 200);
        assert!(one.status != 200 || two.status != 200, "both were disabled");
        assert!(!house.access.needs_setup().await.unwrap());
    }
}

#[tokio::test]
async fn an_administrator_of_one_team_does_not_administer_the_house() {
    for house in House::both().await {
        let ann = house.ann().await;
        let team = house
            .post(&ann, "/api/v1/teams", json!({ "name": "Web" }))
            .await
            .body;
        let bob = house.add_person(&ann, "bob", None).await;
        let grants = format!("/api/v1/people/{bob}/grants");
        let scoped = json!({ "role": "administrator", "scope": { "team": team["id"] } });
        assert_eq!(house.post(&ann, &grants, scoped.clone()).await.status, 201);
        assert_eq!(house.post(&ann, &grants, scoped).await.status, 201);
        assert_eq!(house.get(&ann, &grants).await.body.as_array().unwrap().len(), 1);
        let unknown = json!({ "role": "viewer", "scope": { "team": "team_x" } });
        assert_eq!(house.post(&ann, &grants, unknown).await.status, 422);
        let browser = house.sign_in("bob").await.caller();
        assert_eq!(
            house
                .post(&browser, &grants, json!({ "role": "administrator" }))
                .await
                .status,
            403
        );
        assert_eq!(
            house
                .post(&browser, "/api/v1/teams", json!({ "name": "Mine" }))
                .await
                .status,
            403
        );
        assert_eq!(house.get(&browser, "/api/v1/service-accounts").await.status, 403);
        // With the team goes what held on its things only.
        let path = format!("/api/v1/teams/{}", team["id"].as_str().unwrap());
        assert_eq!(house.delete(&ann, &path).await.status, 204);
        assert_eq!(house.get(&ann, &grants).await.body, json!([]));
    }
}
