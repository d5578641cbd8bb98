//! Keeping time: waits that end and silences that begin or end take effect at their moment, not at the next round of a poll.

use std::sync::LazyLock;
use std::time::Duration;

use kernel::retention::Bound;
use kernel::{AnyError, DbError, Kernel, OwedSteps, Task, Wake};
use tokio::sync::watch;

use crate::store::list::Muted;
use crate::{observe, store};

/// Longest sleep: what another server has stored is found within it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const GAUGES_EVERY: Duration = Duration::from_secs(2);

/// Turns with every commit that may have brought a new due time. It is the process's, because `observe` is called with
/// nothing but a transaction; a turn that meant another database costs one cheap query.
static CHANGED: LazyLock<watch::Sender<u64>> = LazyLock::new(|| watch::channel(0).0);

pub fn wake() {
    CHANGED.send_modify(|turns| *turns = turns.wrapping_add(1));
}

pub fn timekeeper() -> Task {
    let steps = OwedSteps::default();
    Task::new(
        "alerting.timekeeper",
        LOOK_AGAIN,
        Wake::default(),
        move |kernel| keep_time(kernel, steps.clone()),
    )
}

/// Forgets what has ended long ago.
pub fn retention(settings: &crate::Settings) -> Task {
    kernel::retention::task("alerting.retention", bounds(settings.history_days))
}

/// What is kept how long.
pub fn bounds(keep_days: u32) -> Vec<Bound> {
    vec![
        Bound::delete("alert", keep_days, store::alert::DELETE_OLD),
        Bound::delete("silence", keep_days, store::silence::DELETE_OLD),
        Bound::delete("maintenance", keep_days, store::window::DELETE_OLD),
    ]
}

async fn keep_time(kernel: Kernel, steps: OwedSteps) -> Result<(), AnyError> {
    let mut changed = CHANGED.subscribe();
    let mut gauges_at: Option<tokio::time::Instant> = None;
    while !kernel.stop.is_cancelled() {
        changed.borrow_and_update();
        if let Some(by) = steps.owed(&kernel.clock) {
            tracing::warn!(
                by_s = by.as_secs(),
                "the clock stepped; waits of alerts keep their length"
            );
            let mut tx = kernel.db.write().await?;
            observe::follow_step(&mut tx, i64::try_from(by.as_micros()).unwrap_or(0)).await?;
            tx.commit().await?;
            steps.followed(by);
        }
        settle_all(&kernel).await?;
        if gauges_at.is_none_or(|at| at.elapsed() >= GAUGES_EVERY) {
            set_gauges(&kernel).await?;
            gauges_at = Some(tokio::time::Instant::now());
        }
        let sleep = until_next(&kernel).await?.min(LOOK_AGAIN);
        tokio::select! {
            () = kernel.stop.cancelled() => {}
            () = tokio::time::sleep(sleep) => {}
            _ = changed.changed() => {}
        }
    }
    Ok(())
}

/// Does everything that is due now. The timekeeper calls it at the right moments; calling it more often does no harm.
pub async fn settle_all(kernel: &Kernel) -> Result<(), DbError> {
    while until_next(kernel).await?.is_zero() {
        let mut tx = kernel.db.write().await?;
        let has_more = observe::settle(&mut tx).await?;
        tx.commit().await?;
        if !has_more {
            break;
        }
    }
    let hour_ago = kernel.clock.now().as_microsecond() - 3_600_000_000;
    forget(kernel, hour_ago).await
}

async fn forget(kernel: &Kernel, before_us: i64) -> Result<(), DbError> {
    let has_old = store::alert::has_inactive(&mut *kernel.db.read().await?, before_us).await?;
    if has_old {
        let mut tx = kernel.db.write().await?;
        store::alert::forget_inactive(&mut tx, before_us).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// How long until something is due; zero when it is.
async fn until_next(kernel: &Kernel) -> Result<Duration, DbError> {
    let mut reader = kernel.db.read().await?;
    let due = [
        store::alert::next_due(&mut reader).await?,
        store::silence::next_due(&mut reader).await?,
        store::window::next_due(&mut reader).await?,
    ];
    let now = kernel.clock.now().as_microsecond();
    let wait = due
        .into_iter()
        .flatten()
        .min()
        .map(|due| due.saturating_sub(now).max(0).unsigned_abs());
    Ok(wait.map_or(Duration::MAX, Duration::from_micros))
}

async fn set_gauges(kernel: &Kernel) -> Result<(), DbError> {
    let counts = store::list::counts(&mut *kernel.db.read().await?).await?;
    for state in ["pending", "firing"] {
        for severity in crate::model::Severity::ALL {
            for (muted, word) in [
                (Muted::No, "no"),
                (Muted::BySilence, "silence"),
                (Muted::ByMaintenance, "maintenance"),
            ] {
                let key = (state.to_owned(), severity.as_str().to_owned(), muted);
                let labels = [
                    ("state", state),
                    ("severity", severity.as_str()),
                    ("muted_by", word),
                ];
                let count = counts.get(&key).copied().unwrap_or(0);
                kernel.metrics.gauge("mainstay_alerts", &labels).set(count);
            }
        }
    }
    Ok(())
}
