//! Who is affected when a node fails, and why.
use crate::graph::{Graph, NodeId};
use crate::kind::{COST_SCALE, Kind};
use crate::walk::{State, Toward, walk};

/// How far a walk goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Most steps from the start, along the most likely path.
    pub max_hops: usize,
    /// Most nodes to look at.
    pub max_nodes: usize,
}

impl Default for Limits {
    /// 16 hops, 100,000 nodes.
    fn default() -> Self {
        Limits {
            max_hops: 16,
            max_nodes: 100_000,
        }
    }
}

/// One step of a failure: `from` fails and so `to` does. `kind` is the relation between them; it runs from
/// `to` to `from`, except where a part takes its whole along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// What failed.
    pub from: NodeId,
    /// What is affected by it.
    pub to: NodeId,
    /// The relation.
    pub kind: Kind,
}

impl Hop {
    /// The step as a sentence without an end: "web runs on host-1".
    pub fn why(&self, graph: &Graph) -> String {
        let (from, to) = (graph.name(self.from), graph.name(self.to));
        match self.kind {
            Kind::RunsOn => format!("{to} runs on {from}"),
            Kind::DependsOn => format!("{to} depends on {from}"),
            Kind::ConnectsTo => format!("{to} connects to {from}"),
            Kind::PartOf if graph.outgoing(self.to).contains(&(Kind::PartOf, self.from)) => {
                format!("{to} is part of {from}")
            }
            Kind::PartOf => format!("{to} has the part {from}"),
        }
    }
}

/// A node that a failure reaches.
#[derive(Debug, Clone, PartialEq)]
pub struct Affected {
    /// Which.
    pub node: NodeId,
    /// How likely, 0 to 1.
    pub confidence: f64,
    /// It lost a part, or rests on something that did; else it is down.
    pub degraded: bool,
    /// The steps from the failed node to this one.
    pub path: Vec<Hop>,
}

/// Everything that a failure reaches, the most likely first. The failed node itself is not listed.
#[derive(Debug, Clone, PartialEq)]
pub struct Impact {
    /// The failed node.
    pub node: NodeId,
    /// What is affected.
    pub affected: Vec<Affected>,
    /// The limits left something out.
    pub cut: bool,
}

/// An impact in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct BlastRadius {
    /// Nodes that are affected.
    pub affected: usize,
    /// Those with a confidence of at least 0.8.
    pub likely: usize,
    /// Those that are degraded and not down.
    pub degraded: usize,
    /// Nodes by distance: index 0 counts those one hop away.
    pub by_hops: Vec<usize>,
    /// Affected nodes as a share of all others, 0 to 1.
    pub share: f64,
    /// The limits left something out.
    pub cut: bool,
}

const LIKELY: f64 = 0.8;

pub(crate) fn confidence(cost: u64) -> f64 {
    (-(cost as f64) / COST_SCALE).exp()
}

impl Graph {
    /// Who is affected if `node` fails.
    pub fn impact(&self, node: NodeId, limits: &Limits) -> Impact {
        let walked = walk(self, node, Toward::Effects, limits);
        let reached = walked.nodes();
        let affected = reached
            .iter()
            .filter(|reach| reach.node != node)
            .map(|reach| Affected {
                node: reach.node,
                confidence: confidence(reach.cost),
                degraded: reach.state == State::Degraded,
                path: walked.path(reach),
            });
        Impact {
            node,
            affected: affected.collect(),
            cut: walked.cut,
        }
    }

    /// How much would be affected if `node` fails.
    pub fn blast_radius(&self, node: NodeId, limits: &Limits) -> BlastRadius {
        let walked = walk(self, node, Toward::Effects, limits);
        let mut radius = BlastRadius {
            affected: 0,
            likely: 0,
            degraded: 0,
            by_hops: Vec::new(),
            share: 0.0,
            cut: walked.cut,
        };
        for reach in walked.nodes().iter().filter(|reach| reach.node != node) {
            radius.affected += 1;
            radius.likely += usize::from(confidence(reach.cost) >= LIKELY);
            radius.degraded += usize::from(reach.state == State::Degraded);
            if radius.by_hops.len() < reach.hops {
                radius.by_hops.resize(reach.hops, 0);
            }
            radius.by_hops[reach.hops - 1] += 1;
        }
        radius.share = radius.affected as f64 / (self.node_count().max(2) - 1) as f64;
        radius
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Graph {
        use Kind::{ConnectsTo, DependsOn, PartOf, RunsOn};
        [
            ("db", RunsOn, "h1"),
            ("app", DependsOn, "db"),
            ("app", RunsOn, "h2"),
            ("report", ConnectsTo, "app"),
            ("sda", PartOf, "h1"),
            ("eth0", PartOf, "h1"),
        ]
        .into_iter()
        .collect()
    }

    fn reached<'a>(graph: &'a Graph, impact: &Impact) -> Vec<&'a str> {
        impact
            .affected
            .iter()
            .map(|affected| graph.name(affected.node))
            .collect()
    }

    #[test]
    fn a_failed_host_takes_down_what_rests_on_it_with_reasons() {
        let graph = graph();
        let impact = graph.impact(graph.node("h1").unwrap(), &Limits::default());
        assert_eq!(reached(&graph, &impact), ["db", "sda", "eth0", "app", "report"]);
        let report = &impact.affected[4];
        let why: Vec<String> = report.path.iter().map(|hop| hop.why(&graph)).collect();
        assert_eq!(
            why,
            ["db runs on h1", "app depends on db", "report connects to app"]
        );
        assert!((report.confidence - 0.99 * 0.9 * 0.6).abs() < 1e-4 && !report.degraded);
        let sda = impact
            .affected
            .iter()
            .find(|affected| graph.name(affected.node) == "sda")
            .unwrap();
        assert_eq!(sda.path[0].why(&graph), "sda is part of h1");
    }

    #[test]
    fn a_failed_part_degrades_the_whole_and_spares_its_siblings() {
        let graph = graph();
        let impact = graph.impact(graph.node("sda").unwrap(), &Limits::default());
        assert_eq!(reached(&graph, &impact), ["h1", "db", "app", "report"]);
        assert!(impact.affected.iter().all(|affected| affected.degraded));
        assert_eq!(impact.affected[0].path[0].why(&graph), "h1 has the part sda");
    }

    #[test]
    fn the_radius_counts_by_distance_and_respects_limits() {
        let graph = graph();
        let h1 = graph.node("h1").unwrap();
        let radius = graph.blast_radius(h1, &Limits::default());
        assert_eq!((radius.affected, radius.likely, radius.degraded), (5, 4, 0));
        assert_eq!(radius.by_hops, [3, 1, 1]);
        assert!((radius.share - 5.0 / 6.0).abs() < 1e-9 && !radius.cut);
        let near = graph.blast_radius(
            h1,
            &Limits {
                max_hops: 1,
                ..Limits::default()
            },
        );
        assert!(near.affected == 3 && near.cut);
        let few = graph.blast_radius(
            h1,
            &Limits {
                max_nodes: 2,
                ..Limits::default()
            },
        );
        assert!(few.affected == 1 && few.cut);
    }
}
