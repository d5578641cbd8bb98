//! How long incidents and the events of their stories stay.

use alerting::Severity::Critical;
use incidents::Settings;
use kernel::retention::{self, trim};
use serde_json::json;
use sqlx::Row;

use crate::parts::{House, houses};

const DAY_S: i64 = 86_400;
const NGINX: &[(&str, &str)] = &[("instance", "web-1")];

async fn count(house: &House, sql: &'static str) -> i64 {
    let mut reader = house.kernel().db.read().await.unwrap();
    let row = sqlx::query(sql).fetch_one(&mut *reader).await.unwrap();
    row.try_get(0).unwrap()
}

/// Days go by, and something happens in the end: age is counted from there.
async fn pass(house: &House, days: i64) {
    house.advance(days * DAY_S).await;
    house.say("note.written", "x", &json!({})).await;
}

#[tokio::test]
async fn an_open_incident_keeps_its_story_and_an_old_one_goes_in_two_steps() {
    for house in houses(Settings::default()).await {
        house.look("ServiceDown", NGINX, Critical, true).await;
        let incident = house.one().await;
        let story = format!("/api/v1/incidents/{}/timeline", incident["id"].as_str().unwrap());
        pass(&house, 500).await;
        let told = house.get(&story).await["items"].as_array().unwrap().len();
        assert!(told >= 2);
        let events = || retention::events(retention::Settings::default(), vec![incidents::held_events]);
        trim(house.kernel(), &events()).await.unwrap();
        assert_eq!(house.get(&story).await["items"].as_array().unwrap().len(), told);

        house.look("ServiceDown", NGINX, Critical, false).await;
        assert!(house.open().await.is_empty());
        pass(&house, 399).await;
        let settings = Settings::default();
        trim(house.kernel(), &incidents::bounds(&settings)).await.unwrap();
        assert!(count(&house, "SELECT CAST(COUNT(*) AS BIGINT) FROM incident_event").await >= told as i64);
        pass(&house, 2).await;
        trim(house.kernel(), &events()).await.unwrap();
        trim(house.kernel(), &incidents::bounds(&settings)).await.unwrap();
        assert_eq!(
            count(&house, "SELECT CAST(COUNT(*) AS BIGINT) FROM incident_event").await,
            0
        );
        assert_eq!(
            count(&house, "SELECT CAST(COUNT(*) AS BIGINT) FROM incident").await,
            1
        );
        pass(&house, 700).await;
        trim(house.kernel(), &incidents::bounds(&settings)).await.unwrap();
        assert_eq!(
            count(&house, "SELECT CAST(COUNT(*) AS BIGINT) FROM incident").await,
            0
        );
        assert_eq!(
            count(&house, "SELECT CAST(COUNT(*) AS BIGINT) FROM incident_alert").await,
            0
        );
    }
}
