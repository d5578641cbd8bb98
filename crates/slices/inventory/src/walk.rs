//! What is affected when an item fails, with the path to each. The rules of how failures spread are topology's.
//!
//! Flow: the part of the graph that a failure can reach is read from the database, nearest first; topology walks it.

use std::collections::{HashMap, VecDeque};

use kernel::DbError;
use sqlx::AnyConnection;
use topology::{Graph, Hop, Kind, Limits};

use crate::model::{Item, ItemId, RelationKind};
use crate::store;

/// Most items that one walk reads.
const MOST: usize = 5000;

/// One arrow on the way from the failing thing to an affected one, in the relation's own direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub from: ItemId,
    pub kind: RelationKind,
    pub to: ItemId,
}

#[derive(Clone, Debug)]
pub struct Affected {
    pub item: Item,
    /// Number of arrows.
    pub distance: usize,
    /// How likely, 0 to 1.
    pub confidence: f64,
    /// It lost a part, or rests on something that did; else it is down.
    pub is_degraded: bool,
    /// From the failing thing outwards.
    pub path: Vec<Step>,
}

/// Active items that fail or suffer with `start`, nearest first; not `start` itself.
pub async fn impact(conn: &mut AnyConnection, start: &ItemId) -> Result<Vec<Affected>, DbError> {
    let (graph, mut items) = reachable(conn, start).await?;
    let Some(node) = graph.node(start.as_str()) else {
        return Ok(Vec::new());
    };
    let mut found: Vec<Affected> = graph
        .impact(node, &Limits::default())
        .affected
        .into_iter()
        .filter_map(|hit| {
            let item = items.remove(graph.name(hit.node))?;
            let path: Vec<Step> = hit.path.iter().filter_map(|hop| step(&graph, hop)).collect();
            Some(Affected {
                item,
                distance: path.len(),
                confidence: hit.confidence,
                is_degraded: hit.degraded,
                path,
            })
        })
        .collect();
    // Within a distance the order of topology stands: the most likely first.
    found.sort_by_key(|hit| hit.distance);
    Ok(found)
}

/// The graph of all active items, whose nodes are named by item id.
pub async fn graph(conn: &mut AnyConnection) -> Result<Graph, DbError> {
    let mut graph = Graph::new();
    for relation in store::all_relations(conn).await? {
        graph.add_edge(
            relation.from.as_str(),
            kind_of(relation.kind),
            relation.to.as_str(),
        );
    }
    Ok(graph)
}

/// Everything that a failure of `start` may reach, whatever the rules make of it.
async fn reachable(
    conn: &mut AnyConnection,
    start: &ItemId,
) -> Result<(Graph, HashMap<String, Item>), DbError> {
    let mut graph = Graph::new();
    graph.add_node(start.as_str());
    let mut items: HashMap<String, Item> = HashMap::new();
    let mut queue = VecDeque::from([start.clone()]);
    while let Some(here) = queue.pop_front() {
        for relation in store::relations_of(conn, &here).await? {
            let next = match relation.to == here {
                true => &relation.from,
                false if relation.kind == RelationKind::PartOf => &relation.to,
                false => continue,
            };
            if next != start && !items.contains_key(next.as_str()) {
                let found = store::item(conn, next).await?.filter(Item::is_active);
                let Some(item) = found.filter(|_| items.len() < MOST) else {
                    continue;
                };
                items.insert(next.to_string(), item);
                queue.push_back(next.clone());
            }
            graph.add_edge(
                relation.from.as_str(),
                kind_of(relation.kind),
                relation.to.as_str(),
            );
        }
    }
    Ok((graph, items))
}

fn kind_of(kind: RelationKind) -> Kind {
    match kind {
        RelationKind::RunsOn => Kind::RunsOn,
        RelationKind::DependsOn => Kind::DependsOn,
        RelationKind::ConnectsTo => Kind::ConnectsTo,
        RelationKind::PartOf => Kind::PartOf,
    }
}

fn step(graph: &Graph, hop: &Hop) -> Option<Step> {
    // A relation runs from what suffers to what failed, except where a part takes its whole along.
    let is_backwards = graph.outgoing(hop.to).contains(&(hop.kind, hop.from));
    let (from, to) = match is_backwards {
        true => (hop.to, hop.from),
        false => (hop.from, hop.to),
    };
    Some(Step {
        from: graph.name(from).parse().ok()?,
        kind: RelationKind::parse(hop.kind.as_str())?,
        to: graph.name(to).parse().ok()?,
    })
}
