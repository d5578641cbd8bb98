//! Starting runbooks whose schedule has come. The mark of a schedule and the run are written together, so that no start is made twice.

use std::sync::Arc;

use change::Source;
use kernel::{Actor, AnyError, Kernel, Timestamp};

use crate::document::{Document, Schedule};
use crate::model::{Runbook, RunbookId};
use crate::plan::{PlanError, Wish};
use crate::start::{self, Start, StartError};
use crate::{Automation, schedule, store};

pub(crate) async fn start_due(kernel: &Kernel, automation: &Automation) -> Result<(), AnyError> {
    let mut reader = kernel.db.read().await?;
    let heads = store::heads(&mut reader).await?;
    let marks = store::schedule_marks(&mut reader).await?;
    drop(reader);
    let now = kernel.clock.now();
    for (id, version, updated_at) in heads {
        let Some(document) = document(kernel, automation, &id, version).await? else {
            continue;
        };
        for (place, entry) in document.schedules.iter().enumerate() {
            let place = i64::try_from(place)?;
            let mark = marks.get(&(id.to_string(), place)).copied();
            // Times before the runbook was written or enabled as it is now are not made up for.
            let last = mark.map_or(updated_at, |mark| mark.max(updated_at));
            let last = match (schedule::is_ahead(last, now), mark) {
                (false, _) => last,
                (true, Some(mark)) if !schedule::is_ahead(mark, now) => mark,
                // From now on, as if nothing had been written by the clock that ran ahead.
                (true, _) => {
                    let mut tx = kernel.db.write().await?;
                    store::reset_schedule(&mut tx, &id, place, now).await?;
                    tx.commit().await?;
                    now
                }
            };
            if let Some(at) = schedule::due(&entry.cron, &entry.time_zone, last, now) {
                start_one(kernel, automation, (&id, version), (place, entry), at).await?;
            }
        }
    }
    Ok(())
}

async fn document(
    kernel: &Kernel,
    automation: &Automation,
    id: &RunbookId,
    version: i64,
) -> Result<Option<Arc<Document>>, AnyError> {
    let known = automation.documents().peek(&(id.to_string(), version));
    if let Some(known) = known {
        return Ok(known.ok());
    }
    let runbook = store::runbook(&mut *kernel.db.read().await?, id).await?;
    let read = |runbook: Runbook| {
        automation
            .documents()
            .get(id.as_str(), runbook.version, &runbook.text)
    };
    Ok(runbook
        .filter(|runbook| runbook.version == version)
        .and_then(|runbook| read(runbook).ok()))
}

async fn start_one(
    kernel: &Kernel,
    automation: &Automation,
    (id, version): (&RunbookId, i64),
    (place, entry): (i64, &Schedule),
    at: Timestamp,
) -> Result<(), AnyError> {
    let mut tx = kernel.db.write().await?;
    let Some(runbook) = store::runbook(&mut tx, id)
        .await?
        .filter(|runbook| runbook.version == version && runbook.is_enabled)
    else {
        return Ok(());
    };
    if !store::mark_schedule(&mut tx, id, place, at).await? {
        return Ok(());
    }
    let start = Start {
        source: Source::Schedule,
        is_dry: false,
        asks: false,
        alert: None,
        incident: None,
        expected_hash: None,
        reason: format!("scheduled for {at}"),
    };
    let wish = Wish {
        inputs: entry.inputs.clone(),
        ..Wish::default()
    };
    let actor = Actor::system("schedule");
    match start::start(&mut tx, &actor, &runbook, (&wish, &kernel.secrets), &start).await {
        Ok(_) => {}
        Err(StartError::Db(error) | StartError::Plan(PlanError::Db(error))) => return Err(error.into()),
        Err(other) => {
            start::say_held_back(&mut tx, &actor, &runbook, None, &other.to_string()).await?;
        }
    }
    automation.wake_after(&mut tx);
    tx.commit().await?;
    Ok(())
}
