//! Threads for work that may hang. Jobs go into one queue; a worker that is late is left alone with its job and
//! another takes its place, so that the rest of the queue goes on.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::rt;

/// More hung workers than this and jobs wait until one comes back.
const MAX_WORKERS: usize = 24;

/// A piece of work. It is handed back through [`Pool::take_done`] when it has run.
pub(crate) trait Job: Send + 'static {
    fn run(&mut self);
}

pub(crate) struct Pool<J: Job> {
    shared: Arc<Shared<J>>,
    thread_name: &'static str,
}

struct Shared<J> {
    state: Mutex<State<J>>,
    work: Condvar,
    done: tokio::sync::Notify,
    done_blocking: Condvar,
}

struct State<J> {
    queue: VecDeque<J>,
    finished: Vec<J>,
    /// What each busy worker began, by worker number.
    busy: Vec<(usize, Instant)>,
    /// Workers that were given up; they end when their job does.
    late: Vec<usize>,
    workers: usize,
    next_worker: usize,
    closed: bool,
}

impl<J: Job> Pool<J> {
    pub(crate) fn new(thread_name: &'static str) -> Self {
        let state = State {
            queue: VecDeque::new(),
            finished: Vec::new(),
            busy: Vec::new(),
            late: Vec::new(),
            workers: 0,
            next_worker: 0,
            closed: false,
        };
        let shared = Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            done: tokio::sync::Notify::new(),
            done_blocking: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
            thread_name,
        }
    }

    /// Queues jobs and makes sure that a worker which is not late looks at them.
    pub(crate) fn submit(&self, jobs: impl IntoIterator<Item = J>) {
        let mut state = self.shared.lock();
        state.queue.extend(jobs);
        if !state.queue.is_empty() {
            self.ensure_worker(&mut state);
            drop(state);
            self.shared.work.notify_one();
        }
    }

    /// Gives up workers that are over `deadline` with one job and replaces them if anything is queued.
    pub(crate) fn relieve(&self, deadline: Duration) {
        let mut state = self.shared.lock();
        let now = Instant::now();
        let (late, busy) = state
            .busy
            .drain(..)
            .partition(|(_, since)| now.duration_since(*since) > deadline);
        state.busy = busy;
        let late: Vec<(usize, Instant)> = late;
        state.late.extend(late.into_iter().map(|(worker, _)| worker));
        if !state.queue.is_empty() {
            self.ensure_worker(&mut state);
            drop(state);
            self.shared.work.notify_one();
        }
    }

    pub(crate) fn take_done(&self, into: &mut Vec<J>) {
        into.append(&mut self.shared.lock().finished);
    }

    /// Nothing is queued and no worker that is on time is busy.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.shared.lock();
        state.queue.is_empty() && state.busy.is_empty()
    }

    /// Waits until the pool is idle or `limit` has passed, relieving late workers on the way.
    pub(crate) async fn settle(&self, limit: Duration, deadline: Duration) {
        let end = Instant::now() + limit;
        loop {
            let notified = self.shared.done.notified();
            if self.is_idle() {
                return;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            // The result does not matter: either way the loop looks at the state.
            let _ = tokio::time::timeout(left.min(deadline), notified).await;
            self.relieve(deadline);
        }
    }

    /// [`Pool::settle`] for callers that are threads themselves.
    pub(crate) fn settle_blocking(&self, limit: Duration, deadline: Duration) {
        let end = Instant::now() + limit;
        loop {
            let state = self.shared.lock();
            if state.queue.is_empty() && state.busy.is_empty() {
                return;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            drop(self.shared.done_blocking.wait_timeout(state, left.min(deadline)));
            self.relieve(deadline);
        }
    }

    fn ensure_worker(&self, state: &mut State<J>) {
        let usable = state.workers.saturating_sub(state.late.len());
        if usable > 0 || state.workers >= MAX_WORKERS {
            return;
        }
        let number = state.next_worker;
        let shared = self.shared.clone();
        match rt::thread(self.thread_name, move || work(&shared, number)) {
            Ok(()) => {
                state.next_worker += 1;
                state.workers += 1;
            }
            Err(error) => tracing::warn!(%error, "failed to start a collector thread"),
        }
    }
}

impl<J: Job> Drop for Pool<J> {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl<J> Shared<J> {
    fn tell_done(&self) {
        self.done.notify_one();
        self.done_blocking.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn work<J: Job>(shared: &Shared<J>, number: usize) {
    let mut state = shared.lock();
    while !state.closed {
        let Some(mut job) = state.queue.pop_front() else {
            shared.tell_done();
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        state.busy.push((number, Instant::now()));
        drop(state);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.run()));
        state = shared.lock();
        state.busy.retain(|(worker, _)| *worker != number);
        if outcome.is_err() {
            tracing::error!("a collector panicked");
        }
        state.finished.push(job);
        let was_late = state.late.contains(&number);
        state.late.retain(|worker| *worker != number);
        if was_late {
            shared.tell_done();
            break;
        }
    }
    state.workers = state.workers.saturating_sub(1);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    enum Test {
        Quick(u32),
        Hung(mpsc::Receiver<()>),
    }

    impl Job for Test {
        fn run(&mut self) {
            if let Self::Hung(until) = self {
                let _ = until.recv();
            }
        }
    }

    #[tokio::test]
    async fn a_hung_job_does_not_delay_the_others() {
        let pool = Pool::new("test");
        let (release, until) = mpsc::channel();
        pool.submit([Test::Quick(1), Test::Hung(until), Test::Quick(2), Test::Quick(3)]);
        pool.settle(Duration::from_secs(5), Duration::from_millis(20))
            .await;
        let mut done = Vec::new();
        pool.take_done(&mut done);
        let numbers: Vec<u32> = done
            .iter()
            .filter_map(|t| if let Test::Quick(n) = t { Some(*n) } else { None })
            .collect();
        assert_eq!(numbers, vec![1, 2, 3]);
        assert!(pool.is_idle());
        // When it comes back its result is handed over late, and its worker ends.
        release.send(()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while done.len() < 4 && Instant::now() < deadline {
            pool.take_done(&mut done);
            tokio::task::yield_now().await;
        }
        assert_eq!(done.len(), 4);
        assert_eq!(pool.shared.lock().workers, 1);
    }
}
