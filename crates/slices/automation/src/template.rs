//! Templates of runbooks: strict, bounded by `engines/template`, over `inputs`, `target`, `alert` and `run`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Object, ObjectRepr};
use serde::{Deserialize, Serialize};
use template::Limits;

use crate::input::Scalar;
use crate::place::{self, Piece, Place};

/// Instructions that one template may take.
const FUEL: u64 = 50_000;
/// Bytes of one value in a selector or a query.
const VALUE_MAX: usize = 16 << 10;

/// What a template can name.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Scope {
    pub inputs: BTreeMap<String, Scalar>,
    pub target: Option<TargetView>,
    pub alert: Option<AlertView>,
    pub run: RunView,
    /// Placeholders of the secrets that runbooks name.
    pub secrets: BTreeMap<String, String>,
    /// Inputs whose `*` counts in a selector.
    #[serde(skip)]
    pub globs: BTreeSet<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct TargetView {
    pub id: String,
    pub name: String,
    pub tags: BTreeMap<String, String>,
}

/// An alert as templates see it, and as a run keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertView {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct RunView {
    pub id: String,
}

/// What one text of a runbook may take.
fn limits() -> Limits {
    Limits {
        fuel: FUEL,
        ..Limits::default()
    }
}

/// What a template names, such as `inputs.service`; an error when it does not parse.
pub(crate) fn check(text: &str) -> Result<BTreeSet<String>, String> {
    if text.contains(MARK) {
        return Err("in the template: it has a character that is not for texts (U+E000)".into());
    }
    template::names(text, limits()).map_err(|error| format!("in the template: {error}"))
}

pub(crate) fn check_condition(text: &str) -> Result<BTreeSet<String>, String> {
    template::expression_names(text, limits()).map_err(|error| format!("in the condition: {error}"))
}

/// Fills a template. What is not defined is an error, not an empty text: an empty argument can do harm.
pub(crate) fn render(text: &str, scope: &Scope) -> Result<String, String> {
    if !text.contains("{{") && !text.contains("{%") {
        return Ok(text.to_owned());
    }
    template::render(text, scope, limits()).map_err(|error| not_filled(text, &error))
}

fn not_filled(text: &str, error: &impl std::fmt::Display) -> String {
    let start: String = text.chars().take(200).collect();
    format!("the template \"{start}\" does not fill: {error}")
}

/// The value of an input of the type glob, which keeps its kind as long as nothing is made of it.
#[derive(Debug)]
struct Glob(String);

impl Object for Glob {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a template names, with globs as such.
fn values(scope: &Scope) -> minijinja::Value {
    let plain = minijinja::Value::from(minijinja::value::Serde(scope));
    if scope.globs.is_empty() {
        return plain;
    }
    let value = |(name, scalar): (&String, &Scalar)| {
        let value = match scope.globs.contains(name) {
            true => minijinja::Value::from_object(Glob(scalar.to_string())),
            false => minijinja::Value::from(minijinja::value::Serde(scalar)),
        };
        (name.clone(), value)
    };
    let inputs: BTreeMap<String, minijinja::Value> = scope.inputs.iter().map(value).collect();
    minijinja::context! { inputs, ..plain }
}

/// Stands for a value until the text around it is known.
const MARK: char = '\u{e000}';
const MARK_TEXT: &str = "\u{e000}";

/// Fills a template of another language: each value is one literal there, and can be nothing else.
pub(crate) fn render_in(text: &str, scope: &Scope, place: Place) -> Result<String, String> {
    let found: Arc<Mutex<Vec<Piece>>> = Arc::default();
    let taken = found.clone();
    let formatter = move |value: &minijinja::Value| {
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.push(match value.downcast_object_ref::<Glob>() {
            Some(glob) => Piece::Glob(glob.0.clone()),
            None => Piece::Value(template::text(value, VALUE_MAX)),
        });
        MARK_TEXT.to_owned()
    };
    let filled = template::Template::new(text, limits())
        .formatter(Arc::new(formatter))
        .render(values(scope))
        .map_err(|error| not_filled(text, &error))?;
    let mut found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner)).into_iter();
    let mut pieces = Vec::new();
    for (index, part) in filled.split(MARK).enumerate() {
        if index > 0 {
            pieces.extend(found.next());
        }
        if !part.is_empty() {
            pieces.push(Piece::Text(part.to_owned()));
        }
    }
    place::join(&pieces, place).map_err(|error| not_filled(text, &error))
}

pub(crate) fn holds(text: &str, scope: &Scope) -> Result<bool, String> {
    template::is_true(text, scope, limits())
        .map_err(|error| format!("the condition \"{text}\" fails: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_strict() {
        let scope = Scope {
            inputs: BTreeMap::from([
                ("a".into(), Scalar::Text("x y".into())),
                ("off".into(), Scalar::Boolean(false)),
                ("n".into(), Scalar::Integer(3)),
            ]),
            ..Scope::default()
        };
        assert!(!holds("inputs.off", &scope).unwrap() && holds("not inputs.off", &scope).unwrap());
        assert!(!holds("inputs.n > 5", &scope).unwrap() && holds("inputs.n == 3", &scope).unwrap());
        assert_eq!(
            render("{{ inputs.off }} {{ inputs.n }}", &scope).unwrap(),
            "false 3"
        );
        assert_eq!(
            render_in("name={{ inputs.a }} kind=host", &scope, Place::Selector).unwrap(),
            "name=\"x y\" kind=host"
        );
        let globs = Scope {
            inputs: BTreeMap::from([
                ("hosts".into(), Scalar::Text("web-*".into())),
                ("one".into(), Scalar::Text("web-*".into())),
            ]),
            globs: BTreeSet::from(["hosts".into()]),
            ..Scope::default()
        };
        assert_eq!(
            render_in("name={{ inputs.hosts }} kind=host", &globs, Place::Selector).unwrap(),
            "name=\"web-*\" kind=host"
        );
        assert!(render_in("name={{ inputs.one }}", &globs, Place::Selector).is_err());
        assert!(render_in("name={{ inputs.hosts ~ 'x' }}", &globs, Place::Selector).is_err());
        assert_eq!(render("<{{ inputs.hosts }}>", &globs).unwrap(), "<web-*>");
        assert_eq!(render("<{{ inputs.a }}>", &scope).unwrap(), "<x y>");
        assert!(render("{{ inputs.b }}", &scope).is_err());
        assert!(render("{{ target.name }}", &scope).is_err());
        assert!(holds("inputs.a == 'x y'", &scope).unwrap());
        assert!(
            render("{% for i in range(100000) %}x{% endfor %}", &scope).is_err(),
            "out of fuel"
        );
    }

    #[test]
    fn growth_is_an_error() {
        let scope = Scope {
            inputs: BTreeMap::from([("a".into(), Scalar::Text("x".repeat(100)))]),
            ..Scope::default()
        };
        let doubling = format!(
            "{{% set a = inputs.a %}}{}{{{{ a }}}}",
            "{% set a = a ~ a %}".repeat(30)
        );
        assert!(render(&doubling, &scope).is_err());
        assert!(render_in(&doubling, &scope, Place::Selector).is_err());
        assert!(render("{{ '%2000000000d' | format(1) }}", &scope).is_err());
        assert!(holds("(inputs.a | indent(2000000000, true) | length) > 5", &scope).is_err());
    }
}
