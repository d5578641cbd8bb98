//! Alerts find their incident by the graph.

use alerting::Severity::{Critical, Warning};
use incidents::Settings;
use serde_json::json;

use crate::parts::houses;

#[tokio::test]
async fn a_dead_host_is_one_incident() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        // The service is missed first, the host's silence is known ten seconds later.
        house
            .look(
                "ServiceDown",
                &[("instance", "db-1"), ("name", "postgres")],
                Critical,
                true,
            )
            .await;
        house
            .look(
                "ApiErrors",
                &[("instance", "web-1"), ("name", "api")],
                Critical,
                true,
            )
            .await;
        assert_eq!(house.one().await["title"], "ServiceDown on db-1");
        house.advance(10).await;
        house
            .say(
                "agent.lost",
                "agt_1",
                &json!({ "agent_id": "agt_1", "name": "db-1" }),
            )
            .await;
        house
            .look(
                "DiskFull",
                &[("instance", "db-1"), ("mountpoint", "/data")],
                Warning,
                true,
            )
            .await;
        let incident = house.one().await;
        assert_eq!(incident["title"], "db-1 is down");
        assert_eq!(incident["alert_count"], 4);
        assert_eq!(incident["items"][0]["name"], "db-1");
        assert_eq!(incident["alerts"][0]["role"], "root");
        assert_eq!(incident["alerts"][0]["name"], "HostLost");
        let api = incident["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .find(|a| a["name"] == "ApiErrors")
            .unwrap();
        assert_eq!(api["role"], "symptom");
        assert_eq!(api["reason"], "api needs postgres.");
        // Others need what was on it: that is as bad as it gets.
        assert_eq!(incident["severity"], "sev1");
        let pages = house.pages().await;
        assert_eq!(
            pages.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(),
            ["incident_opened", "incident_updated"],
            "one page for the opening, one because it became worse: {pages:?}"
        );
        house.advance(30).await;
        house
            .say(
                "agent.returned",
                "agt_1",
                &json!({ "agent_id": "agt_1", "name": "db-1" }),
            )
            .await;
        assert_eq!(house.one().await["firing_count"], 3);
    }
}

#[tokio::test]
async fn a_cause_between_two_incidents_makes_them_one() {
    for house in houses(Settings::default()).await {
        let shop = house.shop().await;
        let jobs = house.item("host", None, "jobs-1").await;
        let worker = house.item("service", Some(&jobs), "worker").await;
        house.needs(&worker, &shop.postgres).await;
        house
            .look(
                "ApiErrors",
                &[("instance", "web-1"), ("name", "api")],
                Warning,
                true,
            )
            .await;
        house
            .look(
                "QueueLong",
                &[("instance", "jobs-1"), ("name", "worker")],
                Warning,
                true,
            )
            .await;
        assert_eq!(house.open().await.len(), 2);
        house.advance(5).await;
        house
            .look(
                "ServiceDown",
                &[("instance", "db-1"), ("name", "postgres")],
                Critical,
                true,
            )
            .await;
        let incident = house.one().await;
        assert_eq!(
            (incident["number"].clone(), incident["title"].clone()),
            (json!(1), json!("ServiceDown on db-1"))
        );
        assert_eq!(incident["severity"], "sev2");
        assert_eq!(incident["merged"][0]["number"], 2);
        assert_eq!(incident["alert_count"], 3);
        // Who was told of the second learns where it went, and not that it is resolved.
        let pages = house.pages().await;
        assert!(
            pages
                .iter()
                .any(|(kind, title)| kind == "incident_updated" && title.starts_with("#2 "))
        );
        // Every alert is in one incident.
        for event in house.events("alert.fired").await {
            let in_it = incident["alerts"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|a| a["id"] == event.subject.as_str())
                .count();
            assert_eq!(in_it, 1, "{}", event.subject);
        }
    }
}

#[tokio::test]
async fn unrelated_alerts_are_apart() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house.look("Load", &[("instance", "web-1")], Warning, true).await;
        house
            .look(
                "DiskFull",
                &[("instance", "db-1"), ("mountpoint", "/data")],
                Warning,
                true,
            )
            .await;
        house.look("Elsewhere", &[("job", "cron")], Warning, true).await;
        assert_eq!(house.open().await.len(), 3);
    }
}

/// An event that is taken again after a crash changes nothing: the alert is the key.
#[tokio::test]
async fn an_alert_joins_once() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house.look("Load", &[("instance", "web-1")], Warning, true).await;
        let mut tx = house.kernel().db.write().await.unwrap();
        let at = kernel::event::store::cursor(&mut tx, "incidents.react")
            .await
            .unwrap()
            .unwrap();
        kernel::event::store::advance(&mut tx, "incidents.react", at, 0)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        house.settle().await;
        assert_eq!(house.one().await["alert_count"], 1);
        assert_eq!(house.topics("incident.").await, ["incident.opened"]);
        assert_eq!(house.pages().await.len(), 1);
    }
}

#[tokio::test]
async fn a_worse_alert_raises_the_severity_and_pages() {
    for house in houses(Settings::default()).await {
        house.shop().await;
        house
            .look(
                "DiskFilling",
                &[("instance", "db-1"), ("mountpoint", "/data")],
                Warning,
                true,
            )
            .await;
        assert_eq!(house.one().await["severity"], "sev3");
        house
            .look(
                "DiskFull",
                &[("instance", "db-1"), ("mountpoint", "/data")],
                Critical,
                true,
            )
            .await;
        let incident = house.one().await;
        assert_eq!(
            (incident["severity"].clone(), incident["title"].clone()),
            (json!("sev2"), json!("DiskFull on db-1"))
        );
        assert_eq!(
            house.topics("incident.").await,
            [
                "incident.opened",
                "incident.grew",
                "incident.retitled",
                "incident.severity_changed"
            ]
        );
        // A person lowers it; the same badness does not raise it again.
        house
            .command(&incident, "severity", &json!({ "severity": "sev4" }))
            .await
            .ok(200);
        house
            .look(
                "Latency",
                &[("instance", "db-1"), ("mountpoint", "/data")],
                Critical,
                true,
            )
            .await;
        assert_eq!(house.one().await["severity"], "sev4");
    }
}

#[tokio::test]
async fn a_service_that_fails_on_several_hosts_is_one_incident() {
    for house in houses(Settings::default()).await {
        for host in ["web-1", "web-2", "web-3", "web-4"] {
            let host = house.item("host", None, host).await;
            house.item("service", Some(&host), "nginx").await;
        }
        let look = async |host: &str| {
            let labels = [("instance", host), ("name", "nginx")];
            house.look("HighErrorRate", &labels, Critical, true).await;
        };
        look("web-1").await;
        look("web-2").await;
        house.advance(60).await;
        look("web-3").await;
        let incident = house.one().await;
        assert_eq!(incident["alert_count"], 3);
        let reasons: Vec<&str> = incident["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|a| a["reason"].as_str())
            .collect();
        assert!(
            reasons.contains(&"It is the same about nginx on another host, at about the same time."),
            "{reasons:?}"
        );
        // Another alert on another host says nothing of these, and long after it is another story.
        let labels = [("instance", "web-4"), ("name", "nginx")];
        house.look("CertificateExpired", &labels, Critical, true).await;
        assert_eq!(house.open().await.len(), 2);
        house.advance(300).await;
        look("web-4").await;
        assert_eq!(
            house.open().await.len(),
            2,
            "it joins what is open on its own host"
        );
    }
}
