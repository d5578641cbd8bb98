//! Label matchers with Prometheus' meaning: a missing label equals an empty value, and regular
//! expressions are RE2, anchored at both ends, with `.` matching a newline.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use regex_automata::meta::Regex;
use regex_automata::util::syntax;

use crate::error::{Error, Result};
use crate::labels::{Labels, METRIC_NAME};
use crate::re2;

/// The four comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Eq,
    /// `!=`
    Neq,
    /// `=~`
    Re,
    /// `!~`
    Nre,
}

/// A condition on one label.
#[derive(Clone)]
pub struct Matcher {
    op: MatchOp,
    name: String,
    value: String,
    test: Test,
}

#[derive(Clone)]
enum Test {
    /// The value is one of these.
    OneOf(Vec<String>),
    /// The value is in this set.
    Among(Arc<HashSet<String>>),
    Regex(Box<Regex>),
    /// `.*`
    Anything,
    /// `.+`
    NotEmpty,
}

/// A compiled expression may take this much memory.
const REGEX_BYTES: usize = 10 << 20;

impl Matcher {
    /// A matcher; fails when a regular expression cannot be compiled.
    pub fn new(op: MatchOp, name: &str, value: &str) -> Result<Self> {
        let test = match op {
            MatchOp::Eq | MatchOp::Neq => Test::OneOf(vec![value.to_owned()]),
            MatchOp::Re | MatchOp::Nre => compile(value).map_err(|what| Error::BadRegex {
                label: name.to_owned(),
                pattern: value.to_owned(),
                what,
            })?,
        };
        Ok(Matcher {
            op,
            name: name.to_owned(),
            value: value.to_owned(),
            test,
        })
    }

    /// `name="value"`
    pub fn eq(name: &str, value: &str) -> Self {
        let test = Test::OneOf(vec![value.to_owned()]);
        Matcher {
            op: MatchOp::Eq,
            name: name.to_owned(),
            value: value.to_owned(),
            test,
        }
    }

    /// `name!="value"`
    pub fn neq(name: &str, value: &str) -> Self {
        Matcher {
            op: MatchOp::Neq,
            ..Self::eq(name, value)
        }
    }

    /// One of many values, without an expression that grows with them. Cheap to clone.
    pub fn among(name: &str, values: Arc<HashSet<String>>) -> Self {
        Matcher {
            op: MatchOp::Re,
            name: name.to_owned(),
            value: format!("one of {}", values.len()),
            test: Test::Among(values),
        }
    }

    /// `__name__="metric"`
    pub fn metric(metric: &str) -> Self {
        Self::eq(METRIC_NAME, metric)
    }

    /// The comparison.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is compared with.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label of this value passes; an absent label has the empty value.
    pub fn matches(&self, value: &str) -> bool {
        self.selects(value) != self.is_negative()
    }

    /// Whether all `matchers` pass for `labels`.
    pub fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
        matchers.iter().all(|m| m.matches(labels.value(&m.name)))
    }

    /// The test without the negation.
    pub(crate) fn selects(&self, value: &str) -> bool {
        match &self.test {
            Test::OneOf(values) => values.iter().any(|v| v == value),
            Test::Among(values) => values.contains(value),
            Test::Regex(regex) => regex.is_match(value),
            Test::Anything => true,
            Test::NotEmpty => !value.is_empty(),
        }
    }

    pub(crate) fn is_negative(&self) -> bool {
        matches!(self.op, MatchOp::Neq | MatchOp::Nre)
    }

    /// The values that [`Matcher::selects`] accepts, when they can be listed.
    pub(crate) fn listed(&self) -> Option<&[String]> {
        match &self.test {
            Test::OneOf(values) => Some(values),
            _ => None,
        }
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Eq => "=",
            MatchOp::Neq => "!=",
            MatchOp::Re => "=~",
            MatchOp::Nre => "!~",
        };
        write!(f, "{}{op}{:?}", self.name, self.value)
    }
}

fn compile(pattern: &str) -> std::result::Result<Test, String> {
    match pattern {
        ".*" => return Ok(Test::Anything),
        ".+" => return Ok(Test::NotEmpty),
        _ => {}
    }
    if let Some(values) = re2::literal_alternatives(pattern) {
        return Ok(Test::OneOf(values));
    }
    let translated = re2::translate(pattern)?;
    let config = Regex::config()
        .nfa_size_limit(Some(REGEX_BYTES))
        .hybrid_cache_capacity(1 << 20);
    Regex::builder()
        .configure(config)
        .syntax(syntax::Config::new().dot_matches_new_line(true))
        .build(&format!(r"\A(?:{translated})\z"))
        .map(|regex| Test::Regex(Box::new(regex)))
        .map_err(|e| {
            std::error::Error::source(&e).map_or_else(|| e.to_string(), |s| last_line(&s.to_string()))
        })
}

/// The syntax error proper, below the picture of the (translated) pattern.
fn last_line(text: &str) -> String {
    text.lines()
        .last()
        .unwrap_or(text)
        .trim_start_matches("error: ")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_value_is_the_missing_label() {
        let l = Labels::from_pairs([("a", "1")]);
        let new = |op, v| Matcher::new(op, "b", v).unwrap();
        assert!(Matcher::all_match(
            &[
                Matcher::eq("b", ""),
                Matcher::neq("b", "x"),
                Matcher::neq("a", "")
            ],
            &l
        ));
        assert!(new(MatchOp::Re, ".*").matches(""));
        assert!(!new(MatchOp::Re, ".+").matches(""));
        assert!(new(MatchOp::Nre, ".+").matches(""));
        assert!(new(MatchOp::Re, "x|").matches(""));
        assert!(!new(MatchOp::Nre, "x|").matches(""));
    }

    #[test]
    fn a_set_matches_its_values() {
        let set = Arc::new((0..10_000).map(|n| format!("web-{n}")).collect::<HashSet<_>>());
        let matcher = Matcher::among("instance", set);
        assert!(matcher.matches("web-9999") && !matcher.matches("web-10000") && !matcher.matches(""));
        assert!(!Matcher::among("instance", Arc::default()).matches(""));
    }

    #[test]
    fn errors_name_label_and_pattern() {
        let text = Matcher::new(MatchOp::Re, "job", "a(").unwrap_err().to_string();
        assert!(
            text.contains("job") && text.contains("a(") && text.contains("unclosed group"),
            "{text}"
        );
    }
}
