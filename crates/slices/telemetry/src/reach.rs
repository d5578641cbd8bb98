//! Whose samples and lines somebody may read: those of the hosts inside of their roles' scopes.

use std::ops::ControlFlow;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use inventory::Selector;
use kernel::{Actor, Problem};
use promql::{MatchOp, Series, Source, SourceError};

use crate::Telemetry;
use crate::source::StoreSource;

/// Taken from the request. What is about no host is for those alone whose roles hold everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Reach(Option<Vec<String>>);

/// No host has it: names are without control characters.
const NOBODY: &str = "\u{1}";

impl FromRequestParts<Telemetry> for Reach {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, telemetry: &Telemetry) -> Result<Self, Problem> {
        let actor = Actor::from_request_parts(parts, telemetry).await?;
        if !actor.is_scoped() {
            return Ok(Self(None));
        }
        let mut reader = telemetry.kernel().db.read().await?;
        let hosts = inventory::store::select(&mut reader, &Selector::kind("host")).await?;
        let seen = hosts
            .into_iter()
            .filter(|host| actor.sees(host.team.as_deref(), &host.tags));
        Ok(Self(Some(seen.map(|host| host.name).collect())))
    }
}

impl Reach {
    /// For what the program asks itself.
    pub(crate) fn everywhere() -> Self {
        Self(None)
    }

    pub(crate) fn sees(&self, host: Option<&str>) -> bool {
        let among = |hosts: &Vec<String>| host.is_some_and(|host| hosts.iter().any(|name| name == host));
        self.0.as_ref().is_none_or(among)
    }

    /// A regular expression that only the visible hosts match; `None` when everything is visible.
    fn pattern(&self) -> Option<String> {
        let names: Vec<String> = self
            .0
            .as_ref()?
            .iter()
            .map(|name| promql::quote_regex(name))
            .collect();
        Some(if names.is_empty() {
            NOBODY.to_owned()
        } else {
            names.join("|")
        })
    }

    /// What a selection of series must match besides its own matchers.
    pub(crate) fn series(&self) -> Result<Option<promql::Matcher>, String> {
        let matcher = |pattern| promql::Matcher::new(MatchOp::Regex, "instance", pattern);
        self.pattern().map(matcher).transpose()
    }

    /// The same for the store itself.
    pub(crate) fn stored(&self) -> Result<Option<tsdb::Matcher>, Problem> {
        let matcher = |pattern: String| tsdb::Matcher::new(tsdb::MatchOp::Re, "instance", &pattern);
        self.pattern().map(matcher).transpose().map_err(Problem::internal)
    }

    /// What a selection of log lines must match besides its own matchers.
    pub(crate) fn lines(&self) -> Result<Vec<logs::Matcher>, Problem> {
        let matcher = |pattern| logs::Matcher::new("host", logs::MatchOp::Re, pattern);
        let matcher = self.pattern().map(matcher).transpose();
        Ok(matcher.map_err(Problem::internal)?.into_iter().collect())
    }
}

/// The store as somebody may see it.
pub(crate) struct Reached<'a> {
    pub source: StoreSource<'a>,
    pub only: Option<promql::Matcher>,
}

impl Reached<'_> {
    fn narrowed(&self, matchers: &[promql::Matcher]) -> Vec<promql::Matcher> {
        matchers.iter().chain(&self.only).cloned().collect()
    }
}

impl Source for Reached<'_> {
    fn select(
        &self,
        matchers: &[promql::Matcher],
        start_ms: i64,
        end_ms: i64,
        sample_limit: usize,
    ) -> Result<Vec<Series>, SourceError> {
        let matchers = self.narrowed(matchers);
        self.source.select(&matchers, start_ms, end_ms, sample_limit)
    }

    fn visit(
        &self,
        matchers: &[promql::Matcher],
        start_ms: i64,
        end_ms: i64,
        sample_limit: usize,
        each: &mut dyn FnMut(Series) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let matchers = self.narrowed(matchers);
        self.source.visit(&matchers, start_ms, end_ms, sample_limit, each)
    }
}
