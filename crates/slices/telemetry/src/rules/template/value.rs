//! Values while a template is filled: their kinds, when they count as true, and how they are printed.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::format::float;

/// One element of the answer to `query`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Element {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing: `nil`, and what a missing key of `args` gives.
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    Labels(Rc<BTreeMap<String, String>>),
    /// What `args` makes: the arguments of a template.
    Args(Rc<BTreeMap<String, Value>>),
    Elements(Rc<Vec<Rc<Element>>>),
    Element(Rc<Element>),
    /// Milliseconds since 1970.
    Time(i64),
    /// Nanoseconds.
    Duration(i64),
    /// What a rule's template is about: `.Labels`, `.Value` and so on.
    Root,
}

impl Value {
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(is) => *is,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Labels(map) => !map.is_empty(),
            Self::Args(map) => !map.is_empty(),
            Self::Elements(list) => !list.is_empty(),
            Self::Duration(ns) => *ns != 0,
            Self::Element(_) | Self::Time(_) | Self::Root => true,
        }
    }

    /// About how many bytes it takes to print: what bounds the work of a template.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Labels(map) => map.iter().map(|(k, v)| k.len() + v.len()).sum(),
            Self::Args(map) => map.values().map(Self::weight).sum(),
            Self::Elements(list) => list.len() * 256,
            Self::Element(_) => 256,
            _ => 16,
        }
    }

    /// The kind as Go names it, which is what people look for.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Labels(_) => "map[string]string",
            Self::Args(_) => "map[string]interface {}",
            Self::Elements(_) => "a query's result",
            Self::Element(_) => "an element of a query's result",
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::Root => "the rule's data",
        }
    }

    /// As `{{ value }}` and `%v` print it.
    pub(super) fn print(&self) -> String {
        match self {
            Self::Nil => "<no value>".into(),
            Self::Bool(is) => is.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => float(*number),
            Self::Text(text) => text.to_string(),
            Self::Labels(map) => print_labels(map),
            Self::Args(map) => {
                let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{}", v.print())).collect();
                format!("map[{}]", pairs.join(" "))
            }
            Self::Elements(list) => {
                let all: Vec<String> = list.iter().map(|one| print_element(one)).collect();
                format!("[{}]", all.join(" "))
            }
            Self::Element(one) => print_element(one),
            Self::Time(ms) => time(*ms),
            Self::Duration(ns) => duration(*ns),
            Self::Root => "the rule's data".into(),
        }
    }
}

fn print_labels(map: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{v}")).collect();
    format!("map[{}]", pairs.join(" "))
}

fn print_element(one: &Element) -> String {
    format!("{{{} {}}}", print_labels(&one.labels), float(one.value))
}

/// `2026-01-02 03:04:05.678 +0000 UTC`.
pub(super) fn time(ms: i64) -> String {
    let text = kernel::clock::from_millis(ms).to_string();
    text.replacen('T', " ", 1).trim_end_matches('Z').to_owned() + " +0000 UTC"
}

/// `1h2m3.5s`, as Go prints a duration.
fn duration(ns: i64) -> String {
    if ns == 0 {
        return "0s".into();
    }
    let sign = if ns < 0 { "-" } else { "" };
    let size = ns.unsigned_abs();
    for (unit, name) in [(1_000, "ns"), (1_000_000, "µs"), (1_000_000_000, "ms")] {
        if size < unit {
            return format!("{sign}{}{name}", float(size as f64 / (unit / 1_000) as f64));
        }
    }
    let (minutes, rest) = (size / 60_000_000_000, size % 60_000_000_000);
    let seconds = float(rest as f64 / 1e9);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, m) => format!("{sign}{m}m{seconds}s"),
        (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
    }
}
