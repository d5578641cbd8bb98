//! Who reads what a rule's template has asked: those who may see the alert. A query of a template sees the hosts that all of them see.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use inventory::Selector;
use kernel::DbError;
use promql::{Matcher, Series, Source, SourceError};
use sqlx::AnyConnection;

/// The hosts, when there are roles that hold for some of them only.
#[derive(Debug, Default)]
pub(crate) struct Audience(Option<HashMap<String, Placed>>);

#[derive(Debug)]
struct Placed {
    team: Option<String>,
    tags: BTreeMap<String, String>,
}

impl Audience {
    pub(crate) async fn read(connection: &mut AnyConnection) -> Result<Self, DbError> {
        if !access::store::grants::has_scoped(connection).await? {
            return Ok(Self(None));
        }
        let hosts = inventory::store::select(connection, &Selector::kind("host")).await?;
        let placed = hosts.into_iter().map(|host| {
            let (team, tags) = (host.team, host.tags);
            (host.name, Placed { team, tags })
        });
        Ok(Self(Some(placed.collect())))
    }

    /// May a template of an alert about `own` read what `other` has sent? Only when whoever sees `own` sees `other` too:
    /// it has the same team and carries at least the same tags. What is about no host is seen by those alone who see everything.
    fn may_read(&self, own: Option<&str>, other: Option<&str>) -> bool {
        let (Some(hosts), Some(own)) = (&self.0, own) else {
            return true;
        };
        if other == Some(own) {
            return true;
        }
        let other = other.and_then(|name| hosts.get(name));
        match (hosts.get(own), other) {
            (Some(own), Some(other)) => {
                (own.team.is_none() || own.team == other.team)
                    && own
                        .tags
                        .iter()
                        .all(|(name, value)| other.tags.get(name) == Some(value))
            }
            _ => false,
        }
    }

    /// The source as the audience of an alert about `own` may see it.
    pub(crate) fn narrow<'a, S: Source>(&'a self, source: S, own: Option<&'a str>) -> Narrowed<'a, S> {
        Narrowed {
            audience: self,
            source,
            own,
        }
    }
}

pub(crate) struct Narrowed<'a, S> {
    audience: &'a Audience,
    source: S,
    own: Option<&'a str>,
}

impl<S: Source> Narrowed<'_, S> {
    fn shows(&self, series: &Series) -> bool {
        let host = Some(series.labels.get("instance")).filter(|name| !name.is_empty());
        self.audience.may_read(self.own, host)
    }
}

impl<S: Source> Source for Narrowed<'_, S> {
    fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        sample_limit: usize,
    ) -> Result<Vec<Series>, SourceError> {
        let mut found = self.source.select(matchers, start_ms, end_ms, sample_limit)?;
        found.retain(|series| self.shows(series));
        Ok(found)
    }

    fn visit(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        sample_limit: usize,
        each: &mut dyn FnMut(Series) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let mut shown = |series: Series| match self.shows(&series) {
            true => each(series),
            false => ControlFlow::Continue(()),
        };
        self.source
            .visit(matchers, start_ms, end_ms, sample_limit, &mut shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_reads_what_everybody_who_sees_the_alert_may_read() {
        let host = |team: Option<&str>, tags: &[(&str, &str)]| Placed {
            team: team.map(str::to_owned),
            tags: tags
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        };
        let hosts = HashMap::from([
            ("x1".to_owned(), host(None, &[("grp", "x")])),
            ("x2".to_owned(), host(None, &[("grp", "x"), ("env", "prod")])),
            ("y1".to_owned(), host(None, &[("grp", "y")])),
            ("t1".to_owned(), host(Some("team_1"), &[("grp", "x")])),
        ]);
        let audience = Audience(Some(hosts));
        for (own, other, may) in [
            ("x1", Some("x1"), true),
            ("x1", Some("x2"), true),
            ("x2", Some("x1"), false),
            ("x1", Some("y1"), false),
            ("x1", Some("t1"), true),
            ("t1", Some("x1"), false),
            ("x1", Some("unknown"), false),
            ("x1", None, false),
            ("unknown", Some("x1"), false),
            ("unknown", Some("unknown"), true),
        ] {
            assert_eq!(audience.may_read(Some(own), other), may, "{own} {other:?}");
        }
        assert!(
            audience.may_read(None, Some("y1")),
            "of no host: seen by those who see everything"
        );
        assert!(
            Audience(None).may_read(Some("x1"), Some("y1")),
            "no role holds for a part only"
        );
    }
}
