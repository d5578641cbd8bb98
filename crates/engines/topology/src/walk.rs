//! The walk that all answers rest on: the most likely way in which a failure spreads, forwards or backwards.
//!
//! A node is visited in two states, since a failed whole takes its parts down and a degraded one does not. The
//! walk visits states by rising cost (Dijkstra), so cycles end by themselves.
use crate::graph::{Graph, NodeId};
use crate::impact::{Hop, Limits};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// How a node is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum State {
    Failed,
    /// Reached through the failure of a part.
    Degraded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Toward {
    /// From a cause to what it affects.
    Effects,
    /// From a symptom to what may have caused it.
    Causes,
}

type Visit = (NodeId, State);

#[derive(Debug, Clone, Copy)]
struct Reached {
    cost: u64,
    hops: usize,
    /// The state before and the hop that led here.
    via: Option<(Visit, Hop)>,
}

/// Everything that a walk reached.
#[derive(Debug)]
pub(crate) struct Walked {
    reached: HashMap<Visit, Reached>,
    toward: Toward,
    /// Some nodes were left out because of the limits.
    pub cut: bool,
}

/// A node that was reached, at its lowest cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    pub node: NodeId,
    pub state: State,
    pub cost: u64,
    pub hops: usize,
}

pub(crate) fn walk(graph: &Graph, start: NodeId, toward: Toward, limits: &Limits) -> Walked {
    let mut walked = Walked {
        reached: HashMap::new(),
        toward,
        cut: false,
    };
    let mut queue = BinaryHeap::new();
    let states: &[State] = match toward {
        Toward::Effects => &[State::Failed],
        // A symptom does not tell in which state it is.
        Toward::Causes => &[State::Failed, State::Degraded],
    };
    for state in states {
        walked.reached.insert(
            (start, *state),
            Reached {
                cost: 0,
                hops: 0,
                via: None,
            },
        );
        queue.push(Reverse((0u64, 0usize, start, *state)));
    }
    while let Some(Reverse((cost, hops, node, state))) = queue.pop() {
        let known = walked.reached[&(node, state)];
        if (known.cost, known.hops) != (cost, hops) {
            continue;
        }
        each_step(graph, (node, state), toward, |next, step_cost, hop| {
            let (cost, next_hops) = (cost + step_cost, hops + 1);
            let better = walked
                .reached
                .get(&next)
                .is_none_or(|known| (cost, next_hops) < (known.cost, known.hops));
            if !better {
                return;
            }
            let is_new = !walked.reached.contains_key(&next);
            if next_hops > limits.max_hops || (is_new && walked.reached.len() >= limits.max_nodes) {
                walked.cut = true;
                return;
            }
            walked.reached.insert(
                next,
                Reached {
                    cost,
                    hops: next_hops,
                    via: Some(((node, state), hop)),
                },
            );
            queue.push(Reverse((cost, next_hops, next.0, next.1)));
        });
    }
    walked
}

/// Calls `take` with every state one step away, its cost, and the hop in the direction of the spreading.
fn each_step(graph: &Graph, (node, state): Visit, toward: Toward, mut take: impl FnMut(Visit, u64, Hop)) {
    let is_part = |hop_cost: Option<u64>| hop_cost.is_some();
    match toward {
        Toward::Effects => {
            for (kind, source) in graph.incoming(node) {
                if state == State::Degraded && is_part(kind.cost_to_target()) {
                    continue;
                }
                take(
                    (*source, state),
                    kind.cost_to_source(),
                    Hop {
                        from: node,
                        to: *source,
                        kind: *kind,
                    },
                );
            }
            for (kind, target) in graph.outgoing(node) {
                if let Some(cost) = kind.cost_to_target() {
                    take(
                        (*target, State::Degraded),
                        cost,
                        Hop {
                            from: node,
                            to: *target,
                            kind: *kind,
                        },
                    );
                }
            }
        }
        Toward::Causes => {
            for (kind, target) in graph.outgoing(node) {
                if state == State::Degraded && is_part(kind.cost_to_target()) {
                    continue;
                }
                take(
                    (*target, state),
                    kind.cost_to_source(),
                    Hop {
                        from: *target,
                        to: node,
                        kind: *kind,
                    },
                );
            }
            for (kind, source) in graph.incoming(node) {
                let Some(cost) = kind.cost_to_target().filter(|_| state == State::Degraded) else {
                    continue;
                };
                for before in [State::Failed, State::Degraded] {
                    take(
                        (*source, before),
                        cost,
                        Hop {
                            from: *source,
                            to: node,
                            kind: *kind,
                        },
                    );
                }
            }
        }
    }
}

impl Walked {
    /// Every node that was reached, once, by rising cost. Backwards only those that explain it by failing
    /// themselves.
    pub(crate) fn nodes(&self) -> Vec<Reach> {
        let mut best: HashMap<NodeId, Reach> = HashMap::new();
        for ((node, state), reached) in &self.reached {
            if self.toward == Toward::Causes && *state == State::Degraded {
                continue;
            }
            let reach = Reach {
                node: *node,
                state: *state,
                cost: reached.cost,
                hops: reached.hops,
            };
            let key = |reach: &Reach| (reach.cost, reach.hops, reach.state);
            let kept = best.entry(*node).or_insert(reach);
            if key(&reach) < key(kept) {
                *kept = reach;
            }
        }
        let mut nodes: Vec<Reach> = best.into_values().collect();
        nodes.sort_unstable_by_key(|reach| (reach.cost, reach.hops, reach.node));
        nodes
    }

    /// The hops from the cause to the effect.
    pub(crate) fn path(&self, reach: &Reach) -> Vec<Hop> {
        let mut hops = Vec::with_capacity(reach.hops);
        let mut at = (reach.node, reach.state);
        while let Some((before, hop)) = self.reached.get(&at).and_then(|reached| reached.via) {
            hops.push(hop);
            at = before;
        }
        if self.toward == Toward::Effects {
            hops.reverse();
        }
        hops
    }
}
