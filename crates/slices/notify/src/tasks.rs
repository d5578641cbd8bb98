//! What notify does by itself: send, give up what is too old, forget what was done long ago.

use std::time::Duration;

use jiff::SignedDuration;
use kernel::retention::Bound;
use kernel::{AnyError, Kernel, OwedSteps, Task, Wake};

use crate::Notify;
use crate::deliver;
use crate::model::MessageState;
use crate::outcome::tell;
use crate::seal;
use crate::store::{channels, messages};

/// Covers retries that become due and commits of other processes.
const POLL: Duration = Duration::from_secs(1);
/// How long a stop waits for sends under way.
const FINISH: Duration = Duration::from_secs(5);
const SWEEP: Duration = Duration::from_secs(60);

/// Sends as soon as something is queued. It does not wait for the sends: a slow channel must not delay another.
pub fn delivery(notify: &Notify) -> Task {
    let (notify, steps) = (notify.clone(), OwedSteps::default());
    Task::new("notify-delivery", POLL, Wake::default(), move |kernel| {
        let (notify, steps) = (notify.clone(), steps.clone());
        async move { deliver_until_stopped(&notify, &kernel, &steps).await }
    })
}

async fn deliver_until_stopped(notify: &Notify, kernel: &Kernel, steps: &OwedSteps) -> Result<(), AnyError> {
    let mut committed = kernel.db.watch_events();
    notify.release_left_behind().await?;
    notify.seal_plain().await?;
    while !kernel.stop.is_cancelled() {
        if let Some(by) = steps.owed(&kernel.clock) {
            notify.follow_step(by).await?;
            steps.followed(by);
        }
        for job in notify.take_due().await? {
            drop(kernel::task::spawn(kernel, "notify-send", deliver::run(job)));
        }
        tokio::select! {
            () = kernel.stop.cancelled() => {}
            () = notify.wake().wait() => {}
            // Every page appends an event, so a commit is the sign that there may be something to send.
            _ = committed.changed() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
    // What is under way gets the time to be written down, or it would be sent again at the next start.
    let _ = tokio::time::timeout(FINISH, async {
        while notify.is_busy() {
            notify.wake().wait().await;
        }
    })
    .await;
    Ok(())
}

pub fn retention(notify: &Notify) -> Task {
    kernel::retention::task("notify.retention", bounds(notify.settings().history_days))
}

/// What is kept how long.
pub fn bounds(keep_days: u32) -> Vec<Bound> {
    vec![Bound::delete("message", keep_days, messages::DELETE_OLD)]
}

pub fn housekeeping(notify: &Notify) -> Task {
    let notify = notify.clone();
    Task::new("notify-housekeeping", SWEEP, Wake::default(), move |_| {
        let notify = notify.clone();
        async move { Ok(notify.sweep().await?) }
    })
}

impl Notify {
    /// Seals what earlier versions stored in clear.
    pub async fn seal_plain(&self) -> Result<(), kernel::DbError> {
        let mut tx = self.kernel().db.write().await?;
        for mut channel in channels::list(&mut tx, "", i64::MAX).await? {
            if seal::shown(&channel.config) == channel.config {
                continue;
            }
            // With a lost key nothing can be sealed; sending tells so.
            let Ok(mut secrets) = self.open_secrets(&channel) else {
                continue;
            };
            channel.config = seal::seal(&channel.config, &mut secrets);
            if let Ok(sealed) = self.seal_secrets(&channel.id, &secrets) {
                channel.secrets = sealed;
                channels::update(&mut tx, &channel).await?;
            }
        }
        tx.commit().await
    }

    /// Moves what waits along with a clock that stepped, so that nothing is tried early, late or given up by it.
    pub async fn follow_step(&self, by: SignedDuration) -> Result<(), kernel::DbError> {
        let mut tx = self.kernel().db.write().await?;
        let by_us = i64::try_from(by.as_micros()).unwrap_or(0);
        let moved = messages::shift(&mut tx, by_us).await?;
        tx.commit().await?;
        if moved > 0 {
            tracing::warn!(
                moved,
                by_s = by.as_secs(),
                "the clock stepped; waiting messages keep their waits"
            );
        }
        Ok(())
    }

    /// Gives up what could not be sent in time.
    pub async fn sweep(&self) -> Result<(), kernel::DbError> {
        let mut tx = self.kernel().db.write().await?;
        let now = tx.now();
        for mut message in messages::expired(&mut tx, now, 500).await? {
            let reason = match &message.error {
                Some(error) => format!("given up after 24 hours; the last error was: {error}"),
                None => "given up after 24 hours: the channel was off".to_owned(),
            };
            messages::bury(&mut tx, message.id.as_str(), &reason).await?;
            message.state = MessageState::Dead;
            message.error = Some(reason);
            let channel = channels::get(&mut tx, &message.channel).await?;
            tell(
                &mut tx,
                &message,
                channel.as_ref().map_or("", |channel| &channel.name),
            )
            .await?;
        }
        let waiting = messages::count_waiting(&mut tx).await?;
        tx.commit().await?;
        self.kernel()
            .metrics
            .gauge("mainstay_messages_waiting", &[])
            .set(waiting);
        Ok(())
    }
}
