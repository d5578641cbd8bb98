//! The one place where the agent reads the clock and starts tasks and threads.
//!
//! Everything else takes times as arguments or asks here, so that what runs and what reads time can be found in one file.

use std::future::Future;

use tokio::task::JoinHandle;

/// Unix time in milliseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "the agent's only read of the wall clock; it may not import the kernel"
)]
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Starts a task; a task that panics says so in the log. Callers keep the handle and wait for it when they stop.
#[expect(
    clippy::disallowed_methods,
    reason = "the agent's only spawn; it may not import the kernel"
)]
pub(crate) fn spawn<F>(name: &'static str, future: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        let guard = PanicReport(name);
        future.await;
        std::mem::forget(guard);
    })
}

/// Starts a thread for calls that may block for ever (`statfs` on a dead NFS server, a stuck sensor).
pub(crate) fn thread<F>(name: &'static str, body: F) -> std::io::Result<()>
where
    F: FnOnce() + Send + 'static,
{
    let builder = std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(1024 * 1024);
    builder.spawn(body).map(drop)
}

struct PanicReport(&'static str);

impl Drop for PanicReport {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.0, "a task of the agent panicked");
        }
    }
}
