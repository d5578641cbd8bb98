//! What changed before it.

use alerting::Severity::Critical;
use incidents::Settings;
use serde_json::json;

use crate::parts::houses;

#[tokio::test]
async fn recent_changes_nearby_are_suspects_in_order() {
    for house in houses(Settings::default()).await {
        let shop = house.shop().await;
        let far = house.item("host", None, "far-1").await;
        let target = |id: &inventory::ItemId| json!([{ "item_id": id.as_str(), "name": "x" }]);
        let change = |title: &str, id: &inventory::ItemId| json!({ "title": title, "reason": "planned", "targets": target(id) });
        house
            .say("change.granted", "chg_1", &change("old change", &shop.postgres))
            .await;
        house.advance(5_000).await;
        house
            .say("change.granted", "chg_2", &change("far change", &far))
            .await;
        house
            .say("change.granted", "chg_3", &change("new index", &shop.postgres))
            .await;
        house.advance(40).await;
        house
            .look(
                "ApiErrors",
                &[("instance", "web-1"), ("name", "api")],
                Critical,
                true,
            )
            .await;
        let incident = house.one().await;
        let suspects = incident["suspects"].as_array().unwrap();
        let titles: Vec<&str> = suspects.iter().map(|s| s["title"].as_str().unwrap()).collect();
        assert_eq!(titles, ["Change: new index", "Change: old change"]);
        let evidence: Vec<&str> = suspects[0]["evidence"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e.as_str().unwrap())
            .collect();
        assert!(evidence.contains(&"40 s before the opening"), "{evidence:?}");
        assert!(evidence.contains(&"api needs postgres"), "{evidence:?}");
        assert!(suspects[0]["score"].as_f64().unwrap() > suspects[1]["score"].as_f64().unwrap());
        let id = incident["id"].as_str().unwrap();
        let own = json!({ "runbook": "mend", "incident_id": id, "targets": target(&shop.api) });
        house.say("run.started", "run_1", &own).await;
        let again = house.get(&format!("/api/v1/incidents/{id}")).await;
        assert_eq!(again["suspects"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn who_feels_it_is_told_with_the_way() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house
            .look(
                "ServiceDown",
                &[("instance", "db-1"), ("name", "postgres")],
                Critical,
                true,
            )
            .await;
        let incident = house.one().await;
        let impact = incident["impact"].as_array().unwrap();
        let api = impact.iter().find(|i| i["name"] == "api").unwrap();
        assert_eq!(
            (api["distance"].clone(), api["via"].clone()),
            (json!(1), json!("api needs postgres"))
        );
    }
}

#[tokio::test]
async fn a_release_on_several_hosts_is_one_suspect() {
    for house in houses(Settings::default()).await {
        for host in ["web-1", "web-2"] {
            let item = house.item("host", None, host).await;
            house.item("service", Some(&item), "api").await;
            let data = json!({ "host": host, "updated": ["api 1.0 → 1.1"], "added": [], "removed": [], "updated_count": 1 });
            house.say("package.changed", item.as_str(), &data).await;
        }
        house.advance(30).await;
        for host in ["web-1", "web-2"] {
            let labels = [("instance", host), ("name", "api")];
            house.look("ApiErrors", &labels, Critical, true).await;
        }
        let incident = house.one().await;
        let suspects = incident["suspects"].as_array().unwrap();
        assert_eq!(suspects.len(), 1, "{suspects:?}");
        assert_eq!(suspects[0]["title"], "api 1.0 → 1.1 on 2 hosts");
        assert!(
            suspects[0]["evidence"]
                .as_array()
                .unwrap()
                .contains(&json!("on web-1, web-2")),
            "{suspects:?}"
        );
    }
}
