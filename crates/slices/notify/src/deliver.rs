//! Sending what is queued.
//!
//! Flow: find channels with something due → lease messages, each channel up to its bound → send outside of any transaction → write
//! down how it ended. A process that dies between sending and writing leaves the lease behind; when it has run out the message is
//! sent again under the same id, by which mail programs, webhook receivers and Matrix servers know it. An attempt may take longer than
//! its lease, which is renewed while it lasts.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use kernel::db::Kind;
use kernel::{DbError, Timestamp, Tx};

use crate::budget::{Backlog, Bundle, Candidate, Rates};
use crate::bundle::bundle;
use crate::decide::{LEASE_S, Outcome, wait_unknown};
use crate::model::{Channel, Message, Severity};
use crate::outcome::mark;
use crate::page::add_s;
use crate::send::{self, Letter};
use crate::store::{channels, messages};
use crate::{Notify, template};

/// Messages under way at once, on all channels together.
const IN_FLIGHT_MAX: usize = 64;
/// Messages that are looked at for one channel at once.
const CANDIDATES: i64 = 200;
/// How often writing down an outcome is tried while the database is away.
const MARK_ATTEMPTS: u32 = 5;

/// A leased message with its channel. Dropping it frees its place.
pub struct Job {
    message: Message,
    channel: Arc<Channel>,
    notify: Notify,
}

impl Drop for Job {
    fn drop(&mut self) {
        let mut in_flight = self.notify.in_flight();
        if let Some(ids) = in_flight.get_mut(&self.message.channel) {
            ids.remove(self.message.id.as_str());
            if ids.is_empty() {
                in_flight.remove(&self.message.channel);
            }
        }
        drop(in_flight);
        self.notify.wake().signal();
    }
}

impl Notify {
    fn in_flight(&self) -> std::sync::MutexGuard<'_, HashMap<String, HashSet<String>>> {
        self.inner
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_busy(&self) -> bool {
        !self.in_flight().is_empty()
    }

    /// Places that are free on a channel.
    fn room(&self, channel: &str) -> usize {
        let in_flight = self.in_flight();
        let total: usize = in_flight.values().map(HashSet::len).sum();
        let here = in_flight.get(channel).map_or(0, HashSet::len);
        let per_channel = self.settings().per_channel.clamp(1, 16);
        per_channel
            .saturating_sub(here)
            // A channel that sends nothing gets a place, however many hang elsewhere.
            .min(IN_FLIGHT_MAX.saturating_sub(total).max(usize::from(here == 0)))
    }

    /// Is this process sending it? A lease alone does not tell: a clock that steps forward ends it early.
    fn is_in_flight(&self, message: &Message) -> bool {
        self.in_flight()
            .get(&message.channel)
            .is_some_and(|ids| ids.contains(message.id.as_str()))
    }

    /// Sends everything that is due and waits for the outcomes. Returns how many attempts that were.
    pub async fn deliver(&self) -> Result<usize, DbError> {
        let mut attempts = 0;
        loop {
            let jobs = self.take_due().await?;
            if jobs.is_empty() {
                return Ok(attempts);
            }
            attempts += jobs.len();
            let runs: Vec<_> = jobs.into_iter().map(run).collect();
            futures_util::future::join_all(runs).await;
        }
    }

    /// Leases what is due, as far as there is room and the recipients' budget allows.
    pub(crate) async fn take_due(&self) -> Result<Vec<Job>, DbError> {
        let kernel = self.kernel();
        let now = kernel.clock.now();
        let mut reader = kernel.db.read().await?;
        let mut wanted = Vec::new();
        for channel in messages::channels_due(&mut reader, now).await? {
            let room = self.room(&channel);
            if room == 0 {
                continue;
            }
            let mut due = messages::due(&mut reader, &channel, now, CANDIDATES).await?;
            due.retain(|message| !self.is_in_flight(message));
            let backlog = messages::backlog(&mut reader, &channel).await?;
            if let Some(found) = channels::get(&mut reader, &channel).await?
                && !due.is_empty()
            {
                let (due, bundles) = self.afford(&found, due, &backlog, room);
                if !due.is_empty() || !bundles.is_empty() {
                    wanted.push((Arc::new(found), due, bundles));
                }
            }
        }
        drop(reader);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = kernel.db.write().await?;
        let mut jobs = Vec::new();
        for (channel, mut due, bundles) in wanted {
            let now = tx.now();
            let until = add_s(now, LEASE_S);
            let mut leased = Vec::new();
            for wanted in &bundles {
                // What is sent by itself is not bundled, so it is leased first.
                self.lease(&mut tx, &mut due, &mut leased, until).await?;
                due.extend(bundle(&mut tx, &channel, wanted, |path| self.url(path)).await?);
            }
            self.lease(&mut tx, &mut due, &mut leased, until).await?;
            jobs.extend(
                leased
                    .into_iter()
                    .map(|message| self.job(message, channel.clone())),
            );
        }
        tx.commit().await?;
        Ok(jobs)
    }

    async fn lease(
        &self,
        tx: &mut Tx,
        due: &mut Vec<Message>,
        leased: &mut Vec<Message>,
        until: Timestamp,
    ) -> Result<(), DbError> {
        let now = tx.now();
        for mut message in due.drain(..) {
            if messages::lease(tx, message.id.as_str(), self.owner(), now, until).await? {
                message.attempts += 1;
                leased.push(message);
            }
        }
        Ok(())
    }

    /// What of that which is due may be sent one by one, and what is bundled.
    fn afford(
        &self,
        channel: &Channel,
        due: Vec<Message>,
        backlog: &[Backlog],
        room: usize,
    ) -> (Vec<Message>, Vec<Bundle>) {
        let candidates: Vec<Candidate> = due
            .iter()
            .map(|message| Candidate {
                target: message.target.clone(),
                source: messages::source(&message.page).to_owned(),
                is_critical: message.page.severity == Severity::Critical,
                // A bundle paid when it was made.
                is_paid: message.attempts > 0 || message.page.dedup_key.starts_with("bundle:"),
            })
            .collect();
        let rates = Rates::of(channel.config.kind());
        let now_us = self.kernel().clock.now().as_microsecond();
        let mut budget = self.inner.budget.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = budget.plan(channel.id.as_str(), &rates, (&candidates, backlog), room, now_us);
        drop(budget);
        let chosen: HashSet<usize> = plan.send.into_iter().collect();
        let due = due.into_iter().enumerate();
        let due = due.filter_map(|(index, message)| chosen.contains(&index).then_some(message));
        (due.collect(), plan.bundles)
    }

    fn job(&self, message: Message, channel: Arc<Channel>) -> Job {
        let id = message.id.as_str().to_owned();
        self.in_flight()
            .entry(message.channel.clone())
            .or_default()
            .insert(id);
        Job {
            message,
            channel,
            notify: self.clone(),
        }
    }

    /// On SQLite there is no other process: what was leased before this one began was left behind by a crash.
    pub(crate) async fn release_left_behind(&self) -> Result<(), DbError> {
        if self.kernel().db.kind() != Kind::Sqlite {
            return Ok(());
        }
        let mut tx = self.kernel().db.write().await?;
        let unknown_at = add_s(tx.now(), wait_unknown(1).unwrap_or_default());
        let released = messages::release_leases(&mut tx, self.owner(), unknown_at).await?;
        tx.commit().await?;
        if released > 0 {
            tracing::info!(
                released,
                "messages that were being sent at the last stop are sent again"
            );
        }
        Ok(())
    }

    /// One attempt, not written down: for the test button too.
    pub(crate) async fn attempt(
        &self,
        channel: &Channel,
        message: &Message,
        handed_over: &AtomicBool,
    ) -> Attempt {
        let secrets = match self.open_secrets(channel) {
            Ok(secrets) => secrets,
            Err(error) => {
                return Attempt::from(Outcome::Misconfigured {
                    reason: error.to_string(),
                });
            }
        };
        let url = message.page.url_path.as_deref().map(|path| self.url(path));
        let words = template::words(
            &channel.config,
            &channel.title_template,
            &channel.text_template,
            &message.page,
            url.as_deref(),
        );
        let letter = Letter {
            id: &message.id,
            target: &message.target,
            page: &message.page,
            words: &words,
            url: url.as_deref(),
            domain: self.domain(),
            ehlo_name: self.inner.ehlo_name.as_deref(),
            patience: self.settings().patience,
            handed_over,
            created_at: message.created_at,
            now: self.kernel().clock.now(),
        };
        let mut outcome = send::send(self.client(), channel, &secrets, &letter).await;
        if let Some(reason) = outcome.reason_mut() {
            *reason = send::redact::secrets(reason, &secrets);
        }
        Attempt {
            outcome,
            template_fault: words.fault,
        }
    }
}

/// How an attempt went.
pub struct Attempt {
    pub outcome: Outcome,
    /// Why the default text was used instead of a template.
    pub template_fault: Option<String>,
}

impl From<Outcome> for Attempt {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            template_fault: None,
        }
    }
}

/// Sends one message and writes down how it ended.
pub async fn run(job: Job) {
    let notify = job.notify.clone();
    let Some(ended) = watched(&job).await else {
        return;
    };
    let outcome = &ended.outcome;
    let labels = [("kind", job.channel.config.kind()), ("outcome", outcome.name())];
    notify
        .kernel()
        .metrics
        .counter("mainstay_messages_total", &labels)
        .add(1);
    let mut pause = Duration::from_millis(200);
    for attempt in 1..=MARK_ATTEMPTS {
        match mark(&notify, (&job.message, &job.channel), &ended).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(message = %job.message.id, attempt, %error, "an outcome could not be written down");
            }
        }
        tokio::select! {
            () = notify.kernel().stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause *= 3;
    }
}

/// One attempt, under a lease that is renewed while it lasts. `None` when the server stops and the receiver has nothing yet.
async fn watched(job: &Job) -> Option<Attempt> {
    let notify = &job.notify;
    let patience = notify.settings().patience;
    let stop = &notify.kernel().stop;
    let handed_over = AtomicBool::new(false);
    let attempt = notify.attempt(&job.channel, &job.message, &handed_over);
    tokio::pin!(attempt);
    loop {
        tokio::select! {
            ended = &mut attempt => return Some(ended),
            () = tokio::time::sleep(patience.renew_every) => {
                let is_handed_over = handed_over.load(Ordering::SeqCst);
                renew(notify, &job.message, is_handed_over).await;
            }
            () = stop.cancelled() => break,
        }
    }
    if let Ok(ended) = tokio::time::timeout(patience.stop, attempt).await {
        return Some(ended);
    }
    let unknown = Outcome::Unknown {
        reason: "the server stopped before the receiver had confirmed the message".into(),
    };
    handed_over.load(Ordering::SeqCst).then(|| unknown.into())
}

async fn renew(notify: &Notify, message: &Message, is_handed_over: bool) {
    let renewed = async {
        let mut tx = notify.kernel().db.write().await?;
        let until = add_s(tx.now(), LEASE_S);
        let id = message.id.as_str();
        messages::renew_lease(&mut tx, id, notify.owner(), until, is_handed_over).await?;
        tx.commit().await
    };
    let renewed: Result<(), DbError> = renewed.await;
    if let Err(error) = renewed {
        tracing::warn!(message = %message.id, %error, "a lease could not be renewed; it is tried again");
    }
}
