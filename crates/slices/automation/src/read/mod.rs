//! From YAML to a [`Document`].

mod sense;
mod step;
mod trigger;

use std::collections::BTreeMap;
use std::time::Duration;

use change::Risk;
use regex_automata::meta::Regex;
use serde::Serialize;
use utoipa::ToSchema;
use yaml::{Error, Node};

use crate::document::{Batch, Document, Strategy};
use crate::input::{InputKind, InputSpec};
use crate::template;

/// A fault of a runbook, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DocumentError {
    /// From 1.
    pub line: u32,
    pub column: u32,
    pub message: String,
}

impl std::fmt::Display for DocumentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl From<Error> for DocumentError {
    fn from(error: Error) -> Self {
        Self {
            line: error.line,
            column: error.column,
            message: error.message,
        }
    }
}

const MAX_STEPS: usize = 200;
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// Reads a runbook. Faulty steps are told all at once.
pub fn parse(text: &str) -> Result<Document, Vec<DocumentError>> {
    let mut errors = Vec::new();
    let root = yaml::parse(text).map_err(|error| vec![error.into()])?;
    let document = document(&root, &mut errors).map_err(|error| vec![error.into()])?;
    errors.extend(
        sense::faults(&root, &document)
            .into_iter()
            .map(DocumentError::from),
    );
    if errors.is_empty() {
        Ok(document)
    } else {
        Err(errors)
    }
}

fn document(root: &Node, errors: &mut Vec<DocumentError>) -> Result<Document, Error> {
    let mut fields = root.fields("a runbook")?;
    let name = fields.need("name", short)?;
    let description = fields
        .get("description", |n| n.string().map(str::to_owned))?
        .unwrap_or_default();
    let risk = fields
        .get("risk", |n| n.one_of(&["low", "medium", "high"]))?
        .unwrap_or("medium");
    let is_standard = fields.get("standard", |n| n.boolean())?.unwrap_or(false);
    let inputs = fields.get("inputs", inputs)?.unwrap_or_default();
    let targets = fields.get("targets", |n| templated(n).map(Some))?.flatten();
    let max_targets = fields
        .get("max_targets", |n| n.integer_in(1, 10_000))?
        .unwrap_or(20);
    let strategy = fields.get("strategy", strategy)?;
    let (schedules, alerts) = fields.get("triggers", trigger::triggers)?.unwrap_or_default();
    let steps = fields.need("steps", |n| n.list().map(<[Node]>::to_vec))?;
    fields.finish()?;
    if steps.is_empty() || steps.len() > MAX_STEPS {
        return Err(root.error(format!("a runbook has 1 to {MAX_STEPS} steps")));
    }
    let mut read = Vec::new();
    for node in &steps {
        match step::step(node) {
            Ok(step) => read.push(step),
            Err(error) => errors.push(error.into()),
        }
    }
    Ok(Document {
        name,
        description,
        risk: Risk::parse(risk).unwrap_or(Risk::Medium),
        is_standard,
        inputs,
        targets,
        max_targets: usize::try_from(max_targets).unwrap_or(20),
        strategy: strategy.unwrap_or(Strategy {
            batch: Batch::All,
            max_failures: 0,
        }),
        schedules,
        alerts,
        steps: read,
    })
}

fn short(node: &Node) -> Result<String, Error> {
    let text = node.word()?;
    if text.chars().count() > 200 {
        return Err(node.error("longer than 200 characters"));
    }
    Ok(text.to_owned())
}

/// Text with `{{ … }}`, checked now so that it cannot fail to parse later.
fn templated(node: &Node) -> Result<String, Error> {
    let text = node.string()?;
    template::check(text).map_err(|message| node.error(message))?;
    Ok(text.to_owned())
}

fn templated_map(node: &Node) -> Result<BTreeMap<String, String>, Error> {
    let pairs = node.string_map()?;
    for (name, text) in &pairs {
        template::check(text).map_err(|message| node.error(format!("`{name}`: {message}")))?;
    }
    Ok(pairs.into_iter().collect())
}

fn bounded(node: &Node) -> Result<Duration, Error> {
    let duration = node.duration()?;
    if duration.is_zero() || duration > LONGEST {
        return Err(node.error("must be longer than zero and at most seven days"));
    }
    Ok(duration)
}

fn inputs(node: &Node) -> Result<Vec<InputSpec>, Error> {
    node.map()?
        .iter()
        .map(|entry| input(&entry.key, &entry.value))
        .collect()
}

fn input(name: &str, node: &Node) -> Result<InputSpec, Error> {
    let is_name = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !is_name || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(node.error(format!(
            "\"{name}\" is no input name: lower-case letters, digits and `_`, a letter first"
        )));
    }
    let mut fields = node.fields("an input")?;
    let kind = fields
        .get("type", |n| {
            n.one_of(&["text", "glob", "integer", "boolean", "choice", "secret"])
        })?
        .unwrap_or("text");
    let pattern = fields.get("pattern", |n| {
        let text = n.word()?;
        Regex::new(text).map_err(|e| n.error(format!("no regular expression: {e}")))?;
        Ok(text.to_owned())
    })?;
    let min = fields.get("min", |n| n.integer())?;
    let max = fields.get("max", |n| n.integer())?;
    let options = fields.get("options", |n| n.strings())?;
    let default = fields.get("default", |n| n.string().map(str::to_owned))?;
    let description = fields
        .get("description", |n| n.string().map(str::to_owned))?
        .unwrap_or_default();
    let is_required = fields
        .get("required", |n| n.boolean())?
        .unwrap_or(default.is_none());
    fields.finish()?;
    let kind = match (kind, options) {
        ("integer", None) => InputKind::Integer {
            min: min.unwrap_or(i64::MIN),
            max: max.unwrap_or(i64::MAX),
        },
        ("boolean", None) => InputKind::Boolean,
        ("choice", Some(options)) if !options.is_empty() => InputKind::Choice { options },
        ("choice", _) => return Err(node.error("a choice needs `options`")),
        ("text", None) => InputKind::Text { pattern },
        ("glob", None) => InputKind::Glob { pattern },
        ("secret", None) if default.is_some() => {
            return Err(node.error("a secret has no default: it would stand in the runbook; store it and name it as {{ secrets.NAME }}"));
        }
        ("secret", None) => InputKind::Secret,
        _ => return Err(node.error("`options` belong to a choice")),
    };
    let spec = InputSpec {
        name: name.into(),
        kind,
        description,
        is_required,
        default,
    };
    if let Some(message) = spec.default.as_deref().and_then(|value| spec.fault(value)) {
        return Err(node.error(format!("the default {message}")));
    }
    Ok(spec)
}

fn strategy(node: &Node) -> Result<Strategy, Error> {
    let mut fields = node.fields("a strategy")?;
    let batch = fields.get("batch", |n| {
        let text = n.string()?;
        let number = |t: &str, low, high| t.parse().ok().filter(|v: &usize| (low..=high).contains(v));
        match text.strip_suffix('%') {
            Some(percent) => number(percent, 1, 100).map(Batch::Percent),
            None if text == "all" => Some(Batch::All),
            None => number(text, 1, 10_000).map(Batch::Count),
        }
        .ok_or_else(|| n.error("`batch` is a number of targets, a share such as 25%, or all"))
    })?;
    let max_failures = fields
        .get("max_failures", |n| n.integer_in(0, 10_000))?
        .unwrap_or(0);
    fields.finish()?;
    Ok(Strategy {
        batch: batch.unwrap_or(Batch::All),
        max_failures: usize::try_from(max_failures).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Mode;

    const GOOD: &str = r#"
name: Restart a service
risk: low
inputs:
  service: { pattern: "[a-z0-9@._-]+", description: Name of the service }
  host: {}
  wait_seconds: { type: integer, min: 1, max: 600, default: "30" }
targets: "kind=host name={{ inputs.host }}"
triggers:
  - alert: ServiceDown
    inputs: { service: "{{ alert.labels.name }}" }
    mode: run
    cooldown: 5m
  - schedule: "0 3 * * *"
    time_zone: Europe/Berlin
steps:
  - name: Look
    command: [systemctl, status, "{{ inputs.service }}"]
    ignore_errors: true
  - name: Restart
    service: { name: "{{ inputs.service }}", action: restart }
  - name: Up again
    wait: { query: 'mainstay_service_up{name="{{ inputs.service }}"} == 1', every: 1s }
    timeout: 1m
"#;

    #[test]
    fn a_runbook_reads() {
        let document = parse(GOOD).unwrap();
        assert_eq!(document.steps.len(), 3);
        assert_eq!(document.alerts[0].mode, Mode::Run);
        assert_eq!(document.schedules[0].time_zone, "Europe/Berlin");
        assert!(document.steps[2].is_idempotent && !document.steps[1].is_idempotent);
    }

    #[test]
    fn a_script_says_what_runs_it() {
        for (step, program) in [
            ("script: \"#!/bin/bash\\necho\"", "/bin/bash"),
            (
                "script: \"#!/usr/bin/env python3\\nprint()\"",
                "/usr/bin/env python3",
            ),
            (
                "script: { interpreter: python3, text: \"#!/usr/bin/env python3\\nprint()\" }",
                "python3",
            ),
            (
                "script: { interpreter: /bin/bash, text: \"#!/bin/bash\\necho\" }",
                "/bin/bash",
            ),
            ("script: echo", "/bin/sh"),
        ] {
            let document = parse(&format!("name: x\nsteps:\n  - name: a\n    {step}\n")).unwrap();
            let what =
                crate::plan::describe(&document.steps[0].act, &crate::template::Scope::default()).unwrap();
            assert!(what.ends_with(&format!("with {program}")), "{step}: {what}");
        }
    }

    #[test]
    fn faults_have_places_and_say_how_to_mend() {
        for (text, line, part) in [
            (
                "name: x\nsteps:\n  - name: a\n    comand: [ls]\n",
                3,
                "one of command",
            ),
            (
                "name: x\nsteps:\n  - name: a\n    command: [ls]\n    script: ls\n",
                3,
                "more than one",
            ),
            (
                "name: x\nsteps:\n  - name: a\n    script: echo {{ inputs.x }}\n",
                4,
                "$INPUT_NAME",
            ),
            (
                "name: x\nsteps:\n  - name: a\n    command: [\"{{ inputs.\"]\n",
                4,
                "template",
            ),
            (
                "name: x\nsteps:\n  - name: a\n    script: { interpreter: /bin/sh, text: \"#!/bin/bash\\necho\" }\n",
                4,
                "#!/bin/bash and `interpreter` says /bin/sh",
            ),
            (
                "name: x\nsteps:\n  - name: a\n    script: { interpreter: python3, text: \"#!/usr/bin/python3 -u\\nprint()\" }\n",
                4,
                "keep one of them",
            ),
            (
                "name: x\nsteps:\n  - name: a\n    script: |\n\n      #!/bin/bash\n      echo\n",
                6,
                "first line only",
            ),
            ("name: x\nstep: []\n", 1, "steps"),
            (
                "name: x\ntriggers: [{schedule: every day}]\nsteps: [{name: a, command: [ls]}]\n",
                2,
                "schedule",
            ),
            (
                "name: x\ntargets: \"kind=\"\nsteps: [{name: a, command: [ls]}]\n",
                2,
                "column 6",
            ),
            (
                "name: x\nsteps:\n  - name: a\n    command: [\"{{ inputs.zz }}\"]\n",
                4,
                "`zz` is not declared",
            ),
            (
                "name: x\nsteps:\n  - name: a\n    when: input.on\n    command: [ls]\n",
                4,
                "there is no `input`",
            ),
            (
                "name: x\nsteps:\n  - name: a\n    wait: {query: \"rate((\"}\n",
                4,
                "does not read",
            ),
            (
                "name: x\nsteps:\n  - name: a\n    http: {url: notaurl}\n",
                4,
                "http://",
            ),
            (
                "name: x\nsteps:\n  - name: a\n    service: {name: b, action: bounce}\n",
                4,
                "restart",
            ),
        ] {
            let errors = parse(text).unwrap_err();
            assert!(
                errors[0].line == line && errors[0].to_string().contains(part),
                "{text}\n{errors:?}"
            );
        }
    }
}
