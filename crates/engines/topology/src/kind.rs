//! The kinds of relations and how a failure crosses each.
use std::fmt;
use std::str::FromStr;

/// A relation "from … to". How a failure spreads along it:
///
/// | relation | spreads | confidence of a step |
/// |---|---|---|
/// | `a runs_on b` | from b to a | 0.99 |
/// | `a depends_on b` | from b to a | 0.9 |
/// | `a connects_to b` | from b to a | 0.6, since a may not need the connection |
/// | `a part_of b` | from b to a | 0.99 |
/// | `a part_of b` | from a to b, which is then *degraded* | 0.7 |
///
/// A degraded whole spreads to what runs on it or depends on it, but not down to its other parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A service on a host, a container on a node.
    RunsOn,
    /// Cannot work without.
    DependsOn,
    /// Was seen talking to.
    ConnectsTo,
    /// A disk of a host, an instance of a cluster.
    PartOf,
}

/// Costs are the negative natural logarithm of a confidence, in millionths: integers add up to the same sum in
/// any order, so a walk forwards and one backwards agree exactly.
pub(crate) const COST_SCALE: f64 = 1e6;
const COST_99: u64 = 10_050;
const COST_90: u64 = 105_361;
const COST_70: u64 = 356_675;
const COST_60: u64 = 510_826;

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 4] = [Kind::RunsOn, Kind::DependsOn, Kind::ConnectsTo, Kind::PartOf];

    /// The name in configuration and APIs.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::RunsOn => "runs_on",
            Kind::DependsOn => "depends_on",
            Kind::ConnectsTo => "connects_to",
            Kind::PartOf => "part_of",
        }
    }

    /// The cost of spreading from the edge's target to its source.
    pub(crate) fn cost_to_source(self) -> u64 {
        match self {
            Kind::RunsOn | Kind::PartOf => COST_99,
            Kind::DependsOn => COST_90,
            Kind::ConnectsTo => COST_60,
        }
    }

    /// The cost of spreading from the edge's source to its target, where that happens.
    pub(crate) fn cost_to_target(self) -> Option<u64> {
        (self == Kind::PartOf).then_some(COST_70)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no kind of relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKind(pub String);

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is not a relation; use runs_on, depends_on, connects_to or part_of",
            self.0
        )
    }
}

impl std::error::Error for UnknownKind {}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownKind(name.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_costs_fit_the_table() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!(
            "runs on"
                .parse::<Kind>()
                .unwrap_err()
                .to_string()
                .contains("use runs_on")
        );
        let confidence = |cost: u64| (-(cost as f64) / COST_SCALE).exp();
        let expected = [0.99, 0.9, 0.6, 0.99];
        for (kind, expected) in Kind::ALL.into_iter().zip(expected) {
            assert!(
                (confidence(kind.cost_to_source()) - expected).abs() < 1e-5,
                "{kind}"
            );
        }
        assert!((confidence(Kind::PartOf.cost_to_target().unwrap()) - 0.7).abs() < 1e-5);
    }
}
