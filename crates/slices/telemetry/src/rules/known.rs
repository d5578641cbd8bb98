//! What alerting holds to be active because rules said so: where the rules go on from after a restart.

use alerting::Signal;
use kernel::DbError;
use kernel::clock::from_micros;
use sqlx::AnyConnection;

/// One signal for each rule and alert that is active.
pub(crate) async fn known(connection: &mut AnyConnection) -> Result<Vec<Signal>, DbError> {
    let mut signals = Vec::new();
    for alert in alerting::store::alert::live(connection).await? {
        let sources = alert
            .life
            .sources
            .iter()
            .filter(|(source, held)| source.starts_with("rule:") && held.active);
        for (source, held) in sources {
            signals.push(Signal {
                source: source.clone(),
                name: alert.name.clone(),
                labels: alert.labels.clone(),
                annotations: alert.annotations.clone(),
                severity: alert.severity,
                active: true,
                value: alert.value,
                at: from_micros(held.at),
                for_ms: alert.life.for_us / 1000,
                keep_firing_for_ms: alert.life.keep_us / 1000,
            });
        }
    }
    Ok(signals)
}
