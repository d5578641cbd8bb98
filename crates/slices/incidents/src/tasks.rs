//! Keeping time: resolves that were held, reminders, notifications of what has joined, and the figures on `/metrics`.

use std::time::Duration;

use jiff::SignedDuration;
use kernel::{Actor, AnyError, DbError, Kernel, OwedSteps, Task};

use crate::Incidents;
use crate::model::{Severity, State};
use crate::store;
use crate::work::Desk;

/// Longest sleep: what another server has stored is found within it.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

pub fn timekeeper(incidents: &Incidents) -> Task {
    let (handle, owed) = (incidents.clone(), OwedSteps::default());
    Task::new(
        "incidents.timekeeper",
        LOOK_AGAIN,
        incidents.wake.clone(),
        move |kernel| {
            let (incidents, steps) = (handle.clone(), owed.clone());
            async move { keep_time(&kernel, &incidents, &steps).await }
        },
    )
}

async fn keep_time(kernel: &Kernel, incidents: &Incidents, steps: &OwedSteps) -> Result<(), AnyError> {
    while !kernel.stop.is_cancelled() {
        if let Some(by) = steps.owed(&kernel.clock) {
            incidents.follow_step(by).await?;
            steps.followed(by);
        }
        incidents.settle_all().await?;
        set_gauges(kernel).await?;
        let next = store::incident::next_due(&mut *kernel.db.read().await?).await?;
        let now = kernel.clock.now().as_microsecond();
        let wait = next.map_or(LOOK_AGAIN, |due| {
            Duration::from_micros(due.saturating_sub(now).max(0).unsigned_abs())
        });
        tokio::select! {
            () = kernel.stop.cancelled() => {}
            () = tokio::time::sleep(wait.min(LOOK_AGAIN)) => {}
            () = incidents.wake.wait() => {}
        }
    }
    Ok(())
}

impl Incidents {
    /// Moves reminders, held resolves and notifications that wait along with a clock that stepped.
    pub async fn follow_step(&self, by: SignedDuration) -> Result<(), DbError> {
        let mut tx = self.kernel.db.write().await?;
        store::take_turn(&mut tx).await?;
        store::step::shift(&mut tx, i64::try_from(by.as_micros()).unwrap_or(0)).await?;
        // No announcement waits longer than it could have been planned for.
        let longest = self.settings.growth_wait_s.max(self.settings.growth_interval_s);
        let now = tx.now();
        let latest = now
            .saturating_add(SignedDuration::from_secs(i64::from(longest)))
            .unwrap_or(now);
        store::step::cap_announcements(&mut tx, latest.as_microsecond()).await?;
        tx.commit().await
    }

    /// Does everything that is due now. The timekeeper calls it at the right moments; calling it more often does no harm.
    pub async fn settle_all(&self) -> Result<(), DbError> {
        let kernel = &self.kernel;
        let now = kernel.clock.now();
        let is_due = store::incident::next_due(&mut *kernel.db.read().await?)
            .await?
            .is_some_and(|due| due <= now.as_microsecond());
        if !is_due {
            return Ok(());
        }
        let mut tx = kernel.db.write().await?;
        let mut desk = Desk::open(&mut tx, Actor::system("incidents"), self).await?;
        for mut incident in store::incident::due_by(desk.tx, now).await? {
            if incident.resolve_at.is_some_and(|at| at <= now) {
                desk.settle(&mut incident).await?;
            }
            if incident.remind_at.is_some_and(|at| at <= now) {
                desk.remind(&mut incident).await?;
            }
            if incident.announce_at.is_some_and(|at| at <= now) {
                desk.announce(&mut incident).await?;
            }
        }
        tx.commit().await
    }
}

async fn set_gauges(kernel: &Kernel) -> Result<(), DbError> {
    let counts = store::incident::counts(&mut *kernel.db.read().await?).await?;
    for severity in Severity::ALL {
        for state in State::ALL.into_iter().filter(|state| state.is_open()) {
            let count = counts
                .iter()
                .find(|(sev, st, _)| sev == severity.as_str() && st == state.as_str())
                .map_or(0, |(_, _, count)| *count);
            let labels = [("severity", severity.as_str()), ("state", state.as_str())];
            kernel.metrics.gauge("mainstay_incidents", &labels).set(count);
        }
    }
    Ok(())
}
