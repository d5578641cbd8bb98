//! A sample becomes an alert with the very batch that carries it, and the alert ends with the batch that recovers.

use crate::support::House;

fn alerts(topics: &[String]) -> Vec<&str> {
    topics
        .iter()
        .map(String::as_str)
        .filter(|topic| topic.starts_with("alert."))
        .collect()
}

#[tokio::test]
async fn a_stopped_service_fires_with_its_sample_and_resolves_with_the_next() {
    for house in House::both().await {
        let labels: &[(&str, &str)] = &[("name", "nginx"), ("manager", "process")];
        let now = house.now_ms();
        house
            .send("web-1", now - 3000, &[("mainstay_service_up", labels, 1.0)])
            .await;
        assert!(alerts(&house.topics().await).is_empty());
        house
            .send("web-1", now - 2000, &[("mainstay_service_up", labels, 0.0)])
            .await;
        assert_eq!(alerts(&house.topics().await), ["alert.fired"]);
        house
            .send("web-1", now - 1000, &[("mainstay_service_up", labels, 0.0)])
            .await;
        house
            .send("web-1", now, &[("mainstay_service_up", labels, 1.0)])
            .await;
        assert_eq!(alerts(&house.topics().await), ["alert.fired", "alert.resolved"]);
    }
}

#[tokio::test]
async fn a_filling_disk_fires_with_one_sample() {
    for house in House::both().await {
        let labels: &[(&str, &str)] = &[
            ("mountpoint", "/srv"),
            ("fstype", "ext4"),
            ("device", "/dev/sdb1"),
        ];
        let now = house.now_ms();
        let reserving = |avail: f64, free: f64| {
            [
                ("node_filesystem_avail_bytes", labels, avail),
                ("node_filesystem_free_bytes", labels, free),
                ("node_filesystem_size_bytes", labels, 100e9),
                ("node_filesystem_readonly", labels, 0.0),
            ]
        };
        let disk = |avail: f64| reserving(avail, avail);
        // 70 used and 4 available are 94.6 % as df counts, whatever is kept back for root.
        house.send("db-1", now - 2000, &reserving(4e9, 30e9)).await;
        assert!(house.topics().await.is_empty());
        house.send("db-1", now - 1000, &disk(1e9)).await;
        let fired: Vec<_> = house.topics().await;
        assert_eq!(alerts(&fired), ["alert.fired"]);
        house.send("db-1", now, &disk(50e9)).await;
        assert_eq!(alerts(&house.topics().await), ["alert.fired", "alert.resolved"]);
    }
}

#[tokio::test]
async fn after_a_restart_the_recovery_is_noticed_and_nothing_fires_twice() {
    for house in House::both().await {
        let labels: &[(&str, &str)] = &[("name", "nginx"), ("manager", "process")];
        let now = house.now_ms();
        house
            .send("web-1", now - 3000, &[("mainstay_service_up", labels, 0.0)])
            .await;
        let house = house.restarted().await;
        house
            .send("web-1", now - 2000, &[("mainstay_service_up", labels, 0.0)])
            .await;
        house
            .send("web-1", now - 1000, &[("mainstay_service_up", labels, 1.0)])
            .await;
        assert_eq!(alerts(&house.topics().await), ["alert.fired", "alert.resolved"]);
    }
}
