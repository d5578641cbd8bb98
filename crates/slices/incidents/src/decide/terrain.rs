//! The inventory graph as grouping sees it: what carries a thing, and what it needs.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::model::{Hop, How};

/// Longest way from a symptom to its cause.
const MAX_HOPS: usize = 4;
/// Most things that one walk reaches.
const MAX_REACHED: usize = 4_000;

/// A way through the graph from one place to another.
pub type Path = Vec<Hop>;

#[derive(Debug, Default)]
pub struct Terrain {
    up: HashMap<String, Vec<(How, String)>>,
    down: HashMap<String, Vec<(How, String)>>,
}

impl Terrain {
    /// From (thing, how, what it is on or needs).
    pub fn new(edges: impl IntoIterator<Item = (String, How, String)>) -> Self {
        let mut terrain = Self::default();
        for (from, how, to) in edges {
            terrain
                .down
                .entry(to.clone())
                .or_default()
                .push((how, from.clone()));
            terrain.up.entry(from).or_default().push((how, to));
        }
        // The same answers whatever order the edges came in.
        for list in terrain.up.values_mut().chain(terrain.down.values_mut()) {
            list.sort_by(|a, b| (a.0 as u8, &a.1).cmp(&(b.0 as u8, &b.1)));
            list.dedup();
        }
        terrain
    }

    /// What carries the place at the very bottom: the host. A place that nothing carries is its own.
    pub fn host<'a>(&'a self, place: &'a str) -> &'a str {
        let mut here = place;
        let mut seen = HashSet::new();
        while seen.insert(here) {
            match self.carrier(here) {
                Some(next) => here = next,
                None => break,
            }
        }
        here
    }

    /// Is `place` on `host`, or `host` itself?
    pub fn is_on(&self, place: &str, host: &str) -> bool {
        let mut here = place;
        let mut seen = HashSet::new();
        while seen.insert(here) {
            if here == host {
                return true;
            }
            match self.carrier(here) {
                Some(next) => here = next,
                None => break,
            }
        }
        false
    }

    fn carrier(&self, place: &str) -> Option<&str> {
        let (_, next) = self.up.get(place)?.iter().find(|(how, _)| *how == How::On)?;
        Some(next)
    }

    /// Everything that carries `place` or that it needs, near ones first, with the way from `place` to it.
    pub fn climb(&self, place: &str) -> HashMap<String, Path> {
        walk(place, &self.up, |from, how, to| Hop {
            from: from.to_owned(),
            how,
            to: to.to_owned(),
        })
    }

    /// Everything that is on `place` or needs it, with the way from there to `place`.
    pub fn descend(&self, place: &str) -> HashMap<String, Path> {
        let mut reached = walk(place, &self.down, |from, how, to| Hop {
            from: to.to_owned(),
            how,
            to: from.to_owned(),
        });
        for path in reached.values_mut() {
            path.reverse();
        }
        reached
    }

    /// Does something that is not on `host` need `host` or a thing on it?
    pub fn is_needed_from_outside(&self, host: &str) -> bool {
        let mut queue = vec![host];
        let mut seen = HashSet::from([host]);
        while let Some(here) = queue.pop() {
            for (how, next) in self.down.get(here).into_iter().flatten() {
                if *how == How::DependsOn && !self.is_on(next, host) {
                    return true;
                }
                if *how == How::On && seen.insert(next) {
                    queue.push(next);
                }
            }
        }
        false
    }
}

fn walk(
    start: &str,
    edges: &HashMap<String, Vec<(How, String)>>,
    hop: impl Fn(&str, How, &str) -> Hop,
) -> HashMap<String, Path> {
    let mut reached: HashMap<String, Path> = HashMap::new();
    let mut queue = VecDeque::from([(start.to_owned(), Path::new())]);
    while let Some((here, path)) = queue.pop_front() {
        if path.len() >= MAX_HOPS || reached.len() >= MAX_REACHED {
            continue;
        }
        for (how, next) in edges.get(&here).into_iter().flatten() {
            if next == start || reached.contains_key(next) {
                continue;
            }
            let mut path = path.clone();
            path.push(hop(&here, *how, next));
            reached.insert(next.clone(), path.clone());
            queue.push_back((next.clone(), path));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, how: How, to: &str) -> (String, How, String) {
        (from.into(), how, to.into())
    }

    fn shop() -> Terrain {
        Terrain::new([
            edge("api", How::On, "web-1"),
            edge("db", How::On, "db-1"),
            edge("api", How::DependsOn, "db"),
            edge("sda", How::On, "db-1"),
        ])
    }

    #[test]
    fn hosts_and_ways() {
        let terrain = shop();
        assert_eq!(terrain.host("api"), "web-1");
        assert_eq!(terrain.host("instance:x"), "instance:x");
        assert!(terrain.is_on("sda", "db-1") && terrain.is_on("db-1", "db-1"));
        assert!(!terrain.is_on("api", "db-1"));
        let way = &terrain.climb("api")["db-1"];
        let names: Vec<_> = way.iter().map(|h| (h.from.as_str(), h.to.as_str())).collect();
        assert_eq!(names, [("api", "db"), ("db", "db-1")]);
        assert_eq!(&terrain.descend("db-1")["api"], way);
        assert!(terrain.is_needed_from_outside("db-1"));
        assert!(!terrain.is_needed_from_outside("web-1"));
    }

    #[test]
    fn circles_end() {
        let terrain = Terrain::new([
            edge("a", How::On, "b"),
            edge("b", How::On, "a"),
            edge("b", How::DependsOn, "a"),
        ]);
        terrain.host("a");
        assert!(terrain.is_on("a", "b"));
        assert_eq!(terrain.climb("a").len(), 1);
    }
}
