//! Samples with a time that cannot be: what is refused counts for nothing, and is told.

use crate::support::House;

const LABELS: &[(&str, &str)] = &[("name", "nginx"), ("manager", "process")];
const HOUR: i64 = 3_600_000;

impl House {
    fn alerts(topics: &[String]) -> Vec<&str> {
        let alerts = topics.iter().map(String::as_str);
        alerts.filter(|topic| topic.starts_with("alert.")).collect()
    }

    fn metric(&self, series: &str) -> Option<f64> {
        let text = self.bed.kernel().metrics.render();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }
}

#[tokio::test]
async fn refused_samples_do_not_blind_a_host_and_are_counted() {
    for house in House::both().await {
        let now = house.now_ms();
        let up = |value: f64| [("mainstay_service_up", LABELS, value)];
        house.send("web-1", now - 5000, &up(0.0)).await;
        assert_eq!(House::alerts(&house.topics().await), ["alert.fired"]);
        // Two hours ahead: the store takes none of it, so it neither ends the alert nor makes honest samples old.
        house.send("web-1", now + 2 * HOUR, &up(1.0)).await;
        assert_eq!(House::alerts(&house.topics().await), ["alert.fired"]);
        let refused = "mainstay_samples_refused_total{host=\"web-1\",reason=\"too_new\"}";
        assert_eq!(house.metric(refused), Some(1.0));
        house.send("web-1", now - 4000, &up(1.0)).await;
        assert_eq!(
            House::alerts(&house.topics().await),
            ["alert.fired", "alert.resolved"]
        );
        // A few minutes ahead is taken, and counts as of now.
        house.send("web-1", now + 300_000, &up(0.0)).await;
        house.send("web-1", now - 1000, &up(0.0)).await;
        assert_eq!(House::alerts(&house.topics().await).last(), Some(&"alert.fired"));
    }
}
