//! Who mutes an alert: silences by its labels, maintenance windows by its item. A mute hides what is said; the alert lives on beneath it.

use std::collections::HashSet;

use kernel::{Actor, DbError, Tx};
use sqlx::AnyConnection;

use crate::decide::State;
use crate::events::{self, News};
use crate::matcher::Matchers;
use crate::model::{Alert, Phase};
use crate::reach::Owners;
use crate::silence::Silence;
use crate::window::Window;
use crate::{place, store};

/// The mutes of a moment.
#[derive(Default)]
pub struct Mutes {
    silences: Vec<(Silence, Matchers)>,
    windows: Vec<(Window, HashSet<String>)>,
    owners: Owners,
}

impl Mutes {
    pub async fn load(connection: &mut AnyConnection) -> Result<Mutes, DbError> {
        let mut mutes = Mutes::default();
        for silence in store::silence::active(connection).await? {
            // They were checked when they were made; one that does not compile any more mutes nothing.
            if let Ok(matchers) = Matchers::compile_silence("matchers", &silence.matchers) {
                mutes.silences.push((silence, matchers));
            }
        }
        let windows = store::window::active(connection).await?;
        if !windows.is_empty() {
            let covered = place::covered(connection, &windows).await?;
            mutes.windows = windows
                .into_iter()
                .zip(covered.into_iter().map(|(_, items)| items))
                .collect();
        }
        Ok(mutes)
    }

    /// Notes on the alert who mutes it; true when that is a change. Invariant: a mute reaches as far as its scopes, whose item the
    /// alert is about now, whenever it was made.
    pub async fn mark(&mut self, connection: &mut AnyConnection, alert: &mut Alert) -> Result<bool, DbError> {
        let item = alert.item.clone();
        let item = item.as_deref();
        let owners = &mut self.owners;
        let mut silenced_by = None;
        for (silence, matchers) in &self.silences {
            if matchers.match_alert(alert) && owners.is_within(connection, &silence.scopes, item).await? {
                silenced_by = Some(silence.id.as_str().to_owned());
                break;
            }
        }
        let mut suppressed_by = None;
        for (window, items) in &self.windows {
            let is_covered = item.is_some_and(|item| items.contains(item));
            if is_covered && owners.is_within(connection, &window.scopes, item).await? {
                suppressed_by = Some(window.id.as_str().to_owned());
                break;
            }
        }
        let is_change = alert.silenced_by != silenced_by || alert.suppressed_by != suppressed_by;
        alert.silenced_by = silenced_by;
        alert.suppressed_by = suppressed_by;
        Ok(is_change)
    }
}

/// What is to be said of an alert that holds, and what it was said before.
pub fn news_of(alert: &mut Alert, was_muted: Option<bool>) -> Option<News> {
    if alert.life.state != State::Firing {
        return None;
    }
    match (was_muted, alert.is_muted()) {
        (Some(true), true) => None,
        (_, true) if alert.silenced_by.is_some() => Some(News::Silenced),
        (_, true) => Some(News::Suppressed),
        (_, false) if !alert.announced => {
            alert.announced = true;
            Some(News::Fired)
        }
        (Some(true), false) => Some(News::Unmuted),
        (_, false) => None,
    }
}

/// Begins and ends what is due among silences and windows. The caller holds the turn; true when alerts must be looked at again.
pub async fn turn(tx: &mut Tx) -> Result<bool, DbError> {
    let now = tx.now();
    let actor = Actor::system("alerting");
    let mut is_change = false;
    for mut silence in store::silence::turning(tx, now.as_microsecond()).await? {
        silence.phase = Phase::at(silence.starts_at, silence.ends_at, now);
        store::silence::save(tx, &silence).await?;
        let topic = if silence.phase == Phase::Active {
            events::SILENCE_STARTED
        } else {
            events::SILENCE_EXPIRED
        };
        events::say_silence(tx, &actor, topic, &silence).await?;
        is_change = true;
    }
    for mut window in store::window::turning(tx, now.as_microsecond()).await? {
        window.phase = Phase::at(window.starts_at, window.ends_at, now);
        store::window::save(tx, &window).await?;
        let topic = if window.phase == Phase::Active {
            events::MAINTENANCE_STARTED
        } else {
            events::MAINTENANCE_ENDED
        };
        events::say_window(tx, &actor, topic, &window).await?;
        is_change = true;
    }
    Ok(is_change)
}

/// Looks again at every live alert after the mutes have changed. The caller holds the turn.
pub async fn mark_again(tx: &mut Tx) -> Result<(), DbError> {
    let mut mutes = Mutes::load(tx).await?;
    let mut changed = Vec::new();
    let mut news = Vec::new();
    for mut alert in store::alert::live(tx).await? {
        let was_muted = alert.is_muted();
        if mutes.mark(tx, &mut alert).await? {
            if let Some(what) = news_of(&mut alert, Some(was_muted)) {
                news.push((changed.len(), what));
            }
            changed.push(alert);
        }
    }
    let now = tx.now().as_microsecond();
    store::alert::save(tx, &mut changed, now).await?;
    let said = news
        .into_iter()
        .filter_map(|(index, what)| Some((changed.get(index)?, what)));
    events::say_alerts(tx, said).await
}
