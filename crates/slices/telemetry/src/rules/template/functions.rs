//! What templates may call: the table of all functions, and those that Prometheus adds to Go's own (`builtins`).

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use promql::Regex;

use super::value::{Element, Value};
use super::{Data, MAX_OUTPUT, address, builtins, humanize};

/// Every function with the least and the most arguments that it takes.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("and", 1, MANY),
    ("args", 0, MANY),
    ("eq", 2, MANY),
    ("externalURL", 0, 0),
    ("first", 1, 1),
    ("ge", 2, 2),
    ("graphLink", 1, 1),
    ("gt", 2, 2),
    ("html", 0, MANY),
    ("humanize", 1, 1),
    ("humanize1024", 1, 1),
    ("humanizeDuration", 1, 1),
    ("humanizePercentage", 1, 1),
    ("humanizeTimestamp", 1, 1),
    ("index", 1, MANY),
    ("js", 0, MANY),
    ("label", 2, 2),
    ("le", 2, 2),
    ("len", 1, 1),
    ("lt", 2, 2),
    ("match", 2, 2),
    ("ne", 2, 2),
    ("not", 1, 1),
    ("now", 0, 0),
    ("or", 1, MANY),
    ("parseDuration", 1, 1),
    ("pathPrefix", 0, 0),
    ("print", 0, MANY),
    ("printf", 1, MANY),
    ("println", 0, MANY),
    ("query", 1, 1),
    ("reReplaceAll", 3, 3),
    ("safeHtml", 1, 1),
    ("slice", 1, 4),
    ("sortByLabel", 2, 2),
    ("stripDomain", 1, 1),
    ("stripPort", 1, 1),
    ("strvalue", 1, 1),
    ("tableLink", 1, 1),
    ("title", 1, 1),
    ("toDuration", 1, 1),
    ("toLower", 1, 1),
    ("toTime", 1, 1),
    ("toUpper", 1, 1),
    ("urlQueryEscape", 1, 1),
    ("urlquery", 0, MANY),
    ("value", 1, 1),
];
const MANY: usize = usize::MAX;
/// Largest regular expression, and how many.
const MAX_PATTERN: usize = 2_048;
const MAX_PATTERNS: usize = 16;

type Change = fn(&str) -> String;
type Show = fn(f64) -> String;

/// Functions from a text to a text.
const CHANGES: &[(&str, Change)] = &[
    ("graphLink", |text| address::link(text, 0)),
    ("safeHtml", str::to_owned),
    ("stripDomain", address::strip_domain),
    ("stripPort", address::strip_port),
    ("tableLink", |text| address::link(text, 1)),
    ("title", address::title),
    ("toLower", str::to_lowercase),
    ("toUpper", str::to_uppercase),
    ("urlQueryEscape", address::escape_query),
];

/// Functions from a number to a text.
const SHOWN: &[(&str, Show)] = &[
    ("humanize", humanize::decimal),
    ("humanize1024", humanize::binary),
    ("humanizeDuration", humanize::duration),
    ("humanizePercentage", humanize::percentage),
];

pub(super) fn known(name: &str) -> Option<&'static str> {
    FUNCTIONS.iter().find(|f| f.0 == name).map(|f| f.0)
}

pub(super) fn unknown(name: &str) -> String {
    let names: Vec<&str> = FUNCTIONS.iter().map(|f| f.0).collect();
    format!(
        "{name:?} is no function of templates; there are {}",
        names.join(", ")
    )
}

/// Refuses a wrong number of arguments.
pub(super) fn check_count(name: &str, count: usize) -> Result<(), String> {
    let Some((_, least, most)) = FUNCTIONS.iter().find(|f| f.0 == name) else {
        return Err(unknown(name));
    };
    if (*least..=*most).contains(&count) {
        return Ok(());
    }
    let wanted = match (least, most) {
        (least, most) if least == most => least.to_string(),
        (least, &MANY) => format!("at least {least}"),
        (least, most) => format!("{least} to {most}"),
    };
    Err(format!(
        "wrong number of args for {name}: want {wanted} got {count}"
    ))
}

/// What the functions of one filling share.
pub(super) struct Tools<'a> {
    pub data: &'a Data<'a>,
    patterns: RefCell<HashMap<String, Rc<Regex>>>,
}

impl<'a> Tools<'a> {
    pub(super) fn new(data: &'a Data<'a>) -> Self {
        Self {
            data,
            patterns: RefCell::default(),
        }
    }

    /// A regular expression, compiled once; a filling may have few of them, for compiling takes long.
    fn pattern(&self, text: &str) -> Result<Rc<Regex>, String> {
        let mut known = self.patterns.borrow_mut();
        if let Some(pattern) = known.get(text) {
            return Ok(pattern.clone());
        }
        if text.len() > MAX_PATTERN || known.len() >= MAX_PATTERNS {
            return Err(format!(
                "a template may use {MAX_PATTERNS} regular expressions of {MAX_PATTERN} bytes"
            ));
        }
        let pattern = Rc::new(Regex::new(text)?);
        known.insert(text.to_owned(), pattern.clone());
        Ok(pattern)
    }
}

pub(super) fn call(name: &str, args: &[Value], tools: &Tools<'_>) -> Result<Value, String> {
    let data = tools.data;
    let text = |index: usize| as_text(args, index);
    if let Some((_, change)) = CHANGES.iter().find(|(known, _)| *known == name) {
        return Ok(Value::text(change(&text(0)?)));
    }
    if let Some((_, show)) = SHOWN.iter().find(|(known, _)| *known == name) {
        return Ok(Value::text(show(as_number(args, 0)?)));
    }
    Ok(match name {
        "query" => query(&text(0)?, data)?,
        "first" => elements(args, 0)?
            .first()
            .map(|one| Value::Element(one.clone()))
            .ok_or("first() called on vector with no elements")?,
        "label" => {
            let name = text(0)?;
            Value::text(element(args, 1)?.labels.get(&*name).cloned().unwrap_or_default())
        }
        "value" => Value::Float(element(args, 0)?.value),
        "strvalue" => {
            let one = element(args, 0)?;
            Value::text(one.labels.get("__value__").cloned().unwrap_or_default())
        }
        "sortByLabel" => {
            let name = text(0)?;
            let mut list = elements(args, 1)?.to_vec();
            list.sort_by(|a, b| a.labels.get(&*name).cmp(&b.labels.get(&*name)));
            Value::Elements(Rc::new(list))
        }
        "args" => {
            if args.iter().any(|arg| matches!(arg, Value::Args(_))) {
                return Err("args of args are not supported".into());
            }
            let named = args
                .iter()
                .enumerate()
                .map(|(n, arg)| (format!("arg{n}"), arg.clone()));
            Value::Args(Rc::new(named.collect()))
        }
        "humanizeTimestamp" => match as_number(args, 0)? {
            number if number.is_finite() => Value::text(moment(number)?.print()),
            number => Value::text(super::format::four_digits(number)),
        },
        "toTime" => moment(as_number(args, 0)?)?,
        "toDuration" => Value::Duration(nanoseconds(as_number(args, 0)?)?),
        "now" => Value::Float(data.at_ms as f64 / 1000.0),
        "parseDuration" => {
            let text = text(0)?;
            let length = yaml::parse_duration(&text)?;
            Value::Float(length.as_secs_f64())
        }
        "match" => Value::Bool(tools.pattern(&text(0)?)?.is_match(&text(1)?)),
        "reReplaceAll" => replaced(&*tools.pattern(&text(0)?)?, &text(2)?, &text(1)?)?,
        "externalURL" => Value::text(data.external.url.as_str()),
        "pathPrefix" => Value::text(data.external.path()),
        other => return builtins::call(other, args),
    })
}

pub(super) fn wrong(wanted: &str, found: &Value) -> String {
    format!("wrong type for value; expected {wanted}; got {}", found.kind())
}

pub(super) fn as_text(args: &[Value], index: usize) -> Result<Rc<str>, String> {
    match args.get(index) {
        Some(Value::Text(text)) => Ok(text.clone()),
        other => Err(wrong("string", other.unwrap_or(&Value::Nil))),
    }
}

fn as_number(args: &[Value], index: usize) -> Result<f64, String> {
    match args.get(index).unwrap_or(&Value::Nil) {
        Value::Float(number) => Ok(*number),
        Value::Int(number) => Ok(*number as f64),
        Value::Duration(ns) => Ok(*ns as f64 / 1e9),
        Value::Text(text) => parse_number(text).ok_or_else(|| format!("{text:?} is no number")),
        other => Err(format!("can't convert {} to float", other.kind())),
    }
}

fn parse_number(text: &str) -> Option<f64> {
    let is_spaced = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
    text.parse().ok().filter(|_| !is_spaced)
}

fn elements(args: &[Value], index: usize) -> Result<&[Rc<Element>], String> {
    match args.get(index) {
        Some(Value::Elements(list)) => Ok(list),
        other => Err(wrong("the result of query", other.unwrap_or(&Value::Nil))),
    }
}

fn element(args: &[Value], index: usize) -> Result<&Element, String> {
    match args.get(index) {
        Some(Value::Element(one)) => Ok(one),
        other => Err(wrong(
            "an element of a query's result",
            other.unwrap_or(&Value::Nil),
        )),
    }
}

fn query(text: &str, data: &Data<'_>) -> Result<Value, String> {
    let found = (data.query)(text)?;
    Ok(Value::Elements(Rc::new(found.into_iter().map(Rc::new).collect())))
}

fn replaced(pattern: &Regex, text: &str, by: &str) -> Result<Value, String> {
    let replaced = pattern.replace_all(text, by, MAX_OUTPUT);
    Ok(Value::text(
        replaced.ok_or_else(|| format!("gives more than {MAX_OUTPUT} bytes"))?,
    ))
}

fn nanoseconds(seconds: f64) -> Result<i64, String> {
    let ns = seconds * 1e9;
    if !ns.is_finite() || ns >= i64::MAX as f64 || ns <= i64::MIN as f64 {
        return Err(format!("{seconds} cannot be represented in nanoseconds"));
    }
    Ok(ns as i64)
}

fn moment(seconds: f64) -> Result<Value, String> {
    Ok(Value::Time(nanoseconds(seconds)? / 1_000_000))
}

/// The labels of a sample as templates see them, the metric's name included.
pub(crate) fn label_map(labels: &promql::Labels) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|label| (label.name.to_string(), label.value.to_string()))
        .collect()
}
