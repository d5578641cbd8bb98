//! Typed decoding: every reader says what it wanted and what it found, and unknown fields do not pass.

use std::time::Duration;

use crate::{Entry, Error, Node, parse_duration};

impl Node {
    fn want<T>(&self, found: Option<T>, wanted: &str) -> Result<T, Error> {
        found.ok_or_else(|| self.error(format!("expected {wanted}, found {}", self.describe())))
    }

    /// Text; unquoted numbers and booleans are taken as written.
    pub fn string(&self) -> Result<&str, Error> {
        self.want(self.as_str(), "text")
    }

    /// Text that is not empty.
    pub fn word(&self) -> Result<&str, Error> {
        self.want(
            self.as_str().filter(|s| !s.trim().is_empty()),
            "a text that is not empty",
        )
    }

    pub fn integer(&self) -> Result<i64, Error> {
        self.want(self.as_i64(), "a whole number")
    }

    /// A whole number within bounds, both included.
    pub fn integer_in(&self, low: i64, high: i64) -> Result<i64, Error> {
        let n = self.as_i64().filter(|n| (low..=high).contains(n));
        self.want(n, &format!("a whole number from {low} to {high}"))
    }

    pub fn number(&self) -> Result<f64, Error> {
        self.want(self.as_f64(), "a number")
    }

    pub fn boolean(&self) -> Result<bool, Error> {
        self.want(self.as_bool(), "true or false")
    }

    /// A duration such as `30s` or `1h30m`.
    pub fn duration(&self) -> Result<Duration, Error> {
        parse_duration(self.want(self.as_str(), "a duration such as 30s")?).map_err(|m| self.error(m))
    }

    /// One of a set of words.
    pub fn one_of<'a>(&self, words: &[&'a str]) -> Result<&'a str, Error> {
        let text = self.string()?;
        if let Some(word) = words.iter().find(|w| **w == text) {
            return Ok(word);
        }
        let near = closest(text, words.iter().copied());
        let hint = near
            .map(|n| format!(" (did you mean {n:?}?)"))
            .unwrap_or_default();
        Err(self.error(format!("{text:?} is not one of {}{hint}", words.join(", "))))
    }

    pub fn list(&self) -> Result<&[Node], Error> {
        self.want(self.as_seq(), "a list")
    }

    pub fn map(&self) -> Result<&[Entry], Error> {
        self.want(self.as_map(), "a map")
    }

    /// A list of texts, or a single text.
    pub fn strings(&self) -> Result<Vec<String>, Error> {
        match self.as_seq() {
            Some(items) => items.iter().map(|n| n.string().map(str::to_owned)).collect(),
            None => self
                .want(self.as_str(), "a list of texts")
                .map(|s| vec![s.to_owned()]),
        }
    }

    /// A map of texts, in order.
    pub fn string_map(&self) -> Result<Vec<(String, String)>, Error> {
        self.map()?
            .iter()
            .map(|e| Ok((e.key.clone(), e.value.string()?.to_owned())))
            .collect()
    }

    /// Decodes every item of a list.
    pub fn each<T>(&self, read: impl FnMut(&Node) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        self.list()?.iter().map(read).collect()
    }

    /// Starts decoding a map; `what` names it in errors ("a target").
    pub fn fields(&self, what: &str) -> Result<Fields<'_>, Error> {
        let entries = self.want(self.as_map(), &format!("{what} (a map)"))?;
        Ok(Fields {
            node: self,
            entries,
            what: what.to_owned(),
            known: Vec::new(),
        })
    }
}

/// A map in the course of decoding. Ask for every field that exists, then call [`Fields::finish`].
#[derive(Debug)]
pub struct Fields<'a> {
    node: &'a Node,
    entries: &'a [Entry],
    what: String,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The value of a field, whatever it is; null counts as missing.
    pub fn node(&mut self, name: &'static str) -> Option<&'a Node> {
        self.known.push(name);
        self.entries
            .iter()
            .find(|e| e.key == name)
            .map(|e| &e.value)
            .filter(|n| !n.is_null())
    }

    /// An optional field, read by `read` (for example `Node::duration`).
    pub fn get<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a Node) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.node(name).map(|n| within(name, read(n))).transpose()
    }

    /// A field that must be there.
    pub fn need<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a Node) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self.node(name) {
            Some(node) => within(name, read(node)),
            None => Err(self.node.error(format!("{} needs the field {name:?}", self.what))),
        }
    }

    /// Whether the field is written, even if empty.
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|e| e.key == name)
    }

    /// An error at the map.
    pub fn error(&self, message: impl Into<String>) -> Error {
        self.node.error(message)
    }

    /// Refuses the first field that was never asked for.
    pub fn finish(self) -> Result<(), Error> {
        let Some(unknown) = self
            .entries
            .iter()
            .find(|e| !self.known.contains(&e.key.as_str()))
        else {
            return Ok(());
        };
        let hint = match closest(&unknown.key, self.known.iter().copied()) {
            Some(near) => format!(" (did you mean {near:?}?)"),
            None => format!("; {} has the fields {}", self.what, self.known.join(", ")),
        };
        Err(Error::new(
            unknown.line,
            unknown.column,
            format!("unknown field {:?}{hint}", unknown.key),
        ))
    }
}

/// Names the field in errors of its own value, not in those from deeper inside.
fn within<T>(name: &str, result: Result<T, Error>) -> Result<T, Error> {
    result.map_err(|mut e| {
        if e.message.starts_with("expected ") {
            e.message = format!("field {name:?}: {}", e.message);
        }
        e
    })
}

/// The candidate nearest to `word`, if near enough to be what was meant.
fn closest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = word.chars().count() / 3 + 1;
    let near = candidates.map(|c| (distance(word, c), c)).min()?;
    (near.0 <= limit).then_some(near.1)
}

/// Edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
