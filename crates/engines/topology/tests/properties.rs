//! What holds for every graph: agreement with a naive walk, of forwards with backwards, and with larger graphs.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use topology::{Graph, Kind, Limits, NodeId, Symptoms};

type Edge = (u8, usize, u8);

fn edges() -> impl Strategy<Value = Vec<Edge>> {
    proptest::collection::vec((0u8..9, 0usize..4, 0u8..9), 0..24)
}

fn build(edges: &[Edge]) -> Graph {
    let mut graph = Graph::new();
    (0u8..9).for_each(|node| {
        graph.add_node(&node.to_string());
    });
    for (from, kind, to) in edges {
        graph.add_edge(&from.to_string(), Kind::ALL[*kind], &to.to_string());
    }
    graph
}

/// Which nodes a failure reaches, by repeating the rules until nothing changes: node, and whether it failed.
fn naive_reach(edges: &[Edge], start: u8) -> BTreeSet<u8> {
    let mut states = BTreeSet::from([(start, true)]);
    loop {
        let mut next = states.clone();
        for (from, kind, to) in edges {
            let part = Kind::ALL[*kind] == Kind::PartOf;
            for failed in [true, false] {
                if states.contains(&(*to, failed)) && (failed || !part) {
                    next.insert((*from, failed));
                }
                if part && states.contains(&(*from, failed)) {
                    next.insert((*to, false));
                }
            }
        }
        if next == states {
            return states
                .into_iter()
                .map(|(node, _)| node)
                .filter(|node| *node != start)
                .collect();
        }
        states = next;
    }
}

fn number(graph: &Graph, node: NodeId) -> u8 {
    graph.name(node).parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_impact_reaches_what_the_rules_say(edges in edges(), start in 0u8..9) {
        let graph = build(&edges);
        let impact = graph.impact(graph.node(&start.to_string()).unwrap(), &Limits::default());
        let reached: BTreeSet<u8> = impact.affected.iter().map(|one| number(&graph, one.node)).collect();
        prop_assert_eq!(reached.len(), impact.affected.len());
        prop_assert_eq!(reached, naive_reach(&edges, start));
        prop_assert!(!impact.cut);
        for affected in &impact.affected {
            prop_assert_eq!(affected.path.first().map(|hop| hop.from), Some(impact.node));
            prop_assert_eq!(affected.path.last().map(|hop| hop.to), Some(affected.node));
            prop_assert!(affected.path.windows(2).all(|pair| pair[0].to == pair[1].from));
            prop_assert!(affected.confidence > 0.0 && affected.confidence < 1.0);
            for hop in &affected.path {
                let along = graph.outgoing(hop.to).contains(&(hop.kind, hop.from));
                let against = hop.kind == Kind::PartOf && graph.outgoing(hop.from).contains(&(hop.kind, hop.to));
                prop_assert!(along || against);
            }
        }
        let radius = graph.blast_radius(impact.node, &Limits::default());
        prop_assert_eq!(radius.affected, impact.affected.len());
        prop_assert_eq!(radius.by_hops.iter().sum::<usize>(), radius.affected);
    }

    #[test]
    fn backwards_agrees_with_forwards(edges in edges(), symptom in 0u8..9) {
        let graph = build(&edges);
        let symptom = graph.node(&symptom.to_string()).unwrap();
        let ranked = graph.common_cause(Symptoms { failing: &[symptom], healthy: &[] }, &Limits::default(), 99);
        let backwards: BTreeMap<NodeId, f64> = ranked.iter().map(|one| (one.node, one.score)).collect();
        for cause in graph.nodes() {
            let impact = graph.impact(cause, &Limits::default());
            let forwards = impact.affected.iter().find(|one| one.node == symptom).map(|one| one.confidence);
            let expected = if cause == symptom { Some(1.0) } else { forwards };
            prop_assert_eq!(backwards.get(&cause).copied(), expected);
        }
    }

    #[test]
    fn a_cause_accounts_for_every_symptom_once(edges in edges(), failing in proptest::collection::btree_set(0u8..9, 1..6), healthy in proptest::collection::btree_set(0u8..9, 0..4)) {
        let graph = build(&edges);
        let ids = |nodes: &BTreeSet<u8>| nodes.iter().map(|node| graph.node(&node.to_string()).unwrap()).collect::<Vec<_>>();
        let (failing, healthy) = (ids(&failing), ids(&healthy));
        let ranked = graph.common_cause(Symptoms { failing: &failing, healthy: &healthy }, &Limits::default(), 99);
        prop_assert!(ranked.is_sorted_by(|left, right| left.score >= right.score));
        prop_assert!(failing.iter().all(|node| ranked.iter().any(|one| one.node == *node)));
        for one in &ranked {
            prop_assert!(one.score > 0.0 && one.score <= 1.0);
            let mut all: Vec<NodeId> = one.explained.iter().map(|explained| explained.node).collect();
            all.extend(&one.unexplained);
            all.sort_unstable();
            prop_assert_eq!(&all, &failing);
            prop_assert!(one.contradicted.iter().all(|(node, _)| healthy.contains(node)));
        }
    }

    #[test]
    fn more_relations_never_shrink_an_impact(edges in edges(), more in edges(), start in 0u8..9) {
        let (small, large) = (build(&edges), build(&[edges, more].concat()));
        let start = small.node(&start.to_string()).unwrap();
        let (before, after) = (small.impact(start, &Limits::default()), large.impact(start, &Limits::default()));
        for affected in &before.affected {
            let same = after.affected.iter().find(|one| one.node == affected.node);
            prop_assert!(same.is_some_and(|one| one.confidence >= affected.confidence));
        }
    }
}
