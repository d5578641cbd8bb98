//! Templates of runbooks: minijinja, strict, with fuel, over `inputs`, `target`, `alert` and `run`.

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};

/// Instructions that one template may take.
const FUEL: u64 = 20_000;

/// What a template can name.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Scope {
    pub inputs: BTreeMap<String, String>,
    pub target: Option<TargetView>,
    pub alert: Option<AlertView>,
    pub run: RunView,
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

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
}

/// Does it parse?
pub(crate) fn check(text: &str) -> Result<(), String> {
    environment()
        .template_from_str(text)
        .map(|_| ())
        .map_err(|error| format!("in the template: {error}"))
}

pub(crate) fn check_condition(text: &str) -> Result<(), String> {
    environment()
        .compile_expression(text)
        .map(|_| ())
        .map_err(|error| format!("in the condition: {error}"))
}

/// Fills a template. What is not defined is an error, not an empty text: an empty argument can do harm.
pub(crate) fn render(text: &str, scope: &Scope) -> Result<String, String> {
    if !text.contains("{{") && !text.contains("{%") {
        return Ok(text.to_owned());
    }
    let values = minijinja::Value::from(minijinja::value::Serde(scope));
    environment()
        .render_str(text, values)
        .map_err(|error| format!("the template \"{text}\" does not fill: {error}"))
}

pub(crate) fn holds(text: &str, scope: &Scope) -> Result<bool, String> {
    let environment = environment();
    let expression = environment
        .compile_expression(text)
        .map_err(|error| error.to_string())?;
    let values = minijinja::Value::from(minijinja::value::Serde(scope));
    let value = expression
        .eval(values)
        .map_err(|error| format!("the condition \"{text}\" fails: {error}"))?;
    Ok(value.is_true())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_strict() {
        let scope = Scope {
            inputs: BTreeMap::from([("a".into(), "x y".into())]),
            ..Scope::default()
        };
        assert_eq!(render("<{{ inputs.a }}>", &scope).unwrap(), "<x y>");
        assert!(render("{{ inputs.b }}", &scope).is_err());
        assert!(render("{{ target.name }}", &scope).is_err());
        assert!(holds("inputs.a == 'x y'", &scope).unwrap());
        assert!(
            render("{% for i in range(100000) %}x{% endfor %}", &scope).is_err(),
            "out of fuel"
        );
    }
}
