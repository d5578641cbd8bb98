//! The selector language: `kind=host name=web-* tag:env=prod attr:os_name=Debian*`.
//!
//! Terms are joined by "and". `=` takes a comma list of patterns of which one must match, `!=` none; `*` stands for any text.
//! Fields: `id`, `kind`, `name`, `state`, `team`, `owner`, `source`, `on` (name of the item that it is on), `tag:NAME`,
//! `attr:NAME`. A bare word looks for its text in the name. Values with blanks or commas go in double quotes.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::model::Item;

/// Longest selector that is read.
pub const MAX_LENGTH: usize = 2000;

/// Which items are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    pub terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    pub field: Field,
    /// `!=`
    pub is_negated: bool,
    pub patterns: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    Id,
    Kind,
    Name,
    State,
    Team,
    Owner,
    Source,
    On,
    Tag(String),
    Attribute(String),
    /// A bare word.
    Word,
}

/// What is wrong, and in which column (from 1, in characters).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct SelectorError {
    pub column: usize,
    pub message: String,
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text.len() > MAX_LENGTH {
            return Err(SelectorError {
                column: MAX_LENGTH,
                message: format!("a selector has at most {MAX_LENGTH} characters"),
            });
        }
        let mut scan = Scan {
            chars: text.chars().collect(),
            at: 0,
        };
        let mut terms = Vec::new();
        while scan.skip_blank() {
            terms.push(scan.term()?);
        }
        Ok(Self { terms })
    }
}

struct Scan {
    chars: Vec<char>,
    at: usize,
}

impl Scan {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn skip_blank(&mut self) -> bool {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        self.peek().is_some()
    }

    fn error<T>(&self, at: usize, message: impl fmt::Display) -> Result<T, SelectorError> {
        Err(SelectorError {
            column: at + 1,
            message: message.to_string(),
        })
    }

    fn term(&mut self) -> Result<Term, SelectorError> {
        let start = self.at;
        if self.peek() == Some('"') {
            return Ok(word(self.quoted()?));
        }
        while self
            .peek()
            .is_some_and(|c| !c.is_whitespace() && !matches!(c, '=' | '!' | '"'))
        {
            self.at += 1;
        }
        let name: String = self.chars[start..self.at].iter().collect();
        let is_negated = match (self.peek(), self.chars.get(self.at + 1)) {
            (Some('='), _) => {
                self.at += 1;
                false
            }
            (Some('!'), Some('=')) => {
                self.at += 2;
                true
            }
            (None, _) => return Ok(word(name)),
            (Some(c), _) if c.is_whitespace() => return Ok(word(name)),
            (Some(c), _) => {
                return self.error(
                    self.at,
                    format_args!("\"{c}\" is not expected here; write field=value"),
                );
            }
        };
        let field = self.field(&name, start)?;
        let mut patterns = vec![self.value()?];
        while self.peek() == Some(',') {
            self.at += 1;
            patterns.push(self.value()?);
        }
        if self.peek().is_some_and(|c| !c.is_whitespace()) {
            return self.error(self.at, "a blank must follow a value");
        }
        Ok(Term {
            field,
            is_negated,
            patterns,
        })
    }

    fn field(&self, name: &str, start: usize) -> Result<Field, SelectorError> {
        Ok(match name {
            "id" => Field::Id,
            "kind" => Field::Kind,
            "name" => Field::Name,
            "state" => Field::State,
            "team" => Field::Team,
            "owner" => Field::Owner,
            "source" => Field::Source,
            "on" => Field::On,
            _ => match name.split_once(':') {
                Some(("tag", tag)) if !tag.is_empty() => Field::Tag(tag.into()),
                Some(("attr", attribute)) if !attribute.is_empty() => Field::Attribute(attribute.into()),
                _ => {
                    return self.error(
                        start,
                        format_args!("there is no field \"{name}\"; use kind, name, state, team, owner, source, on, id, tag:NAME or attr:NAME"),
                    );
                }
            },
        })
    }

    fn value(&mut self) -> Result<String, SelectorError> {
        if self.peek() == Some('"') {
            return self.quoted();
        }
        let start = self.at;
        while self
            .peek()
            .is_some_and(|c| !c.is_whitespace() && !matches!(c, ',' | '"'))
        {
            self.at += 1;
        }
        if start == self.at {
            return self.error(start, "a value is missing; write \"\" for an empty one");
        }
        Ok(self.chars[start..self.at].iter().collect())
    }

    fn quoted(&mut self) -> Result<String, SelectorError> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            match self.peek() {
                None => return self.error(start, "this quote is not closed"),
                Some('"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some('\\') if matches!(self.chars.get(self.at + 1), Some('"' | '\\')) => {
                    out.push(self.chars[self.at + 1]);
                    self.at += 2;
                }
                Some(c) => {
                    out.push(c);
                    self.at += 1;
                }
            }
        }
    }
}

fn word(text: String) -> Term {
    Term {
        field: Field::Word,
        is_negated: false,
        patterns: vec![text],
    }
}

impl Selector {
    /// Everything of a kind.
    pub fn kind(kind: &str) -> Self {
        Self {
            terms: vec![Term {
                field: Field::Kind,
                is_negated: false,
                patterns: vec![kind.into()],
            }],
        }
    }

    /// The one kind that can match, where there is just one.
    pub fn only_kind(&self) -> Option<&str> {
        self.terms.iter().find_map(|term| match term {
            Term {
                field: Field::Kind,
                is_negated: false,
                patterns,
            } if patterns.len() == 1 && !patterns[0].contains('*') => Some(patterns[0].as_str()),
            _ => None,
        })
    }

    /// Does it speak of retired things? When it does not, only active ones are meant.
    pub fn names_state(&self) -> bool {
        self.terms
            .iter()
            .any(|term| matches!(term.field, Field::State | Field::Id))
    }

    pub fn needs_parent(&self) -> bool {
        self.terms.iter().any(|term| term.field == Field::On)
    }

    /// `parent_name`: the name of the item that it is on.
    pub fn matches(&self, item: &Item, parent_name: Option<&str>) -> bool {
        (self.names_state() || item.is_active())
            && self
                .terms
                .iter()
                .all(|term| term.matches(item, parent_name) != term.is_negated)
    }
}

impl Term {
    fn matches(&self, item: &Item, parent_name: Option<&str>) -> bool {
        let any = |value: Option<&str>| {
            self.patterns
                .iter()
                .any(|pattern| glob(pattern, value.unwrap_or_default()))
        };
        match &self.field {
            Field::Id => any(Some(item.id.as_str())),
            Field::Kind => any(Some(&item.kind)),
            Field::Name => any(Some(&item.name)),
            Field::State => any(Some(item.state.as_str())),
            Field::Team => any(item.team.as_deref()),
            Field::Owner => any(item.owner.as_deref()),
            Field::Source => any(Some(&item.source)),
            Field::On => any(parent_name),
            Field::Tag(tag) => any(item.tags.get(tag).map(String::as_str)),
            Field::Attribute(name) => match item.value(name) {
                None => any(None),
                Some(Value::Array(list)) => list.iter().any(|value| any(Some(&plain(value)))),
                Some(value) => any(Some(&plain(value))),
            },
            Field::Word => {
                let name = item.name.to_lowercase();
                self.patterns
                    .iter()
                    .all(|pattern| name.contains(&pattern.to_lowercase()))
            }
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Does `text` match a pattern in which `*` stands for any text? Linear in time, whatever the pattern.
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|head| text.strip_prefix(head)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(tail) = parts.pop() else {
        return rest.is_empty();
    };
    let mut rest = rest;
    for part in parts {
        match rest.find(part) {
            Some(index) => rest = &rest[index + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, want) in [
            ("web-*", "web-1", true),
            ("web-*", "db-1", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "acb", false),
            ("*aa*aa", "aaa", false),
            ("exact", "exact", true),
            ("*.service", "nginx.service", true),
        ] {
            assert_eq!(glob(pattern, text), want, "{pattern} {text}");
        }
    }

    #[test]
    fn selectors_read() {
        let selector: Selector =
            r#"kind=host,service name!=web-* tag:env=prod attr:os_name="Debian GNU*" front"#
                .parse()
                .unwrap();
        let fields: Vec<_> = selector.terms.iter().map(|t| t.field.clone()).collect();
        assert_eq!(
            fields,
            [
                Field::Kind,
                Field::Name,
                Field::Tag("env".into()),
                Field::Attribute("os_name".into()),
                Field::Word
            ]
        );
        assert!(selector.terms[1].is_negated);
        assert_eq!(selector.terms[0].patterns, ["host", "service"]);
        assert_eq!(selector.terms[3].patterns, ["Debian GNU*"]);
        assert_eq!("".parse::<Selector>().unwrap().terms.len(), 0);
    }

    #[test]
    fn errors_name_the_column() {
        for (text, column) in [
            ("kind=host color=red", 11),
            ("kind=", 6),
            ("name=\"web", 6),
            ("a!b", 2),
            ("tag:=x", 1),
            ("name=\"a\"b", 9),
        ] {
            assert_eq!(text.parse::<Selector>().unwrap_err().column, column, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            let _ = text.parse::<Selector>();
        }
    }
}
