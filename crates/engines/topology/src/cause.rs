//! Which single failure best explains a set of failing nodes.
//!
//! From every failing node a walk goes backwards to whatever may have caused it. A candidate's score is the
//! share of the symptoms that it explains, each weighed by confidence; it loses what it would wrongly predict
//! for nodes known to be healthy. A deeper node explains more symptoms and so wins by itself; between equals
//! the one that is failing, then the deeper one, comes first.
use crate::graph::{Graph, NodeId};
use crate::impact::{Hop, Limits, confidence};
use crate::walk::{Reach, Toward, Walked, walk};
use std::collections::{BTreeMap, BTreeSet};

/// What is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Symptoms<'a> {
    /// Nodes that fail.
    pub failing: &'a [NodeId],
    /// Nodes that are known to work. Leave out those that nobody watches.
    pub healthy: &'a [NodeId],
}

/// A symptom and how the candidate explains it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The failing node.
    pub node: NodeId,
    /// How likely the candidate's failure reaches it, 0 to 1; the candidate itself counts 1.
    pub confidence: f64,
    /// The steps from the candidate; none when it is the candidate itself.
    pub path: Vec<Hop>,
}

/// A possible root cause with its evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Which node.
    pub node: NodeId,
    /// 0 to 1, higher is better.
    pub score: f64,
    /// It fails itself; else nobody watches it.
    pub is_failing: bool,
    /// Most steps to a symptom.
    pub depth: usize,
    /// The symptoms it explains, the most likely first.
    pub explained: Vec<Explained>,
    /// The symptoms it does not explain.
    pub unexplained: Vec<NodeId>,
    /// Healthy nodes that its failure should have reached, with the confidence of that.
    pub contradicted: Vec<(NodeId, f64)>,
}

/// How much a healthy node that should fail takes from a score, relative to a symptom.
const CONTRADICTION_WEIGHT: f64 = 0.5;

#[derive(Default)]
struct Evidence {
    /// Index of the symptom's walk, and how the candidate reaches it.
    explains: Vec<(usize, Reach)>,
    contradicts: Vec<(NodeId, f64)>,
}

impl Graph {
    /// The `limit` best candidates for the root cause, best first. Nodes known to be healthy are none.
    pub fn common_cause(&self, symptoms: Symptoms<'_>, limits: &Limits, limit: usize) -> Vec<Candidate> {
        let failing: BTreeSet<NodeId> = symptoms.failing.iter().copied().collect();
        let healthy: BTreeSet<NodeId> = symptoms
            .healthy
            .iter()
            .copied()
            .filter(|node| !failing.contains(node))
            .collect();
        let walks: Vec<(NodeId, Walked)> = failing
            .iter()
            .map(|node| (*node, walk(self, *node, Toward::Causes, limits)))
            .collect();
        let mut evidence: BTreeMap<NodeId, Evidence> = BTreeMap::new();
        for (index, (_, walked)) in walks.iter().enumerate() {
            for reach in walked
                .nodes()
                .into_iter()
                .filter(|reach| !healthy.contains(&reach.node))
            {
                evidence
                    .entry(reach.node)
                    .or_default()
                    .explains
                    .push((index, reach));
            }
        }
        for node in &healthy {
            for reach in walk(self, *node, Toward::Causes, limits).nodes() {
                if let Some(candidate) = evidence.get_mut(&reach.node) {
                    candidate.contradicts.push((*node, confidence(reach.cost)));
                }
            }
        }
        // Summed in a fixed order, so that equals get equal scores.
        evidence
            .values_mut()
            .for_each(|found| found.explains.sort_by_key(|(index, reach)| (reach.cost, *index)));
        let mut ranked: Vec<(f64, NodeId, Evidence)> = evidence
            .into_iter()
            .map(|(node, found)| (score(&found, failing.len()), node, found))
            .collect();
        ranked.sort_by(
            |(left_score, left, left_found), (right_score, right, right_found)| {
                let tie = |node: &NodeId, found: &Evidence| (failing.contains(node), depth(found));
                let by_tie = tie(right, right_found).cmp(&tie(left, left_found));
                right_score
                    .total_cmp(left_score)
                    .then(by_tie)
                    .then_with(|| self.name(*left).cmp(self.name(*right)))
            },
        );
        ranked.truncate(limit);
        ranked
            .into_iter()
            .map(|(score, node, found)| candidate(score, node, found, &walks))
            .collect()
    }
}

fn score(found: &Evidence, symptoms: usize) -> f64 {
    let explained: f64 = found
        .explains
        .iter()
        .map(|(_, reach)| confidence(reach.cost))
        .sum();
    let contradicted: f64 = found
        .contradicts
        .iter()
        .map(|(_, confidence)| confidence * CONTRADICTION_WEIGHT)
        .sum();
    explained / (symptoms as f64 + contradicted)
}

fn depth(found: &Evidence) -> usize {
    found
        .explains
        .iter()
        .map(|(_, reach)| reach.hops)
        .max()
        .unwrap_or(0)
}

fn candidate(score: f64, node: NodeId, mut found: Evidence, walks: &[(NodeId, Walked)]) -> Candidate {
    let depth = depth(&found);
    found
        .contradicts
        .sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    let explained: Vec<Explained> = found
        .explains
        .iter()
        .map(|(index, reach)| {
            let (symptom, walked) = &walks[*index];
            Explained {
                node: *symptom,
                confidence: confidence(reach.cost),
                path: walked.path(reach),
            }
        })
        .collect();
    let is_explained = |symptom: NodeId| explained.iter().any(|one| one.node == symptom);
    let unexplained = walks
        .iter()
        .map(|(symptom, _)| *symptom)
        .filter(|symptom| !is_explained(*symptom))
        .collect();
    let is_failing = walks.iter().any(|(symptom, _)| *symptom == node);
    Candidate {
        node,
        score,
        is_failing,
        depth,
        explained,
        unexplained,
        contradicted: found.contradicts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind::{self, ConnectsTo, DependsOn, PartOf, RunsOn};

    fn shop() -> Graph {
        [
            ("web", RunsOn, "h1"),
            ("cache", RunsOn, "h1"),
            ("db", RunsOn, "h2"),
            ("web", DependsOn, "db"),
            ("h1", DependsOn, "switch"),
            ("h2", DependsOn, "switch"),
            ("sda", PartOf, "h2"),
            ("report", ConnectsTo, "db"),
        ]
        .into_iter()
        .collect()
    }

    fn rank(graph: &Graph, failing: &[&str], healthy: &[&str]) -> Vec<Candidate> {
        let ids = |names: &[&str]| {
            names
                .iter()
                .map(|name| graph.node(name).unwrap())
                .collect::<Vec<_>>()
        };
        let (failing, healthy) = (ids(failing), ids(healthy));
        graph.common_cause(
            Symptoms {
                failing: &failing,
                healthy: &healthy,
            },
            &Limits::default(),
            10,
        )
    }

    #[test]
    fn the_deepest_node_that_explains_the_most_comes_first() {
        let graph = shop();
        let cases: [(&[&str], &[&str], &str); 7] = [
            (&["web"], &[], "web"),
            (&["web", "cache", "h1"], &["db"], "h1"),
            (&["web", "cache"], &["db", "report"], "h1"),
            (&["web", "db", "report"], &["cache"], "db"),
            (&["web", "db", "h2"], &["cache"], "h2"),
            (&["web", "cache", "db", "h1", "h2"], &[], "switch"),
            (&["sda", "h2", "db"], &["cache"], "h2"),
        ];
        for (failing, healthy, expected) in cases {
            let ranked = rank(&graph, failing, healthy);
            assert_eq!(graph.name(ranked[0].node), expected, "{failing:?}");
            assert!(ranked.is_sorted_by(|left, right| left.score >= right.score));
        }
    }

    #[test]
    fn a_candidate_shows_its_evidence() {
        let graph = shop();
        let ranked = rank(&graph, &["web", "db", "cache"], &["h2"]);
        let db = ranked.iter().find(|one| graph.name(one.node) == "db").unwrap();
        assert!(db.is_failing && db.depth == 1);
        let names = |nodes: &[NodeId]| {
            nodes
                .iter()
                .map(|node| graph.name(*node).to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names(&db.explained.iter().map(|one| one.node).collect::<Vec<_>>()),
            ["db", "web"]
        );
        assert_eq!(db.explained[1].path[0].why(&graph), "web depends on db");
        assert_eq!(names(&db.unexplained), ["cache"]);
        let switch = ranked
            .iter()
            .find(|one| graph.name(one.node) == "switch")
            .unwrap();
        assert_eq!(
            names(&switch.contradicted.iter().map(|one| one.0).collect::<Vec<_>>()),
            ["h2"]
        );
        assert!(
            ranked.iter().all(|one| graph.name(one.node) != "h2"),
            "what is healthy is no cause"
        );
    }

    #[test]
    fn nothing_failing_has_no_cause_and_cycles_end() {
        assert_eq!(rank(&shop(), &[], &["web"]), []);
        let circle: Graph = [
            ("a", Kind::DependsOn, "b"),
            ("b", Kind::DependsOn, "c"),
            ("c", Kind::DependsOn, "a"),
        ]
        .into_iter()
        .collect();
        let ranked = rank(&circle, &["a", "b", "c"], &[]);
        assert_eq!(ranked.len(), 3);
        assert!(ranked.iter().all(|one| one.unexplained.is_empty()));
        assert_eq!(circle.name(ranked[0].node), "a", "equals come by name");
    }
}
