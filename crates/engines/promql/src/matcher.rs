//! Label matchers: equality and anchored regular expressions.

use std::fmt;

use crate::regex::Pattern;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

impl MatchOp {
    pub fn as_str(self) -> &'static str {
        match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        }
    }
}

/// A regular expression that matches this text and nothing else.
pub fn quote_regex(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// One condition on a label. A missing label is compared as the empty string.
#[derive(Clone, Debug)]
pub struct Matcher {
    pub op: MatchOp,
    pub name: String,
    pub value: String,
    pattern: Option<Pattern>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && self.name == other.name && self.value == other.value
    }
}

impl Matcher {
    /// Builds a matcher. Fails with a readable text when a regular expression is not valid.
    pub fn new(op: MatchOp, name: impl Into<String>, value: impl Into<String>) -> Result<Matcher, String> {
        let value = value.into();
        let pattern = match op {
            MatchOp::Regex | MatchOp::NotRegex => Some(Pattern::new(&value)?),
            MatchOp::Equal | MatchOp::NotEqual => None,
        };
        Ok(Matcher {
            op,
            name: name.into(),
            value,
            pattern,
        })
    }

    /// `name="value"`.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Matcher {
        Matcher {
            op: MatchOp::Equal,
            name: name.into(),
            value: value.into(),
            pattern: None,
        }
    }

    /// Whether a label value satisfies the condition.
    pub fn matches(&self, value: &str) -> bool {
        let hit = match &self.pattern {
            Some(pattern) => pattern.is_match(value),
            None => self.value == value,
        };
        hit == matches!(self.op, MatchOp::Equal | MatchOp::Regex)
    }

    /// Whether a series without the label satisfies the condition.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// For `=` and for `=~` over plain alternatives (`a|b|c`): every value that can match.
    /// Lets an index look values up instead of testing each one.
    pub fn literal_values(&self) -> Option<Vec<&str>> {
        match self.op {
            MatchOp::Equal => Some(vec![&self.value]),
            MatchOp::Regex => self.pattern.as_ref().and_then(Pattern::literals),
            MatchOp::NotEqual | MatchOp::NotRegex => None,
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = crate::display::label_name(&self.name);
        write!(
            f,
            "{name}{}{}",
            self.op.as_str(),
            crate::display::quoted(&self.value)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_four_operators() {
        let m = |op, v: &str| Matcher::new(op, "l", v).unwrap();
        assert!(m(MatchOp::Equal, "a").matches("a"));
        assert!(m(MatchOp::NotEqual, "a").matches_empty());
        assert!(m(MatchOp::Regex, "a.*|b").matches("b"));
        assert!(!m(MatchOp::Regex, "a").matches("ab"));
        assert!(m(MatchOp::NotRegex, "a+").matches("ab"));
        assert!(m(MatchOp::Regex, ".*").matches_empty());
        assert_eq!(m(MatchOp::Regex, "x|y").literal_values(), Some(vec!["x", "y"]));
        assert_eq!(m(MatchOp::Regex, "x.|y").literal_values(), None);
    }
}
