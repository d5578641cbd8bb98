//! What access does by itself: write down when sessions and tokens were used, and forget what has ended.

use std::time::Duration;

use kernel::{AnyError, Task, Wake};

use crate::sign_in::add_s;
use crate::{Access, store};

const EVERY: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(1);
/// Expired tokens stay in the list this long, so that people see why something stopped.
const KEEP_EXPIRED_S: i64 = 30 * 86_400;
const KEEP_FAILURES_S: i64 = 86_400;

pub fn housekeeping(access: &Access, wake: Wake) -> Task {
    let access = access.clone();
    Task::new("access-housekeeping", EVERY, wake, move |_| {
        let access = access.clone();
        async move { run(&access).await }
    })
}

/// Writes failed sign-ins down, soon after the first and then at most once a second.
pub fn attempts(access: &Access) -> Task {
    let (wake, access) = (access.attempts_wake().clone(), access.clone());
    Task::new("access.attempts", EVERY, wake, move |kernel| {
        let access = access.clone();
        async move {
            access.write_attempts().await?;
            tokio::select! {
                () = kernel.stop.cancelled() => access.write_attempts().await?,
                () = tokio::time::sleep(PAUSE) => {}
            }
            Ok(())
        }
    })
}

pub async fn run(access: &Access) -> Result<(), AnyError> {
    let mut touched: Vec<_> = std::mem::take(&mut *access.touched()).into_iter().collect();
    // In one order, so that two servers on one database do not wait for each other's rows.
    touched.sort();
    let mut tx = access.kernel().db.write().await?;
    for (id, at) in &touched {
        if id.starts_with("ses_") {
            store::sessions::touch(&mut tx, id, *at).await?;
        } else {
            store::tokens::touch(&mut tx, id, *at).await?;
        }
    }
    let now = tx.now();
    store::sessions::delete_ended(&mut tx, now, access.settings().session_idle_s()).await?;
    store::tokens::delete_expired(&mut tx, add_s(now, -KEEP_EXPIRED_S)).await?;
    store::throttle::delete_old(&mut tx, add_s(now, -KEEP_FAILURES_S)).await?;
    tx.commit().await?;
    Ok(())
}
