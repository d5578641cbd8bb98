//! Builds the tree from the parser's events and enforces the limits.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::{Entry, Error, Node, Scalar, Value};

/// What a text may cost. Aliases count as often as they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_bytes: usize,
    pub max_nodes: usize,
    pub max_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_bytes: 4 << 20,
            max_nodes: 200_000,
            max_depth: 64,
        }
    }
}

/// Reads a text of one document. An empty text is null.
pub fn parse(text: &str) -> Result<Node, Error> {
    let mut documents = parse_with(text, &Limits::default())?;
    match documents.len() {
        0 => Ok(null(1, 1)),
        1 => Ok(documents.remove(0)),
        n => {
            let second = &documents[1];
            Err(second.error(format!(
                "this is one of {n} documents; keep one, or use one file for each"
            )))
        }
    }
}

/// Reads a text of any number of documents.
pub fn parse_many(text: &str) -> Result<Vec<Node>, Error> {
    parse_with(text, &Limits::default())
}

/// Like [`parse_many`], with other limits.
pub fn parse_with(text: &str, limits: &Limits) -> Result<Vec<Node>, Error> {
    if text.len() > limits.max_bytes {
        let message = format!(
            "the text has {} bytes; the limit is {}",
            text.len(),
            limits.max_bytes
        );
        return Err(Error::new(1, 1, message));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut loader = Loader {
        limits,
        nodes: 0,
        stack: Vec::new(),
        anchors: HashMap::new(),
        documents: Vec::new(),
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| {
            let (line, column) = (e.marker().line(), e.marker().col() + 1);
            Error::new(line as u32, column as u32, e.info())
        })?;
        loader.event(event, span)?;
    }
    Ok(loader.documents)
}

fn null(line: u32, column: u32) -> Node {
    Node {
        value: Value::Scalar(Scalar::new(String::new(), true)),
        line,
        column,
    }
}

struct Key {
    text: String,
    line: u32,
    column: u32,
    merge: bool,
}

/// A list or map that is still open.
struct Open {
    node: Node,
    anchor: usize,
    /// The nodes counted before this one.
    before: usize,
    key: Option<Key>,
    seen: HashSet<String>,
    merges: Vec<Node>,
}

struct Loader<'a> {
    limits: &'a Limits,
    nodes: usize,
    stack: Vec<Open>,
    /// Finished anchored nodes with the number of nodes in them. One inside itself is not finished, so not found.
    anchors: HashMap<usize, (Node, usize)>,
    documents: Vec<Node>,
}

impl Loader<'_> {
    fn event(&mut self, event: Event, span: Span) -> Result<(), Error> {
        let (line, column) = (span.start.line() as u32, span.start.col() as u32 + 1);
        match event {
            Event::DocumentStart(_) => {
                self.nodes = 0;
                self.anchors.clear();
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !is_text(tag.as_deref(), line, column)?;
                let scalar = Scalar::new(text.into_owned(), plain);
                self.count(1, line, column)?;
                self.finish(
                    Node {
                        value: Value::Scalar(scalar),
                        line,
                        column,
                    },
                    anchor,
                    1,
                )?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(Value::Seq(Vec::new()), anchor, tag.as_deref(), span)?
            }
            Event::MappingStart(anchor, tag) => {
                self.open(Value::Map(Vec::new()), anchor, tag.as_deref(), span)?
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(id) => {
                let Some((node, size)) = self.anchors.get(&id) else {
                    return Err(Error::new(
                        line,
                        column,
                        "this alias stands inside what it repeats",
                    ));
                };
                let (size, copy) = (
                    *size,
                    Node {
                        line,
                        column,
                        ..node.clone()
                    },
                );
                self.count(size, line, column)?;
                self.finish(copy, 0, size)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize, line: u32, column: u32) -> Result<(), Error> {
        self.nodes += nodes;
        if self.nodes > self.limits.max_nodes {
            let message = format!(
                "more than {} values, those repeated by aliases included",
                self.limits.max_nodes
            );
            return Err(Error::new(line, column, message));
        }
        Ok(())
    }

    fn open(&mut self, value: Value, anchor: usize, tag: Option<&Tag>, span: Span) -> Result<(), Error> {
        let (line, column) = (span.start.line() as u32, span.start.col() as u32 + 1);
        is_text(tag, line, column)?;
        if self.stack.len() >= self.limits.max_depth {
            let message = format!("nested more than {} levels deep", self.limits.max_depth);
            return Err(Error::new(line, column, message));
        }
        let before = self.nodes;
        self.count(1, line, column)?;
        let node = Node { value, line, column };
        self.stack.push(Open {
            node,
            anchor,
            before,
            key: None,
            seen: HashSet::new(),
            merges: Vec::new(),
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some(mut open) = self.stack.pop() else {
            return Ok(());
        };
        if let Value::Map(entries) = &mut open.node.value {
            for from in std::mem::take(&mut open.merges) {
                merge(entries, from, &mut open.seen)?;
            }
        }
        let size = self.nodes - open.before;
        self.finish(open.node, open.anchor, size)
    }

    /// Puts a complete node where it belongs.
    fn finish(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Error> {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.stack.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut open.node.value {
            Value::Seq(items) => items.push(node),
            Value::Map(entries) => match open.key.take() {
                None => open.key = Some(key(&node, &mut open.seen)?),
                Some(key) if key.merge => open.merges.push(node),
                Some(Key {
                    text, line, column, ..
                }) => {
                    entries.push(Entry {
                        key: text,
                        line,
                        column,
                        value: node,
                    });
                }
            },
            Value::Scalar(_) => {}
        }
        Ok(())
    }
}

/// Checks a tag; true for the one that makes any scalar text.
fn is_text(tag: Option<&Tag>, line: u32, column: u32) -> Result<bool, Error> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() => Ok(tag.suffix == "str"),
        Some(tag) if tag.handle == "!" && tag.suffix.is_empty() => Ok(true),
        Some(tag) => {
            let message = format!(
                "the tag {}{} is not known here; remove it",
                tag.handle, tag.suffix
            );
            Err(Error::new(line, column, message))
        }
    }
}

fn key(node: &Node, seen: &mut HashSet<String>) -> Result<Key, Error> {
    let Value::Scalar(scalar) = &node.value else {
        return Err(node.error(format!(
            "{} as a key; keys are single words or quoted texts",
            node.describe()
        )));
    };
    let text = scalar.text().to_owned();
    if !seen.insert(text.clone()) {
        return Err(node.error(format!("the key {text:?} is given twice; remove one")));
    }
    let merge = scalar.is_plain() && text == "<<";
    Ok(Key {
        text,
        line: node.line,
        column: node.column,
        merge,
    })
}

/// `<<` adds the entries of other maps; keys that are there already win.
fn merge(entries: &mut Vec<Entry>, from: Node, seen: &mut HashSet<String>) -> Result<(), Error> {
    match from.value {
        Value::Map(more) => {
            for entry in more {
                if seen.insert(entry.key.clone()) {
                    entries.push(entry);
                }
            }
            Ok(())
        }
        Value::Seq(maps) if maps.iter().all(|m| matches!(m.value, Value::Map(_))) => {
            maps.into_iter().try_for_each(|m| merge(entries, m, seen))
        }
        _ => Err(from.error(format!(
            "<< needs a map or a list of maps, this is {}",
            from.describe()
        ))),
    }
}
