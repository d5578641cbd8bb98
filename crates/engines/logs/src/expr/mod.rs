//! The text language of log search: its tree, its evaluation on a line, and what it tells about whole blocks.
//!
//! | written | matches |
//! |---|---|
//! | `disk full` | lines that hold both words anywhere, also within a longer word, in any case |
//! | `"disk full"` | lines that hold exactly this text, in any case; `\"` and `\\` are escapes |
//! | `/time(d )?out/` | lines in which the regular expression is found; `(?i)` for any case, `\/` for a slash |
//! | `unit:ssh*` | lines whose label has this value; `*` stands for any text; case counts |
//! | `unit:"a b"`, `unit:""`, `unit:/^ssh/` | quoted value, absent label, regular expression found in the value |
//! | `severity:err`, `severity:<=warning` | syslog severity by name or number; `<=` is "at least as grave" |
//! | `a AND b`, `a OR b`, `NOT a`, `( … )` | upper case only; side by side is AND; NOT binds first, OR last |
//! | `*` | every line |
//!
//! A word that begins with `/` and has no closing slash before a blank or the end is a plain word, so a path
//! can be pasted. `name:value` is a label term only when the part before the colon is a label name and the
//! value does not begin with `//` or `:`; write `"10:30"` or `"a:b"` for plain text.

mod lex;
mod literals;
mod parse;

use crate::labels::Labels;
use crate::trigram::{Filter, fold_into};
use regex_automata::meta::Regex;
use std::fmt;
use std::sync::Arc;

pub(crate) use parse::compile_regex;

/// Why a query text was refused, and where: `at` counts characters from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at character {})", at + 1)]
pub struct ParseError {
    /// Character offset into the query text.
    pub at: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// A parsed query text.
#[derive(Clone)]
pub struct TextQuery {
    source: String,
    pub(crate) node: Node,
}

impl TextQuery {
    /// Parses the language described at the top of this module. An empty text matches every line.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(TextQuery {
            source: text.to_string(),
            node: parse::parse(text)?,
        })
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl Default for TextQuery {
    fn default() -> Self {
        TextQuery {
            source: String::new(),
            node: Node::All,
        }
    }
}

impl fmt::Debug for TextQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextQuery({:?})", self.source)
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    All,
    /// Folded text that the folded line must hold.
    Contains(Arc<str>),
    Regex(Arc<Pattern>),
    Label {
        name: Arc<str>,
        test: ValueTest,
    },
    /// Severities that match, by number.
    Severity([bool; 8]),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
}

#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// Folded texts that every match holds.
    required: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum ValueTest {
    Equals(Arc<str>),
    /// Fixed parts between `*`.
    Glob(Arc<[String]>),
    Regex(Arc<Pattern>),
}

impl ValueTest {
    fn matches(&self, value: &str) -> bool {
        match self {
            ValueTest::Equals(wanted) => &**wanted == value,
            ValueTest::Glob(parts) => glob_matches(parts, value),
            ValueTest::Regex(pattern) => pattern.regex.is_match(value),
        }
    }
}

fn glob_matches(parts: &[String], value: &str) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.iter().all(|only| only == value);
    };
    let Some(rest) = value.strip_prefix(first.as_str()) else {
        return false;
    };
    let Some(mut rest) = rest.strip_suffix(last.as_str()) else {
        return false;
    };
    for part in middle {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// What a query says about a stream before any of its lines is read.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    Never,
    Always,
    /// What remains to be asked of each line: no label terms are left in it.
    Test(Node),
}

/// A line under test; folds its text at most once.
pub(crate) struct Line<'a> {
    pub text: &'a str,
    pub severity: u8,
    folded: bool,
    scratch: &'a mut String,
}

impl<'a> Line<'a> {
    pub(crate) fn new(text: &'a str, severity: u8, scratch: &'a mut String) -> Self {
        Line {
            text,
            severity,
            folded: false,
            scratch,
        }
    }

    fn folded(&mut self) -> &str {
        if !self.folded {
            fold_into(self.text, self.scratch);
            self.folded = true;
        }
        self.scratch
    }
}

impl Node {
    /// Answers the label terms for one stream.
    pub(crate) fn bind(&self, labels: &Labels) -> Verdict {
        match self {
            Node::All => Verdict::Always,
            Node::Label { name, test } if test.matches(labels.get(name)) => Verdict::Always,
            Node::Label { .. } => Verdict::Never,
            Node::Contains(_) | Node::Regex(_) | Node::Severity(_) => Verdict::Test(self.clone()),
            Node::And(parts) => {
                let mut rest = Vec::new();
                for part in parts {
                    match part.bind(labels) {
                        Verdict::Never => return Verdict::Never,
                        Verdict::Always => {}
                        Verdict::Test(node) => rest.push(node),
                    }
                }
                joined(rest, Verdict::Always, Node::And)
            }
            Node::Or(parts) => {
                let mut rest = Vec::new();
                for part in parts {
                    match part.bind(labels) {
                        Verdict::Always => return Verdict::Always,
                        Verdict::Never => {}
                        Verdict::Test(node) => rest.push(node),
                    }
                }
                joined(rest, Verdict::Never, Node::Or)
            }
            Node::Not(inner) => match inner.bind(labels) {
                Verdict::Never => Verdict::Always,
                Verdict::Always => Verdict::Never,
                Verdict::Test(node) => Verdict::Test(Node::Not(Box::new(node))),
            },
        }
    }

    /// Asks one line of a stream to which this node was bound.
    pub(crate) fn matches(&self, line: &mut Line<'_>) -> bool {
        match self {
            Node::All => true,
            Node::Contains(folded) => line.folded().contains(&**folded),
            Node::Regex(pattern) => pattern.regex.is_match(line.text),
            Node::Severity(wanted) => wanted.get(usize::from(line.severity)).copied().unwrap_or(false),
            Node::And(parts) => parts.iter().all(|part| part.matches(line)),
            Node::Or(parts) => parts.iter().any(|part| part.matches(line)),
            Node::Not(inner) => !inner.matches(line),
            // Invariant: `bind` leaves no label terms behind.
            Node::Label { .. } => false,
        }
    }

    /// False only when no line of a block with this filter (if it was read yet) and these severities can match.
    pub(crate) fn may_match(&self, filter: Option<&Filter>, severities: u16) -> bool {
        let may_contain = |folded: &str| filter.is_none_or(|filter| filter.may_contain(folded));
        match self {
            Node::Contains(folded) => may_contain(folded),
            Node::Regex(pattern) => pattern.required.iter().all(|text| may_contain(text)),
            Node::Severity(wanted) => (0..8).any(|number| wanted[number] && severities >> number & 1 == 1),
            Node::And(parts) => parts.iter().all(|part| part.may_match(filter, severities)),
            Node::Or(parts) => parts.iter().any(|part| part.may_match(filter, severities)),
            Node::All | Node::Label { .. } | Node::Not(_) => true,
        }
    }

    /// True when the text of a line has a say.
    pub(crate) fn reads_text(&self) -> bool {
        match self {
            Node::Contains(_) | Node::Regex(_) => true,
            Node::And(parts) | Node::Or(parts) => parts.iter().any(Node::reads_text),
            Node::Not(inner) => inner.reads_text(),
            Node::All | Node::Label { .. } | Node::Severity(_) => false,
        }
    }
}

fn joined(mut rest: Vec<Node>, empty: Verdict, join: fn(Vec<Node>) -> Node) -> Verdict {
    match rest.len() {
        0 => empty,
        1 => rest.pop().map_or(empty, Verdict::Test),
        _ => Verdict::Test(join(rest)),
    }
}

#[cfg(test)]
mod tests;
