//! What can be asked, and the shape of the answers.
use crate::error::{Error, Result};
use crate::expr::{TextQuery, Verdict, compile_regex};
use crate::labels::Labels;
use crate::record::{Found, Position};
use crate::within::Within;
use regex_automata::meta::Regex;
use std::time::Instant;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchOp {
    /// Equal.
    Eq,
    /// Not equal.
    Neq,
    /// The whole value matches the regular expression.
    Re,
    /// The whole value does not match the regular expression.
    NotRe,
}

/// A condition on one label. An absent label has the empty value.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// Refuses a regular expression that is not valid.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Eq | MatchOp::Neq => None,
            MatchOp::Re | MatchOp::NotRe => {
                let anchored = compile_regex(&value).and_then(|_| compile_regex(&format!("^(?s:{value})$")));
                Some(
                    anchored
                        .map_err(|message| Error::BadQuery(format!("matcher on label {name}: {message}")))?,
                )
            }
        };
        Ok(Matcher {
            name,
            op,
            value,
            regex,
        })
    }

    /// The label it looks at.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name);
        let hit = self
            .regex
            .as_ref()
            .map_or_else(|| value == self.value, |regex| regex.is_match(value));
        hit == matches!(self.op, MatchOp::Eq | MatchOp::Re)
    }
}

/// Which lines: by label and by text.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// All of these must hold.
    pub matchers: Vec<Matcher>,
    /// And this too.
    pub text: TextQuery,
    /// And, where there is one, this.
    pub within: Option<Within>,
}

impl Selection {
    /// Lines that a query text selects.
    pub fn text(text: TextQuery) -> Self {
        Selection {
            text,
            ..Selection::default()
        }
    }

    pub(crate) fn bind(&self, labels: &Labels) -> Verdict {
        let is_within = self
            .within
            .as_ref()
            .is_none_or(|within| within.spans(labels).is_some());
        if is_within && self.matchers.iter().all(|matcher| matcher.matches(labels)) {
            self.text.node.bind(labels)
        } else {
            Verdict::Never
        }
    }
}

/// In which order lines are returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// The newest first.
    #[default]
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// A question for lines.
#[derive(Debug, Clone)]
pub struct Query {
    /// Which lines.
    pub selection: Selection,
    /// From this time on, milliseconds since the epoch.
    pub from_ms: i64,
    /// Before this time.
    pub to_ms: i64,
    /// At most so many lines in one page; 1 to [`Query::MAX_LIMIT`].
    pub limit: usize,
    /// The order.
    pub direction: Direction,
    /// Continue after this position, from [`Page::next`].
    pub after: Option<Position>,
    /// When to stop and return what was found so far. Blocks at the edge where the page starts are always read,
    /// so that every page gets further.
    pub deadline: Option<Instant>,
}

impl Query {
    /// Largest page.
    pub const MAX_LIMIT: usize = 100_000;
    /// Bytes of lines and labels in one page; a page that would hold more ends earlier and has a next one.
    pub const MAX_BYTES: usize = 16 << 20;

    /// Every line in a span of time, newest first, 100 to a page.
    pub fn new(from_ms: i64, to_ms: i64) -> Self {
        Query {
            selection: Selection::default(),
            from_ms,
            to_ms,
            limit: 100,
            direction: Direction::NewestFirst,
            after: None,
            deadline: None,
        }
    }

    /// The lowest position that counts, and the first one above all that count.
    pub(crate) fn bounds(&self) -> (Position, Position) {
        let (low, high) = (Position::new(self.from_ms, 0), Position::new(self.to_ms, 0));
        match (self.direction, self.after) {
            (_, None) => (low, high),
            (Direction::NewestFirst, Some(after)) => (low, high.min(after)),
            (Direction::OldestFirst, Some(after)) => (low.max(after.successor()), high),
        }
    }
}

/// A page of lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The lines in the order asked for.
    pub records: Vec<Found>,
    /// Where the next page starts; None after the last line.
    pub next: Option<Position>,
    /// False when the deadline cut the search short: `next` goes on from there, even if `records` is empty.
    pub complete: bool,
    /// Blocks that could not be read because the disk damaged them.
    pub damaged_blocks: u64,
    /// What is missing because of them, and why.
    pub warnings: Vec<String>,
    /// Lines that were looked at.
    pub scanned_records: u64,
    /// Blocks that were unpacked.
    pub read_blocks: u64,
    /// Blocks that time, stream or text filter ruled out.
    pub skipped_blocks: u64,
}

/// How many lines fell into a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Start, a multiple of the step; its end is the start of the next.
    pub start_ms: i64,
    /// By syslog severity 0 to 7; index 8 counts lines without one.
    pub by_severity: [u64; 9],
}

impl Bucket {
    /// Lines of every severity.
    pub fn total(&self) -> u64 {
        self.by_severity.iter().sum()
    }
}

/// Counts over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// Every bucket from the start to the end, empty ones too, oldest first.
    pub buckets: Vec<Bucket>,
    /// False when the deadline cut the count short.
    pub complete: bool,
    /// Blocks that could not be read.
    pub damaged_blocks: u64,
    /// What is missing because of them, and why.
    pub warnings: Vec<String>,
}

impl Histogram {
    /// Most buckets in one answer.
    pub const MAX_BUCKETS: i64 = 11_000;
}
