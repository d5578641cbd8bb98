//! Running queries: bounded in number, in time and in samples, off the reactor.

use std::sync::Arc;
use std::time::{Duration, Instant};

use promql::{EvalError, Expr, Outcome};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tsdb::Tsdb;

use crate::reach::{Reach, Reached};
use crate::source::StoreSource;

/// Queries that run at once; more wait their turn.
const AT_ONCE: usize = 4;
/// Queries that may wait; more are refused.
const WAITING: usize = 64;

/// The default time that a query may take, waiting included.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(crate) struct Queries {
    tsdb: Arc<Tsdb>,
    slots: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    metrics: kernel::metric::Metrics,
}

#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("{0}")]
    Parse(#[from] promql::ParseError),
    #[error("{0}")]
    Eval(#[from] EvalError),
    #[error("{0} queries are waiting already; try again later")]
    Busy(usize),
    #[error("the query did not finish within {0:?}")]
    Timeout(Duration),
    #[error("too many large answers are being read; try again later or ask for less")]
    Crowded,
    #[error("the query ended without an answer")]
    Lost,
}

/// When to evaluate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    Instant(i64),
    Range {
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    },
}

impl Queries {
    pub(crate) fn new(kernel: &kernel::Kernel, tsdb: Arc<Tsdb>) -> Self {
        Self {
            tsdb,
            metrics: kernel.metrics.clone(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            queue: Arc::new(Semaphore::new(WAITING)),
        }
    }

    pub(crate) async fn run(
        &self,
        text: &str,
        at: At,
        timeout: Duration,
        lookback_ms: i64,
        reach: &Reach,
    ) -> Result<Outcome, QueryError> {
        let asked = (text, at, timeout, lookback_ms);
        Ok(self.run_then(asked, reach, |outcome| outcome).await?.0)
    }

    /// As [`Queries::run`], and makes something of the outcome on the same thread. The slot comes back with it.
    pub(crate) async fn run_then<T: Send + 'static>(
        &self,
        (text, at, timeout, lookback_ms): (&str, At, Duration, i64),
        reach: &Reach,
        then: impl FnOnce(Outcome) -> T + Send + 'static,
    ) -> Result<(T, OwnedSemaphorePermit), QueryError> {
        let expr = promql::parse(text)?;
        let only = reach.names();
        let tsdb = self.tsdb.clone();
        let work = move |deadline| {
            let source = Reached {
                source: StoreSource::new(&tsdb, None),
                only,
            };
            let mut outcome = evaluate(&source, &expr, at, deadline, lookback_ms)?;
            outcome.warnings.extend(source.source.warnings());
            Ok(then(outcome))
        };
        let (result, slot) = self.in_slot(timeout, work).await?;
        match result {
            Ok(made) => Ok((made, slot)),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Runs `work` on a blocking thread when its turn comes.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        timeout: Duration,
        work: impl FnOnce(Instant) -> T + Send + 'static,
    ) -> Result<T, QueryError> {
        Ok(self.in_slot(timeout, work).await?.0)
    }

    /// The same, with the slot that it ran in.
    pub(crate) async fn in_slot<T: Send + 'static>(
        &self,
        timeout: Duration,
        work: impl FnOnce(Instant) -> T + Send + 'static,
    ) -> Result<(T, OwnedSemaphorePermit), QueryError> {
        let deadline = Instant::now() + timeout;
        let waiting = self.queue.clone().try_acquire_owned();
        let _waiting = waiting.map_err(|_| self.refused(QueryError::Busy(WAITING)))?;
        let slot = tokio::time::timeout(timeout, self.slots.clone().acquire_owned());
        let slot = slot
            .await
            .map_err(|_| self.refused(QueryError::Timeout(timeout)))?
            .map_err(|_| QueryError::Lost)?;
        let task = tokio::task::spawn_blocking(move || (work(deadline), slot));
        task.await.map_err(|_| QueryError::Lost)
    }

    /// Counts what a limit refused or ended.
    fn refused(&self, error: QueryError) -> QueryError {
        let reason = match &error {
            QueryError::Busy(_) | QueryError::Crowded => "busy",
            QueryError::Timeout(_) | QueryError::Eval(EvalError::Cancelled) => "time",
            QueryError::Eval(EvalError::TooManySamples { .. } | EvalError::TooManyBytes { .. }) => "size",
            _ => return error,
        };
        self.metrics
            .counter("mainstay_queries_refused_total", &[("reason", reason)])
            .add(1);
        error
    }
}

fn evaluate(
    source: &Reached<'_>,
    expr: &Expr,
    at: At,
    deadline: Instant,
    lookback_ms: i64,
) -> Result<Outcome, QueryError> {
    let is_over = || Instant::now() >= deadline;
    let options = promql::Options {
        lookback_ms,
        cancelled: Some(&is_over),
        ..promql::Options::default()
    };
    Ok(match at {
        At::Instant(t_ms) => promql::instant(source, expr, t_ms, &options)?,
        At::Range {
            start_ms,
            end_ms,
            step_ms,
        } => promql::range(source, expr, start_ms, end_ms, step_ms, &options)?,
    })
}
