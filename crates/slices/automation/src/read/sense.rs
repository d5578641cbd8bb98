//! What reads but cannot work: names that nothing defines, selectors, queries and addresses that do not parse.

use std::collections::{BTreeMap, BTreeSet};

use yaml::{Error, Node};

use crate::document::Document;
use crate::input::{InputKind, InputSpec, Scalar, globs};
use crate::place::Place;
use crate::template::{self, AlertView, RunView, Scope, TargetView};

/// Every fault, with its place.
pub(super) fn faults(root: &Node, document: &Document) -> Vec<Error> {
    let mut sense = Sense {
        document,
        errors: Vec::new(),
    };
    if let Some(targets) = root.get("targets") {
        sense.targets(targets);
    }
    for trigger in root.get("triggers").and_then(Node::as_seq).unwrap_or_default() {
        if let (Some(inputs), true) = (trigger.get("inputs"), trigger.get("alert").is_some()) {
            sense.texts(inputs, &["alert"]);
        }
        for entry in trigger.get("inputs").and_then(Node::as_map).unwrap_or_default() {
            let is_secret = |spec: &&InputSpec| spec.name == entry.key && spec.kind == InputKind::Secret;
            if document.inputs.iter().any(|spec| is_secret(&spec)) {
                let name = &entry.key;
                sense.errors.push(entry.value.error(format!(
                    "`{name}` is a secret and would stand in the runbook; store it and name it as {{{{ secrets.{name} }}}} in the step"
                )));
            }
        }
    }
    for step in root.get("steps").and_then(Node::as_seq).unwrap_or_default() {
        sense.step(step);
    }
    sense.errors
}

struct Sense<'a> {
    document: &'a Document,
    errors: Vec<Error>,
}

/// For what is handed to an agent: secrets are put in when it is sent.
const WITH_SECRETS: [&str; 5] = ["inputs", "target", "alert", "run", "secrets"];
const EVERYWHERE: [&str; 4] = ["inputs", "target", "alert", "run"];
/// For what is done once a run, or before there are targets.
const WITHOUT_TARGET: [&str; 3] = ["inputs", "alert", "run"];
/// What the template language itself brings.
const BUILT_IN: [&str; 5] = ["range", "dict", "namespace", "debug", "loop"];

impl Sense<'_> {
    fn targets(&mut self, node: &Node) {
        let Some(text) = node.as_str().filter(|text| !text.is_empty()) else {
            return;
        };
        let is_named = self.names(node, template::check(text), &["inputs", "alert"]);
        // Where a name is not defined there is nothing to fill in.
        if let (true, Ok(selector)) = (is_named, self.sample(text, Place::Selector)) {
            let read: Result<inventory::Selector, _> = selector.parse();
            if let Err(error) = read {
                self.errors
                    .push(node.error(format!("the selector \"{selector}\" does not read: {error}")));
            }
        }
    }

    fn step(&mut self, step: &Node) {
        for entry in step.as_map().unwrap_or_default() {
            match entry.key.as_str() {
                "when" => {
                    let names = entry.value.as_str().map(template::check_condition);
                    if let Some(names) = names {
                        self.names(&entry.value, names, &EVERYWHERE);
                    }
                }
                "script" | "name" => {}
                "command" | "http" => self.texts(&entry.value, &WITH_SECRETS),
                "approval" | "notify" => self.texts(&entry.value, &WITHOUT_TARGET),
                _ => self.texts(&entry.value, &EVERYWHERE),
            }
        }
        if let Some(query) = step.get("wait").and_then(|wait| wait.get("query")) {
            self.query(query);
        }
        if let Some(url) = step.get("http").and_then(|http| http.get("url")) {
            self.url(url);
        }
    }

    fn texts(&mut self, node: &Node, known: &[&str]) {
        if let Some(text) = node.as_str() {
            self.names(node, template::check(text), known);
        }
        for node in node.as_seq().unwrap_or_default() {
            self.texts(node, known);
        }
        for entry in node.as_map().unwrap_or_default() {
            self.texts(&entry.value, known);
        }
    }

    /// True when everything is defined. What does not parse was told before.
    fn names(&mut self, node: &Node, names: Result<BTreeSet<String>, String>, known: &[&str]) -> bool {
        let before = self.errors.len();
        for name in names.unwrap_or_default() {
            let (root, rest) = name.split_once('.').unwrap_or((&name, ""));
            if BUILT_IN.contains(&root) {
                continue;
            }
            if !known.contains(&root) {
                let known = known.join(", ");
                self.errors.push(node.error(format!(
                    "there is no `{root}` here; a template here knows {known}"
                )));
                continue;
            }
            let field = rest.split('.').next().unwrap_or_default();
            let is_input = |spec: &InputSpec| spec.name == field;
            let is_secret = |spec: &InputSpec| spec.name == field && spec.kind == InputKind::Secret;
            if root == "inputs" && !known.contains(&"secrets") && self.document.inputs.iter().any(is_secret) {
                self.errors.push(node.error(format!(
                    "the input `{field}` is a secret: it is for commands, HTTP requests and the environment of scripts alone"
                )));
            }
            if root == "inputs" && !rest.is_empty() && !self.document.inputs.iter().any(is_input) {
                self.errors.push(node.error(format!(
                    "the input `{field}` is not declared; add it under `inputs`, for instance {field}: {{}}"
                )));
            }
        }
        self.errors.len() == before
    }

    fn query(&mut self, node: &Node) {
        let Some(text) = node.as_str() else { return };
        let fault = match self.sample(text, Place::Query) {
            Ok(query) => promql::parse(&query)
                .err()
                .map(|error| format!("the query does not read: {error}")),
            Err(_) => None,
        };
        self.errors.extend(fault.map(|message| node.error(message)));
    }

    fn url(&mut self, node: &Node) {
        let Some(text) = node.as_str() else { return };
        let is_address = ["http://", "https://"]
            .iter()
            .any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
        if !is_address && !text.trim_start().starts_with("{{") {
            self.errors
                .push(node.error(format!("\"{text}\" is no address; write http://… or https://…")));
        }
    }

    /// The text with made-up values of the right types.
    fn sample(&self, text: &str, place: Place) -> Result<String, String> {
        let names = template::check(text)?;
        let under = |prefix: &str| -> BTreeMap<String, String> {
            let tail = names.iter().filter_map(|name| name.strip_prefix(prefix));
            tail.map(|name| (name.to_owned(), "x".to_owned())).collect()
        };
        let inputs = self.document.inputs.iter();
        let scope = Scope {
            inputs: inputs.map(|spec| (spec.name.clone(), made_up(spec))).collect(),
            target: Some(TargetView {
                id: "x".into(),
                name: "x".into(),
                tags: under("target.tags."),
            }),
            alert: Some(AlertView {
                name: "x".into(),
                labels: under("alert.labels."),
                annotations: under("alert.annotations."),
            }),
            run: RunView { id: "x".into() },
            secrets: BTreeMap::new(),
            globs: globs(&self.document.inputs),
        };
        template::render_in(text, &scope, place)
    }
}

fn made_up(spec: &InputSpec) -> Scalar {
    match &spec.kind {
        InputKind::Integer { min, .. } => Scalar::Integer((*min).max(1)),
        InputKind::Boolean => Scalar::Boolean(true),
        InputKind::Choice { options } => Scalar::Text(options.first().cloned().unwrap_or_default()),
        InputKind::Text { .. } | InputKind::Glob { .. } | InputKind::Secret => Scalar::Text("x".into()),
    }
}
