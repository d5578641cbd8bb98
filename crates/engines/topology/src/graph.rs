//! Nodes by name, interned to small numbers, and the edges between them.
use crate::kind::Kind;
use std::collections::HashMap;

/// A node of one graph; numbers of different graphs do not mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A directed graph with typed edges. Repeated edges count once, edges from a node to itself not at all.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    names: Vec<String>,
    ids: HashMap<String, NodeId>,
    outgoing: Vec<Vec<(Kind, NodeId)>>,
    incoming: Vec<Vec<(Kind, NodeId)>>,
    edges: usize,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// The node of this name, made when it is new.
    pub fn add_node(&mut self, name: &str) -> NodeId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = NodeId(self.names.len() as u32);
        self.names.push(name.to_string());
        self.ids.insert(name.to_string(), id);
        self.outgoing.push(Vec::new());
        self.incoming.push(Vec::new());
        id
    }

    /// Adds "`from` `kind` `to`", and the nodes where they are new.
    pub fn add_edge(&mut self, from: &str, kind: Kind, to: &str) {
        let (from, to) = (self.add_node(from), self.add_node(to));
        self.link(from, kind, to);
    }

    /// Adds an edge between nodes of this graph.
    pub fn link(&mut self, from: NodeId, kind: Kind, to: NodeId) {
        let (known, edge) = (&mut self.outgoing[from.index()], (kind, to));
        if from == to || known.contains(&edge) {
            return;
        }
        known.push(edge);
        self.incoming[to.index()].push((kind, from));
        self.edges += 1;
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.ids.get(name).copied()
    }

    /// The name of a node.
    pub fn name(&self, node: NodeId) -> &str {
        &self.names[node.index()]
    }

    /// All nodes in the order in which they were added.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.names.len() as u32).map(NodeId)
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.names.len()
    }

    /// How many edges there are.
    pub fn edge_count(&self) -> usize {
        self.edges
    }

    /// Edges that start at the node.
    pub fn outgoing(&self, node: NodeId) -> &[(Kind, NodeId)] {
        &self.outgoing[node.index()]
    }

    /// Edges that end at the node, with the nodes where they start.
    pub fn incoming(&self, node: NodeId) -> &[(Kind, NodeId)] {
        &self.incoming[node.index()]
    }
}

impl<A: AsRef<str>, B: AsRef<str>> FromIterator<(A, Kind, B)> for Graph {
    fn from_iter<I: IntoIterator<Item = (A, Kind, B)>>(edges: I) -> Self {
        let mut graph = Graph::new();
        for (from, kind, to) in edges {
            graph.add_edge(from.as_ref(), kind, to.as_ref());
        }
        graph
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_and_edges_are_kept_once() {
        let edges = [
            ("web", Kind::RunsOn, "h1"),
            ("web", Kind::RunsOn, "h1"),
            ("h1", Kind::ConnectsTo, "h1"),
        ];
        let graph: Graph = edges.into_iter().collect();
        assert_eq!((graph.node_count(), graph.edge_count()), (2, 1));
        let (web, h1) = (graph.node("web").unwrap(), graph.node("h1").unwrap());
        assert_eq!(graph.outgoing(web), [(Kind::RunsOn, h1)]);
        assert_eq!(graph.incoming(h1), [(Kind::RunsOn, web)]);
        assert_eq!(graph.name(h1), "h1");
        assert_eq!(graph.node("h2"), None);
    }
}
