//! People, teams and service accounts.

use serde_json::json;

use crate::house::{Caller, House, PASSWORD};

#[tokio::test]
async fn people_are_added_changed_listed_and_removed() {
    for house in House::both().await {
        let ann = house.ann().await;
        for login in ["Zoe", "bob", "carl"] {
            house.add_person(&ann, login, None).await;
        }
        let taken = json!({ "name": "Other", "login": "BOB", "password": PASSWORD });
        assert_eq!(house.post(&ann, "/api/v1/people", taken).await.status, 409);
        let first = house.get(&ann, "/api/v1/people?limit=3").await.body;
        let next = first["next"].as_str().unwrap();
        let second = house
            .get(&ann, &format!("/api/v1/people?limit=3&cursor={next}"))
            .await
            .body;
        let logins: Vec<_> = [&first, &second]
            .iter()
            .flat_map(|page| page["items"].as_array().unwrap())
            .map(|person| person["login"].as_str().unwrap())
            .collect();
        assert_eq!(logins, ["ann", "bob", "carl", "Zoe"]);
        assert_eq!(first["items"][0]["grants"][0]["role"], "administrator");
        let bob = first["items"][1]["id"].as_str().unwrap();
        let path = format!("/api/v1/people/{bob}");
        let changed = house
            .patch(&ann, &path, json!({ "email": "bob@example.org", "name": "Bob" }))
            .await;
        assert_eq!(
            (changed.status, &changed.body["email"]),
            (200, &json!("bob@example.org"))
        );
        assert_eq!(
            house.patch(&ann, &path, json!({ "email": "bob" })).await.status,
            422
        );
        assert_eq!(
            house.patch(&ann, &path, json!({ "shoe_size": 43 })).await.status,
            422
        );
        assert_eq!(
            house
                .patch(&ann, &path, json!({ "name": "a\u{0}b" }))
                .await
                .status,
            422
        );
        assert_eq!(house.delete(&ann, &path).await.status, 204);
        assert_eq!(house.get(&ann, &path).await.status, 404);
    }
}

#[tokio::test]
async fn a_disabled_person_is_out_at_once() {
    for house in House::both().await {
        let ann = house.ann().await;
        let bob = house.add_person(&ann, "bob", Some("operator")).await;
        let browser = house.sign_in("bob").await.caller();
        let made = house
            .post(&browser, "/api/v1/tokens", json!({ "name": "script" }))
            .await;
        let script = Caller::token(made.body["token"].as_str().unwrap());
        assert_eq!(house.get(&script, "/api/v1/people").await.status, 200);
        let path = format!("/api/v1/people/{bob}");
        assert_eq!(
            house
                .patch(&ann, &path, json!({ "is_disabled": true }))
                .await
                .status,
            200
        );
        assert_eq!(house.get(&browser, "/api/v1/people").await.status, 401);
        assert_eq!(house.get(&script, "/api/v1/people").await.status, 401);
        assert_eq!(house.sign_in("bob").await.status, 401);
        assert_eq!(
            house
                .patch(&ann, &path, json!({ "is_disabled": false }))
                .await
                .status,
            200
        );
        // What was taken stays taken; signing in works again.
        assert_eq!(house.get(&script, "/api/v1/people").await.status, 401);
        assert_eq!(house.sign_in("bob").await.status, 200);
        let topics = house.topics().await;
        for topic in [
            "person.created",
            "person.disabled",
            "person.enabled",
            "token.created",
        ] {
            assert!(topics.iter().any(|seen| seen == topic), "{topic} in {topics:?}");
        }
    }
}

#[tokio::test]
async fn one_sees_ones_own_sessions_and_signs_out_everywhere() {
    for house in House::both().await {
        let ann = house.ann().await;
        let bob = house.add_person(&ann, "bob", Some("viewer")).await;
        let laptop = house.sign_in("bob").await.caller();
        let phone = house.sign_in("bob").await.caller();
        let path = format!("/api/v1/people/{bob}/sessions");
        let sessions = house.get(&laptop, &path).await.body;
        assert_eq!(sessions.as_array().unwrap().len(), 2);
        let ann_id = house.get(&ann, "/api/v1/session").await.body["actor"]["id"].clone();
        let hers = format!("/api/v1/people/{}/sessions", ann_id.as_str().unwrap());
        assert_eq!(house.get(&laptop, &hers).await.status, 403);
        assert_eq!(house.delete(&laptop, &path).await.status, 204);
        assert_eq!(house.get(&phone, "/api/v1/session").await.status, 401);
    }
}

#[tokio::test]
async fn teams_have_members_and_pass_their_grants_on() {
    for house in House::both().await {
        let ann = house.ann().await;
        let bob = house.add_person(&ann, "bob", None).await;
        let browser = house.sign_in("bob").await.caller();
        assert_eq!(house.get(&browser, "/api/v1/people").await.status, 403);
        let team = house
            .post(&ann, "/api/v1/teams", json!({ "name": "Storage" }))
            .await
            .body;
        let path = format!("/api/v1/teams/{}", team["id"].as_str().unwrap());
        assert_eq!(
            house
                .post(&ann, "/api/v1/teams", json!({ "name": "STORAGE" }))
                .await
                .status,
            409
        );
        let granted = house
            .post(&ann, &format!("{path}/grants"), json!({ "role": "viewer" }))
            .await;
        assert_eq!(granted.status, 201, "{}", granted.body);
        let members = house
            .post(&ann, &format!("{path}/members"), json!({ "person": bob }))
            .await;
        assert_eq!(members.body[0]["login"], "bob");
        assert_eq!(house.get(&browser, "/api/v1/people").await.status, 200);
        let mut reader = house.bed.kernel().db.read().await.unwrap();
        let team_id = team["id"].as_str().unwrap();
        let people = access::store::people_of_team(&mut reader, team_id).await.unwrap();
        assert_eq!(people.len(), 1);
        drop(reader);
        assert_eq!(
            house.delete(&ann, &format!("{path}/members/{bob}")).await.status,
            204
        );
        assert_eq!(house.get(&browser, "/api/v1/people").await.status, 403);
        assert_eq!(
            house.delete(&ann, &format!("{path}/members/{bob}")).await.status,
            404
        );
        let renamed = house.patch(&ann, &path, json!({ "name": "Disks" })).await;
        assert_eq!(renamed.body["name"], "Disks");
        assert_eq!(house.delete(&ann, &path).await.status, 204);
        assert_eq!(house.get(&ann, &path).await.status, 404);
    }
}

#[tokio::test]
async fn a_service_account_acts_with_its_tokens_until_it_is_disabled() {
    for house in House::both().await {
        let ann = house.ann().await;
        let account = house
            .post(&ann, "/api/v1/service-accounts", json!({ "name": "deployer" }))
            .await
            .body;
        let id = account["id"].as_str().unwrap();
        let path = format!("/api/v1/service-accounts/{id}");
        assert_eq!(
            house
                .post(&ann, &format!("{path}/grants"), json!({ "role": "operator" }))
                .await
                .status,
            201
        );
        let made = house
            .post(&ann, "/api/v1/tokens", json!({ "name": "ci", "owner": id }))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
        let deployer = Caller::token(made.body["token"].as_str().unwrap());
        let me = house.get(&deployer, "/api/v1/session").await.body;
        assert_eq!(me["actor"]["kind"], "service");
        assert_eq!(me["csrf_token"], json!(null));
        assert_eq!(
            house.post(&deployer, "/api/v1/people", json!({})).await.status,
            403
        );
        assert_eq!(
            house
                .patch(&ann, &path, json!({ "is_disabled": true }))
                .await
                .status,
            200
        );
        assert_eq!(house.get(&deployer, "/api/v1/session").await.status, 401);
        assert_eq!(
            house
                .post(&ann, "/api/v1/tokens", json!({ "name": "ci", "owner": id }))
                .await
                .status,
            409
        );
        assert_eq!(house.delete(&ann, &path).await.status, 204);
        assert_eq!(house.get(&ann, &path).await.status, 404);
    }
}
