//! Sending what is queued.
//!
//! Flow: find channels with something due → lease messages, each channel up to its bound → send outside of any transaction → write
//! down how it ended. A process that dies between sending and writing leaves the lease behind; when it has run out the message is
//! sent again under the same id, by which mail programs, webhook receivers and Matrix servers know it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use kernel::db::Kind;
use kernel::{Actor, DbError, NewEvent, Tx};
use rand::RngExt;

use crate::decide::{LEASE_S, Outcome, wait};
use crate::events::MessageData;
use crate::model::{Channel, Message, MessageState};
use crate::page::add_s;
use crate::send::{self, Letter};
use crate::store::{channels, messages};
use crate::{Notify, template};

/// Messages under way at once, on all channels together.
const IN_FLIGHT_MAX: usize = 64;
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
        if let Some(count) = in_flight.get_mut(&self.message.channel) {
            *count -= 1;
            if *count == 0 {
                in_flight.remove(&self.message.channel);
            }
        }
        drop(in_flight);
        self.notify.wake().signal();
    }
}

impl Notify {
    fn in_flight(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
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
        let total: usize = in_flight.values().sum();
        let here = in_flight.get(channel).copied().unwrap_or(0);
        let per_channel = self.settings().per_channel.clamp(1, 16);
        per_channel
            .saturating_sub(here)
            .min(IN_FLIGHT_MAX.saturating_sub(total))
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

    /// Leases what is due, as far as there is room.
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
            let due = messages::due(&mut reader, &channel, now, room as i64).await?;
            if let Some(found) = channels::get(&mut reader, &channel).await?
                && !due.is_empty()
            {
                wanted.push((Arc::new(found), due));
            }
        }
        drop(reader);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = kernel.db.write().await?;
        let now = tx.now();
        let owner = self.owner();
        let mut jobs = Vec::new();
        for (channel, due) in wanted {
            for mut message in due {
                let until = add_s(now, LEASE_S);
                if messages::lease(&mut tx, message.id.as_str(), owner, now, until).await? {
                    message.attempts += 1;
                    jobs.push(self.job(message, channel.clone()));
                }
            }
        }
        tx.commit().await?;
        Ok(jobs)
    }

    fn job(&self, message: Message, channel: Arc<Channel>) -> Job {
        *self.in_flight().entry(message.channel.clone()).or_default() += 1;
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
        let released = messages::release_leases(&mut tx, self.owner()).await?;
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
    pub(crate) async fn attempt(&self, channel: &Channel, message: &Message) -> Outcome {
        let secrets = match self.open_secrets(channel) {
            Ok(secrets) => secrets,
            Err(error) => {
                return Outcome::Temporary {
                    reason: error.to_string(),
                    retry_after: None,
                };
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
            created_at: message.created_at,
            now: self.kernel().clock.now(),
        };
        send::send(self.client(), channel, &secrets, &letter).await
    }
}

/// Sends one message and writes down how it ended.
pub async fn run(job: Job) {
    let notify = job.notify.clone();
    let outcome = notify.attempt(&job.channel, &job.message).await;
    let name = match &outcome {
        Outcome::Sent => "sent",
        Outcome::Temporary { .. } => "failed",
        Outcome::Permanent { .. } => "refused",
    };
    let labels = [("kind", job.channel.config.kind()), ("outcome", name)];
    notify
        .kernel()
        .metrics
        .counter("mainstay_messages_total", &labels)
        .add(1);
    let mut pause = Duration::from_millis(200);
    for attempt in 1..=MARK_ATTEMPTS {
        match mark(&notify, &job, &outcome).await {
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

async fn mark(notify: &Notify, job: &Job, outcome: &Outcome) -> Result<(), DbError> {
    let mut tx = notify.kernel().db.write().await?;
    let now = tx.now();
    let mut message = job.message.clone();
    let mut is_told = true;
    match outcome {
        Outcome::Sent => {
            message.state = MessageState::Sent;
            message.sent_at = Some(now);
            message.error = None;
        }
        Outcome::Permanent { reason } => {
            message.state = MessageState::Dead;
            message.error = Some(reason.clone());
        }
        Outcome::Temporary { reason, retry_after } => {
            let pause = wait(message.attempts, *retry_after, rand::rng().random());
            let pause_s = i64::try_from(pause.as_secs().max(1)).unwrap_or(i64::MAX);
            message.next_attempt_at = add_s(now, pause_s);
            message.error = Some(reason.clone());
            if message.next_attempt_at >= message.expires_at {
                message.state = MessageState::Dead;
            } else {
                is_told = message.attempts == 1;
            }
        }
    }
    if !messages::set_outcome(&mut tx, &message, notify.owner()).await? {
        return Ok(());
    }
    match &message.error {
        None => channels::set_sent(&mut tx, &message.channel, now).await?,
        Some(error) => channels::set_failed(&mut tx, &message.channel, now, error).await?,
    }
    if is_told {
        tell(&mut tx, &message, &job.channel.name).await?;
    }
    tx.commit().await
}

/// Appends how a message fared.
pub async fn tell(tx: &mut Tx, message: &Message, channel_name: &str) -> Result<(), DbError> {
    let data = MessageData {
        error: message.error.clone(),
        is_final: message.state == MessageState::Dead,
        ..MessageData::of(message, channel_name)
    };
    let topic = match message.state {
        MessageState::Sent => "message.sent",
        MessageState::Waiting | MessageState::Dead => "message.failed",
    };
    let event = NewEvent::new(topic, &message.id, &data).caused_by(message.cause);
    tx.append(&Actor::system("notify"), event).await?;
    Ok(())
}
