//! What alerting holds to be active because rules said so: where the rules go on from after a restart.

use alerting::Signal;
use alerting::decide::State;
use kernel::DbError;
use kernel::clock::from_micros;
use sqlx::AnyConnection;

use super::active::Known;

/// One for each rule and alert that is active.
pub(crate) async fn known(connection: &mut AnyConnection) -> Result<Vec<Known>, DbError> {
    let mut known = Vec::new();
    for alert in alerting::store::alert::live(connection).await? {
        let sources = alert
            .life
            .sources
            .iter()
            .filter(|(source, held)| source.starts_with("rule:") && held.active);
        for (source, held) in sources {
            let signal = Signal {
                source: source.clone(),
                name: alert.name.clone(),
                labels: alert.labels.clone(),
                annotations: alert.annotations.clone(),
                severity: alert.severity,
                active: true,
                value: alert.value,
                // Since when it holds; what the source said last is no older.
                at: from_micros(alert.life.active_since.min(held.at)),
                for_ms: alert.life.for_us / 1000,
                keep_firing_for_ms: alert.life.keep_us / 1000,
            };
            let is_firing = alert.life.state == State::Firing;
            known.push(Known { signal, is_firing });
        }
    }
    Ok(known)
}
