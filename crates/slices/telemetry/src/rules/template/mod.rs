//! Templates in labels and annotations of rules: the part of Go's `text/template` that rule files use, with Prometheus' functions.
//!
//! Flow: [`Template::parse`] (`lex` → `parse` → `tree`) when a file is read; [`Template::render`] (`fill`, `functions`) for each alert.
//! Bounds: length, nesting, steps, output. What goes wrong while filling stands in the text: an alert is never lost over it.

mod address;
mod builtins;
mod compare;
mod fill;
mod format;
mod functions;
mod humanize;
mod lex;
mod parse;
mod tree;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use functions::label_map;
use tree::At;
pub(crate) use value::Element;

/// Longest template.
const MAX_TEXT: usize = 64 << 10;
/// Longest text that a template, or a function in it, may give.
const MAX_OUTPUT: usize = 64 << 10;

/// Longest account of what is wrong, in characters.
const MAX_MESSAGE: usize = 1_500;

/// What templates know of this installation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct External {
    /// Where people reach the server.
    pub url: String,
    pub labels: BTreeMap<String, String>,
}

impl External {
    /// The path of the address, without its last slash.
    fn path(&self) -> &str {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        rest.find('/').map_or("", |at| rest[at..].trim_end_matches('/'))
    }
}

/// Answers `query`: the elements of an instant vector.
pub(crate) type Ask<'a> = dyn Fn(&str) -> Result<Vec<Element>, String> + 'a;

/// What a template is filled with.
pub(crate) struct Data<'a> {
    /// The labels of the sample, the metric's name included.
    pub labels: &'a BTreeMap<String, String>,
    pub value: f64,
    pub at_ms: i64,
    pub external: &'a External,
    pub query: &'a Ask<'a>,
}

/// What is wrong, and at which byte of the template.
#[derive(Clone, Debug, PartialEq)]
struct Fault {
    at: At,
    message: String,
}

impl Fault {
    fn new(at: At, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { at, message }
    }

    /// With line and column, from 1.
    fn told(&self, text: &str) -> String {
        let before = text.get(..self.at as usize).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        // What is wrong may quote what the template has made, which may be long.
        let message: String = self.message.chars().take(MAX_MESSAGE).collect();
        format!("line {line}, column {column} of the text: {message}")
    }
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    text: Arc<str>,
    parsed: Arc<parse::Parsed>,
}

impl Template {
    /// Reads a template. The error says what is not understood, and where.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_TEXT {
            return Err(format!(
                "a template may have {MAX_TEXT} bytes, this one has {}",
                text.len()
            ));
        }
        let parsed = parse::parse(text).map_err(|fault| fault.told(text))?;
        Ok(Self {
            text: text.into(),
            parsed: Arc::new(parsed),
        })
    }

    /// A text in which nothing is filled in.
    pub(crate) fn literal(text: &str) -> Self {
        let body = vec![tree::Node::Text(text.to_owned())];
        Self {
            text: text.into(),
            parsed: Arc::new(parse::Parsed {
                body,
                ..parse::Parsed::default()
            }),
        }
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Fills the template. A failure is told in the text, as Prometheus does.
    pub(crate) fn render(&self, data: &Data<'_>) -> String {
        fill::fill(&self.parsed, data)
            .unwrap_or_else(|fault| format!("<error expanding template: {}>", fault.told(&self.text)))
    }
}

/// What a template gives for an alert on the series `up`, every query answered by two elements: a look at it without a store.
pub fn preview(text: &str, value: f64) -> Result<String, String> {
    let labels = |instance: &str| {
        let pairs = [("__name__", "up"), ("instance", instance), ("job", "mainstay")];
        BTreeMap::from(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())))
    };
    let element = |instance: &str, value: f64| Element {
        labels: labels(instance),
        value,
    };
    let ask = |_: &str| Ok(vec![element("web-2.example:9100", 1.0), element("web-1", value)]);
    let data = Data {
        labels: &labels("web-1.example:9100"),
        value,
        at_ms: 0,
        external: &External::default(),
        query: &ask,
    };
    Ok(Template::parse(text)?.render(&data))
}

#[cfg(test)]
mod tests;
