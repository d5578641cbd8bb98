//! Supervised tasks: named, counted, restarted when they fail, ended with the kernel.
//!
//! A [`Task`] is a reconciler: it is woken by a signal *and* a timer, takes no input and is idempotent, so that the happy case
//! and recovery after a crash are the same path.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::{AnyError, BoxFuture, Kernel};

/// A signal that wakes a task. Signals that come while it runs are not lost.
#[derive(Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    pub fn signal(&self) {
        self.0.notify_one();
    }

    pub async fn wait(&self) {
        self.0.notified().await;
    }
}

/// The tasks that run now, by name.
#[derive(Clone)]
pub struct Running(
    Arc<watch::Sender<BTreeMap<&'static str, usize>>>,
    Arc<watch::Sender<u64>>,
);

impl Default for Running {
    fn default() -> Self {
        Self(
            Arc::new(watch::channel(BTreeMap::new()).0),
            Arc::new(watch::channel(0).0),
        )
    }
}

impl Running {
    /// Waits until no task runs.
    pub async fn idle(&self) {
        // The sender is held by `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(BTreeMap::is_empty).await;
    }

    /// Has every reconciler run now, whatever its timer says.
    pub fn wake_all(&self) {
        self.1.send_modify(|rounds| *rounds += 1);
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.0.borrow().keys().copied().collect()
    }

    fn enter(&self, name: &'static str) -> Entered {
        self.0.send_modify(|tasks| *tasks.entry(name).or_default() += 1);
        Entered {
            running: self.clone(),
            name,
        }
    }
}

/// One task among those that run, until it is dropped.
struct Entered {
    running: Running,
    name: &'static str,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.running.0.send_modify(|tasks| {
            if let Some(count) = tasks.get_mut(self.name) {
                *count -= 1;
                if *count == 0 {
                    tasks.remove(self.name);
                }
            }
        });
    }
}

/// Before the first restart; each one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A body that ran this long before it failed is restarted as if for the first time.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

type Run = Box<dyn Fn(Kernel) -> BoxFuture<'static, Result<(), AnyError>> + Send + Sync>;

/// A reconciler.
pub struct Task {
    pub name: &'static str,
    pub every: Duration,
    pub wake: Wake,
    run: Run,
}

impl Task {
    pub fn new<F, Fut>(name: &'static str, every: Duration, wake: Wake, run: F) -> Self
    where
        F: Fn(Kernel) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), AnyError>> + Send + 'static,
    {
        Self {
            name,
            every,
            wake,
            run: Box::new(move |kernel| Box::pin(run(kernel))),
        }
    }
}

/// The one way to start a task: it has a name, and a panic in it is logged and counted.
#[expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]
pub fn spawn<F>(kernel: &Kernel, name: &'static str, future: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let metrics = kernel.metrics.clone();
    let entered = kernel.tasks.enter(name);
    let inner = tokio::spawn(future);
    tokio::spawn(async move {
        let _entered = entered;
        metrics.gauge("mainstay_tasks", &[("task", name)]).add(1);
        if let Err(error) = inner.await
            && error.is_panic()
        {
            tracing::error!(task = name, %error, "task panicked");
            metrics
                .counter("mainstay_task_panics_total", &[("task", name)])
                .add(1);
        }
        metrics.gauge("mainstay_tasks", &[("task", name)]).add(-1);
    })
}

/// Sees a short piece of work to its end, also when the one who waits for it goes away. `None`: it panicked.
#[expect(
    clippy::disallowed_methods,
    reason = "beside `spawn` the only place that does"
)]
pub(crate) async fn carry_through<F>(future: F) -> Option<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future).await.ok()
}

/// Runs `body` until the kernel stops, again with growing pauses whenever it fails or panics.
pub fn supervise<F, Fut>(kernel: &Kernel, name: &'static str, body: F) -> JoinHandle<()>
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AnyError>> + Send + 'static,
{
    let outer = kernel.clone();
    spawn(kernel, name, async move {
        let mut pause = FIRST_PAUSE;
        while !outer.stop.is_cancelled() {
            let started = std::time::Instant::now();
            let slot = Arc::new(Mutex::new(None));
            let result = slot.clone();
            let future = body();
            let handle = spawn(&outer, name, async move {
                let outcome = future.await;
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            });
            let _ = handle.await;
            let outcome = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            match outcome {
                Some(Ok(())) => return,
                Some(Err(error)) => tracing::error!(task = name, %error, "task failed; it starts again"),
                None => {}
            }
            outer
                .metrics
                .counter("mainstay_task_restarts_total", &[("task", name)])
                .add(1);
            if started.elapsed() > HEALTHY_AFTER {
                pause = FIRST_PAUSE;
            }
            tokio::select! {
                () = outer.stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    })
}

/// Starts a reconciler: once now, then on every signal or tick.
pub fn start(kernel: &Kernel, task: Task) -> JoinHandle<()> {
    let task = Arc::new(task);
    let outer = kernel.clone();
    supervise(kernel, task.name, move || {
        let task = task.clone();
        let kernel = outer.clone();
        let mut everybody = kernel.tasks.1.subscribe();
        async move {
            while !kernel.stop.is_cancelled() {
                let started = std::time::Instant::now();
                (task.run)(kernel.clone()).await?;
                let seconds = started.elapsed().as_secs_f64();
                kernel
                    .metrics
                    .histogram("mainstay_task_seconds", &[("task", task.name)])
                    .observe(seconds);
                tokio::select! {
                    () = kernel.stop.cancelled() => {}
                    _ = everybody.changed() => {}
                    _ = tokio::time::timeout(task.every, task.wake.wait()) => {}
                }
            }
            Ok(())
        }
    })
}
