//! Whose samples and lines somebody may read: those of the hosts inside of their roles' scopes.
//!
//! Series and lines carry a host's name, and a name may go to another host. So reach is a set of names, each with the times at
//! which it belonged to a visible host; a reader of the new holder sees nothing of the one before, and the other way around.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use kernel::{Actor, Problem};
use logs::{Spans, Within};
use promql::{Series, Source, SourceError};

use crate::Telemetry;
use crate::source::StoreSource;

/// Taken from the request. What is about no host is for those alone whose roles hold everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Reach(Option<Arc<Names>>);

/// Names of visible hosts.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Those that have always been theirs.
    whole: Arc<HashSet<String>>,
    /// Those that were at some time somebody else's.
    shared: Vec<(String, Spans)>,
    /// All of them.
    all: Arc<HashSet<String>>,
    spans: Arc<HashMap<String, Spans>>,
}

impl FromRequestParts<Telemetry> for Reach {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, telemetry: &Telemetry) -> Result<Self, Problem> {
        let actor = Actor::from_request_parts(parts, telemetry).await?;
        if !actor.is_scoped() {
            return Ok(Self(None));
        }
        let mut reader = telemetry.kernel().db.read().await?;
        let may_see = |team: Option<&str>, tags: &_| actor.sees(team, tags);
        let names = inventory::store::host_names(&mut reader, &may_see).await?;
        Ok(Self(Some(Arc::new(Names::new(names)))))
    }
}

/// Microseconds as milliseconds: the first whole one at or after, so that a start excludes and an end includes what it cuts.
fn ceil_ms(us: i64) -> i64 {
    match us {
        i64::MIN | i64::MAX => us,
        us => us.saturating_add(999).div_euclid(1000),
    }
}

fn is_whole(spans: &Spans) -> bool {
    matches!(spans.as_slice(), [(i64::MIN, i64::MAX)])
}

impl Names {
    fn new(names: HashMap<String, Vec<inventory::store::Span>>) -> Self {
        let spans: HashMap<String, Spans> = names
            .into_iter()
            .map(|(name, spans)| {
                let spans = spans.into_iter().map(|(from, to)| (ceil_ms(from), ceil_ms(to)));
                (name, spans.collect())
            })
            .collect();
        let (whole, shared): (Vec<_>, Vec<_>) = spans.iter().partition(|(_, spans)| is_whole(spans));
        Self {
            whole: Arc::new(whole.into_iter().map(|(name, _)| name.clone()).collect()),
            shared: shared
                .into_iter()
                .map(|(name, spans)| (name.clone(), spans.clone()))
                .collect(),
            all: Arc::new(spans.keys().cloned().collect()),
            spans: Arc::new(spans),
        }
    }

    fn holds(&self, name: &str, at_ms: i64) -> bool {
        self.spans
            .get(name)
            .is_some_and(|spans| spans.iter().any(|(from, to)| (*from..*to).contains(&at_ms)))
    }

    /// Takes out the samples of other holders of the name. False when none is left.
    fn trim(&self, series: &mut Series) -> bool {
        let name = series
            .labels
            .iter()
            .find(|label| label.name.as_ref() == INSTANCE)
            .map(|label| label.value.clone());
        let Some(spans) = name.and_then(|name| self.spans.get(name.as_ref())) else {
            return false;
        };
        if !is_whole(spans) {
            series
                .samples
                .retain(|(t_ms, _)| spans.iter().any(|(from, to)| (*from..*to).contains(t_ms)));
        }
        !series.samples.is_empty()
    }
}

const INSTANCE: &str = "instance";

/// Matchers and a time range, both ends included.
pub(crate) type Part = (Option<tsdb::Matcher>, i64, i64);

impl Reach {
    /// For what the program asks itself.
    pub(crate) fn everywhere() -> Self {
        Self(None)
    }

    /// Is this name a visible host's now?
    pub(crate) fn sees(&self, host: Option<&str>) -> bool {
        self.sees_at(host, i64::MAX - 1)
    }

    pub(crate) fn sees_at(&self, host: Option<&str>, at_ms: i64) -> bool {
        self.0
            .as_ref()
            .is_none_or(|names| host.is_some_and(|host| names.holds(host, at_ms)))
    }

    pub(crate) fn names(&self) -> Option<Arc<Names>> {
        self.0.clone()
    }

    /// What a selection of series must match besides its own matchers; the samples are still to be judged by their time.
    pub(crate) fn stored(&self) -> Option<tsdb::Matcher> {
        let names = self.0.as_ref()?;
        Some(tsdb::Matcher::among(INSTANCE, names.all.clone()))
    }

    /// A time range in parts within which every series that matches is visible.
    pub(crate) fn parts(&self, start_ms: i64, end_ms: i64) -> Vec<Part> {
        let Some(names) = &self.0 else {
            return vec![(None, start_ms, end_ms)];
        };
        let whole = tsdb::Matcher::among(INSTANCE, names.whole.clone());
        let shared = names.shared.iter().flat_map(|(name, spans)| {
            spans.iter().filter_map(move |(from, to)| {
                let (start, end) = (start_ms.max(*from), end_ms.min(to.saturating_sub(1)));
                (start <= end).then(|| (Some(tsdb::Matcher::eq(INSTANCE, name)), start, end))
            })
        });
        std::iter::once((Some(whole), start_ms, end_ms))
            .chain(shared)
            .collect()
    }

    /// Which log lines may be seen.
    pub(crate) fn lines(&self) -> Option<Within> {
        let names = self.0.as_ref()?;
        Some(Within::new("host", names.spans.clone()))
    }
}

/// The store as somebody may see it.
pub(crate) struct Reached<'a> {
    pub source: StoreSource<'a>,
    pub only: Option<Arc<Names>>,
}

impl Source for Reached<'_> {
    fn select(
        &self,
        matchers: &[promql::Matcher],
        start_ms: i64,
        end_ms: i64,
        sample_limit: usize,
    ) -> Result<Vec<Series>, SourceError> {
        let mut all = Vec::new();
        self.visit(matchers, start_ms, end_ms, sample_limit, &mut |series| {
            all.push(series);
            ControlFlow::Continue(())
        })?;
        Ok(all)
    }

    fn visit(
        &self,
        matchers: &[promql::Matcher],
        start_ms: i64,
        end_ms: i64,
        sample_limit: usize,
        each: &mut dyn FnMut(Series) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let Some(names) = &self.only else {
            return self.source.visit(matchers, start_ms, end_ms, sample_limit, each);
        };
        let among = tsdb::Matcher::among(INSTANCE, names.all.clone());
        self.source.visit_among(
            matchers,
            Some(among),
            (start_ms, end_ms),
            sample_limit,
            &mut |mut series| {
                if names.trim(&mut series) {
                    each(series)
                } else {
                    ControlFlow::Continue(())
                }
            },
        )
    }
}
