//! Ten thousand alerts at once.

use std::time::{Duration, Instant};

use crate::parts::{advance, beds, observe, signal, told};

#[tokio::test]
async fn ten_thousand_signals_take_seconds_not_minutes() {
    for bed in beds().await {
        let kernel = bed.kernel();
        let storm = |active| -> Vec<_> {
            (0..10_000)
                .map(|n| signal(kernel, "Storm", &format!("host-{n}"), active))
                .collect()
        };
        let started = Instant::now();
        observe(kernel, &storm(true)).await;
        let first = started.elapsed();
        advance(kernel, 1);
        let started = Instant::now();
        observe(kernel, &storm(true)).await;
        let again = started.elapsed();
        advance(kernel, 1);
        observe(kernel, &storm(false)).await;
        println!(
            "{:?}: first look {first:?}, second look {again:?}",
            kernel.db.kind()
        );
        let events = told(kernel).await;
        assert_eq!(events.iter().filter(|e| e.topic == "alert.fired").count(), 10_000);
        assert_eq!(
            events.iter().filter(|e| e.topic == "alert.resolved").count(),
            10_000
        );
        // Generous for a busy machine with an unoptimised build; a query per signal would take far longer.
        assert!(first < Duration::from_secs(60) && again < Duration::from_secs(30));
    }
}
