//! From signals to alerts: load what is known, decide, store, say. One transaction, a fixed number of queries per batch.
//!
//! The way of a signal: [`observe`] → fold by fingerprint → `decide::see` → item, mutes and flapping of what fires → rows →
//! `alert.*` events. The way of time: [`settle`] → `decide::tick` → the same.

use std::collections::{BTreeMap, HashMap, HashSet};

use kernel::{DbError, Timestamp, Tx};

use crate::decide::{Life, Seen, State, Step, see, shift, tick};
use crate::events::{self, News};
use crate::model::{Alert, AlertId, Labels, Signal};
use crate::mute::{Mutes, news_of};
use crate::{mute, place, store, tasks};

/// An alert that has fired this often within [`FLAP_US`] is marked as flapping.
const FLAP_FIRES: i64 = 4;
const FLAP_US: i64 = 3_600_000_000;
/// Alerts whose time has come that one transaction takes.
const SETTLE_BATCH: i64 = 1_000;

/// Takes what a source sees. Everything becomes true with the commit of `tx`; what fires at once says `alert.fired` in it.
pub async fn observe(tx: &mut Tx, signals: &[Signal]) -> Result<(), DbError> {
    if signals.is_empty() {
        return Ok(());
    }
    let looks = fold(signals);
    if Plan::of_looks(tx, &looks).await?.is_empty() {
        return Ok(());
    }
    // Decided again inside the turn: on PostgreSQL another server may have been at it since.
    store::alert::take_turn(tx).await?;
    let plan = Plan::of_looks(tx, &looks).await?;
    plan.carry_out(tx).await
}

/// Tells everything that `source` sees at `at`: what it held active before and is not in `active` is gone. For starts and changed rules.
pub async fn reconcile(tx: &mut Tx, source: &str, active: &[Signal], at: Timestamp) -> Result<(), DbError> {
    let seen: HashSet<String> = active.iter().map(Signal::fingerprint).collect();
    let mut signals = active.to_vec();
    for alert in store::alert::live(tx).await? {
        let is_held = alert.life.sources.get(source).is_some_and(|held| held.active);
        if is_held && !seen.contains(&alert.fingerprint) {
            signals.push(Signal {
                source: source.to_owned(),
                name: alert.name,
                labels: alert.labels,
                annotations: alert.annotations,
                severity: alert.severity,
                active: false,
                value: alert.value,
                at,
                for_ms: alert.life.for_us / 1_000,
                keep_firing_for_ms: alert.life.keep_us / 1_000,
            });
        }
    }
    observe(tx, &signals).await
}

/// Takes one batch of what has become due: waits that are over, silences and windows that begin or end. True when there is more.
pub async fn settle(tx: &mut Tx) -> Result<bool, DbError> {
    store::alert::take_turn(tx).await?;
    if mute::turn(tx).await? {
        mute::mark_again(tx).await?;
    }
    let now = tx.now().as_microsecond();
    let due = store::alert::due_by(tx, now, SETTLE_BATCH).await?;
    let is_full = due.len() as i64 == SETTLE_BATCH;
    let mut plan = Plan::new(now);
    for mut alert in due {
        match tick(&alert.life, now) {
            Step::Fired(life) => plan.take(&mut alert, life, Some(News::Fired)),
            Step::Resolved(life) => plan.take(&mut alert, life, Some(News::Resolved)),
            Step::Moved(life) | Step::Begun(life) => plan.take(&mut alert, life, None),
            Step::Same => continue,
        }
        plan.rows.push(alert);
    }
    plan.carry_out(tx).await?;
    Ok(is_full)
}

/// Moves what waits along with a clock that stepped by `by_us`: a wait is as long as it was meant to be, and what sources see is
/// not taken for late.
pub async fn follow_step(tx: &mut Tx, by_us: i64) -> Result<(), DbError> {
    store::alert::take_turn(tx).await?;
    let mut moved = store::alert::live(tx).await?;
    let now = tx.now().as_microsecond();
    for alert in &mut moved {
        shift(&mut alert.life, by_us);
        // What was seen after a step forward is not moved into the future.
        let life = &mut alert.life;
        if life.state == State::Pending {
            life.active_since = life.active_since.min(now);
        }
        life.inactive_since = life.inactive_since.map(|at| at.min(now));
        for held in life.sources.values_mut() {
            held.at = held.at.min(now);
        }
    }
    store::alert::save(tx, &mut moved, now).await?;
    tx.after_commit(tasks::wake);
    Ok(())
}

type Looks<'a> = BTreeMap<String, Vec<&'a Signal>>;

/// Signals by fingerprint, each in the order of time, and of telling where the times are equal.
fn fold(signals: &[Signal]) -> Looks<'_> {
    let mut looks: Looks<'_> = BTreeMap::new();
    for signal in signals {
        looks.entry(signal.fingerprint()).or_default().push(signal);
    }
    for group in looks.values_mut() {
        group.sort_by_key(|signal| signal.at);
    }
    looks
}

/// What is to be stored and said.
struct Plan {
    now: i64,
    rows: Vec<Alert>,
    /// (row, what): in the order in which it happened.
    news: Vec<(usize, News)>,
    /// Rows that need their item and mutes found.
    fresh: Vec<usize>,
}

impl Plan {
    fn new(now: i64) -> Self {
        Self {
            now,
            rows: Vec::new(),
            news: Vec::new(),
            fresh: Vec::new(),
        }
    }

    async fn of_looks(tx: &mut Tx, looks: &Looks<'_>) -> Result<Plan, DbError> {
        let fingerprints: Vec<&str> = looks.keys().map(String::as_str).collect();
        let mut known = store::alert::newest(tx, &fingerprints).await?;
        let mut plan = Plan::new(tx.now().as_microsecond());
        for (fingerprint, group) in looks {
            let before = known.remove(fingerprint);
            plan.look(fingerprint, before, group);
        }
        Ok(plan)
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All signals of one fingerprint.
    fn look(&mut self, fingerprint: &str, before: Option<Alert>, group: &[&Signal]) {
        let mut current = before;
        let mut is_touched = false;
        for signal in group {
            let step = see(current.as_ref().map(|a| &a.life), &seen(signal), self.now);
            if let Step::Begun(life) = step {
                if let Some(ended) = current.take().filter(|_| is_touched) {
                    self.rows.push(ended);
                }
                let news = (life.state == State::Firing).then_some(News::Fired);
                let mut alert = begin(fingerprint, signal, life.clone());
                self.take(&mut alert, life, news);
                self.fresh.push(self.rows.len());
                current = Some(alert);
                is_touched = true;
                continue;
            }
            let Some(alert) = current.as_mut() else { continue };
            match step {
                Step::Same => {
                    if !signal.active || alert.severity == signal.severity || alert.life.resolved_at.is_some()
                    {
                        continue;
                    }
                }
                Step::Moved(life) => self.take(alert, life, None),
                Step::Fired(life) => self.take(alert, life, Some(News::Fired)),
                Step::Resolved(life) => self.take(alert, life, Some(News::Resolved)),
                Step::Begun(_) => {}
            }
            if signal.active {
                tell(alert, signal);
            }
            is_touched = true;
        }
        if let Some(alert) = current.filter(|_| is_touched) {
            self.rows.push(alert);
        }
    }

    /// Gives an alert, which will be the next row, its new life.
    fn take(&mut self, alert: &mut Alert, life: Life, news: Option<News>) {
        alert.life = life;
        if let Some(news) = news {
            self.news.push((self.rows.len(), news));
        }
    }

    async fn carry_out(mut self, tx: &mut Tx) -> Result<(), DbError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.fill(tx).await?;
        // The words are chosen before the rows are stored, for they set `announced`.
        let mut said = Vec::with_capacity(self.news.len());
        for (index, news) in &self.news {
            let Some(alert) = self.rows.get_mut(*index) else {
                continue;
            };
            let word = match news {
                News::Fired => first_word(alert),
                other => Some(*other),
            };
            said.extend(word.map(|word| (*index, word)));
        }
        store::alert::save(tx, &mut self.rows, self.now).await?;
        let said = said
            .into_iter()
            .filter_map(|(index, word)| Some((self.rows.get(index)?, word)));
        events::say_alerts(tx, said).await?;
        tx.after_commit(tasks::wake);
        Ok(())
    }

    /// Finds item, mutes and flapping of what is new or fires.
    async fn fill(&mut self, tx: &mut Tx) -> Result<(), DbError> {
        let fired: Vec<usize> = self
            .news
            .iter()
            .filter(|(_, news)| *news == News::Fired)
            .map(|(index, _)| *index)
            .collect();
        let mut wanted = std::mem::take(&mut self.fresh);
        wanted.extend(&fired);
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(());
        }
        let mut places: HashMap<Labels, Option<String>> = HashMap::new();
        let mut mutes = Mutes::load(tx).await?;
        for index in wanted {
            let Some(alert) = self.rows.get_mut(index) else {
                continue;
            };
            if alert.item.is_none() {
                let labels = place::labels(&alert.labels);
                alert.item = match places.get(&labels) {
                    Some(known) => known.clone(),
                    None => {
                        let item = place::resolve(tx, &labels).await?;
                        places.insert(labels, item.clone());
                        item
                    }
                };
            }
            mutes.mark(tx, alert).await?;
        }
        self.mark_flapping(tx, &fired).await
    }

    async fn mark_flapping(&mut self, tx: &mut Tx, fired: &[usize]) -> Result<(), DbError> {
        let fingerprints: Vec<&str> = fired
            .iter()
            .filter_map(|index| self.rows.get(*index))
            .map(|alert| alert.fingerprint.as_str())
            .collect();
        let fires = store::alert::fires_since(tx, &fingerprints, self.now - FLAP_US).await?;
        for index in fired {
            if let Some(alert) = self.rows.get_mut(*index) {
                let before = fires.get(&alert.fingerprint).copied().unwrap_or(0);
                alert.flapping = before + 1 >= FLAP_FIRES;
            }
        }
        Ok(())
    }
}

/// What is said when an alert fires, also when it has ended again within the same batch.
fn first_word(alert: &mut Alert) -> Option<News> {
    if alert.is_muted() {
        return Some(if alert.silenced_by.is_some() {
            News::Silenced
        } else {
            News::Suppressed
        });
    }
    if alert.life.state == State::Firing {
        return news_of(alert, None);
    }
    alert.announced = true;
    Some(News::Fired)
}

fn seen(signal: &Signal) -> Seen<'_> {
    Seen {
        source: &signal.source,
        active: signal.active,
        at: signal.at.as_microsecond(),
        for_us: signal.for_ms.max(0).saturating_mul(1_000),
        keep_us: signal.keep_firing_for_ms.max(0).saturating_mul(1_000),
    }
}

fn begin(fingerprint: &str, signal: &Signal, life: Life) -> Alert {
    Alert {
        id: AlertId::new(),
        seq: 0,
        fingerprint: fingerprint.to_owned(),
        name: signal.name.clone(),
        severity: signal.severity,
        labels: signal.labels.clone(),
        annotations: signal.annotations.clone(),
        item: None,
        value: signal.value,
        life,
        silenced_by: None,
        suppressed_by: None,
        announced: false,
        flapping: false,
    }
}

fn tell(alert: &mut Alert, signal: &Signal) {
    alert.severity = signal.severity;
    alert.annotations.clone_from(&signal.annotations);
    alert.value = signal.value;
}
