//! Inputs of a runbook: their types, and checking what somebody gives.

use std::collections::{BTreeMap, BTreeSet};

use kernel::FieldError;
use regex_automata::meta::Regex;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::secrets::{HIDDEN, SHORTEST, placeholder};

/// What a runbook asks for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct InputSpec {
    pub name: String,
    #[serde(flatten)]
    pub kind: InputKind,
    pub description: String,
    pub is_required: bool,
    pub default: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum InputKind {
    /// The whole value matches `pattern`, when there is one.
    Text {
        pattern: Option<String>,
    },
    /// A text in which `*` stands for anything where a selector takes it.
    Glob {
        pattern: Option<String>,
    },
    Integer {
        min: i64,
        max: i64,
    },
    Boolean,
    Choice {
        options: Vec<String>,
    },
    /// A text that is sealed, put in when a command is sent, and covered in its output.
    Secret,
}

/// A value with its type, as templates and requests know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Scalar {
    Boolean(bool),
    Integer(i64),
    Text(String),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

const MAX_TEXT: usize = 4096;

impl InputSpec {
    /// Why `value` is not good, if it is not.
    pub(crate) fn fault(&self, value: &str) -> Option<String> {
        match &self.kind {
            InputKind::Text { .. } | InputKind::Glob { .. } if value.len() > MAX_TEXT => {
                Some(format!("is longer than {MAX_TEXT} bytes"))
            }
            InputKind::Text { .. } | InputKind::Glob { .. } if value.contains('\0') => {
                Some("contains NUL".into())
            }
            InputKind::Text {
                pattern: Some(pattern),
            }
            | InputKind::Glob {
                pattern: Some(pattern),
            } => {
                let regex = Regex::new(&format!("^(?:{pattern})$"));
                let is_match = regex.is_ok_and(|regex| regex.is_match(value));
                (!is_match).then(|| format!("does not match {pattern}"))
            }
            InputKind::Text { pattern: None } | InputKind::Glob { pattern: None } => None,
            InputKind::Secret => secret_fault(value),
            InputKind::Integer { min, max } => match value.parse::<i64>() {
                Ok(number) if (*min..=*max).contains(&number) => None,
                _ => Some(format!("is not a whole number from {min} to {max}")),
            },
            InputKind::Boolean => {
                (!matches!(value, "true" | "false")).then(|| "is neither true nor false".into())
            }
            InputKind::Choice { options } => (!options.iter().any(|option| option == value))
                .then(|| format!("is none of {}", options.join(", "))),
        }
    }
}

fn secret_fault(value: &str) -> Option<String> {
    if value == HIDDEN {
        return Some("is a secret that is not shown; give it again".into());
    }
    let is_fit = (SHORTEST..=MAX_TEXT).contains(&value.len()) && !value.contains('\0');
    (!is_fit).then(|| format!("is not {SHORTEST} to {MAX_TEXT} bytes without NUL"))
}

/// Takes secrets out of checked inputs and leaves a word in their place.
pub(crate) fn take_secrets(
    specs: &[InputSpec],
    inputs: &mut BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut taken = BTreeMap::new();
    for spec in specs.iter().filter(|spec| spec.kind == InputKind::Secret) {
        if let Some(value) = inputs.get_mut(&spec.name).filter(|value| !value.is_empty()) {
            taken.insert(spec.name.clone(), std::mem::replace(value, HIDDEN.into()));
        }
    }
    taken
}

/// Checked inputs with their types; secrets are placeholders of this run. An input that was left out is the empty text, which no condition takes for true.
pub(crate) fn typed(
    specs: &[InputSpec],
    inputs: &BTreeMap<String, String>,
    run: &str,
) -> BTreeMap<String, Scalar> {
    let scalar = |name: &String, value: &String| {
        let kind = specs
            .iter()
            .find(|spec| spec.name == *name)
            .map(|spec| &spec.kind);
        let typed = match kind {
            Some(InputKind::Integer { .. }) => value.parse().ok().map(Scalar::Integer),
            Some(InputKind::Boolean) => value.parse().ok().map(Scalar::Boolean),
            Some(InputKind::Secret) if !value.is_empty() => Some(Scalar::Text(placeholder(run, name))),
            _ => None,
        };
        typed.unwrap_or_else(|| Scalar::Text(value.clone()))
    };
    inputs
        .iter()
        .map(|(name, value)| (name.clone(), scalar(name, value)))
        .collect()
}

/// Names of the inputs whose `*` counts in a selector.
pub(crate) fn globs(specs: &[InputSpec]) -> BTreeSet<String> {
    let globs = specs
        .iter()
        .filter(|spec| matches!(spec.kind, InputKind::Glob { .. }));
    globs.map(|spec| spec.name.clone()).collect()
}

/// The inputs of a run: what was given, the defaults for the rest. All faults at once.
pub(crate) fn complete(
    specs: &[InputSpec],
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut complete = BTreeMap::new();
    let mut fault = |name: &str, message: String| {
        errors.push(FieldError {
            field: format!("inputs.{name}"),
            message,
        })
    };
    for name in given
        .keys()
        .filter(|name| !specs.iter().any(|spec| spec.name == **name))
    {
        let known: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
        fault(
            name,
            format!("the runbook has no such input; it has: {}", known.join(", ")),
        );
    }
    for spec in specs {
        match given.get(&spec.name).or(spec.default.as_ref()) {
            None if spec.is_required => fault(&spec.name, "is needed".into()),
            None => {
                complete.insert(spec.name.clone(), String::new());
            }
            Some(value) => match spec.fault(value) {
                Some(message) => fault(&spec.name, message),
                None => {
                    complete.insert(spec.name.clone(), value.clone());
                }
            },
        }
    }
    if errors.is_empty() {
        Ok(complete)
    } else {
        Err(errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, kind: InputKind, default: Option<&str>) -> InputSpec {
        let default = default.map(str::to_owned);
        InputSpec {
            name: name.into(),
            kind,
            description: String::new(),
            is_required: default.is_none(),
            default,
        }
    }

    #[test]
    fn inputs_are_checked_by_type_and_all_faults_are_told() {
        let specs = [
            spec(
                "service",
                InputKind::Text {
                    pattern: Some("[a-z-]+".into()),
                },
                None,
            ),
            spec("count", InputKind::Integer { min: 1, max: 5 }, Some("2")),
            spec(
                "mode",
                InputKind::Choice {
                    options: vec!["soft".into(), "hard".into()],
                },
                Some("soft"),
            ),
        ];
        let given = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(n, v)| (n.to_string(), v.to_string()))
                .collect()
        };
        let good = complete(&specs, &given(&[("service", "nginx")])).unwrap();
        assert_eq!(good["count"], "2");
        let bad = complete(
            &specs,
            &given(&[("service", "a; rm -rf /"), ("count", "9"), ("mood", "x")]),
        )
        .unwrap_err();
        let fields: Vec<_> = bad.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(fields, ["inputs.mood", "inputs.service", "inputs.count"]);
        assert_eq!(complete(&specs, &given(&[])).unwrap_err()[0].message, "is needed");
    }
}
