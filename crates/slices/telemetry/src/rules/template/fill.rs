//! Filling a template: the walk over its tree with a stack of variables, in bounds of steps, depth and output.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::functions::{self, Tools};
use super::parse::Parsed;
use super::tree::{At, Branch, Command, Node, Pipe, Term, TermKind};
use super::value::Value;
use super::{Data, Fault, MAX_OUTPUT};

/// Nodes and calls that one filling may take.
const MAX_STEPS: usize = 20_000;
/// Bytes that the functions of one filling may be given.
const MAX_WORK: usize = 4 << 20;
/// What a call costs besides its arguments.
const CALL_WORK: usize = 32;
/// How deep blocks may be nested while they are filled, those of called templates included.
const MAX_DEPTH: usize = 100;

enum Flow {
    On,
    Break,
    Continue,
}

pub(super) fn fill<'a>(parsed: &'a Parsed, data: &'a Data<'a>) -> Result<String, Fault> {
    let root = root_variables(data);
    let mut filling = Filling {
        parsed,
        tools: Tools::new(data),
        variables: root,
        out: String::new(),
        steps: 0,
        work: 0,
        depth: 0,
    };
    filling.list(&Value::Root, &parsed.body)?;
    Ok(filling.out)
}

fn root_variables(data: &Data<'_>) -> Vec<(String, Value)> {
    [
        ("$", Value::Root),
        ("$labels", field_of_root("Labels", data).unwrap_or(Value::Nil)),
        (
            "$externalLabels",
            field_of_root("ExternalLabels", data).unwrap_or(Value::Nil),
        ),
        (
            "$externalURL",
            field_of_root("ExternalURL", data).unwrap_or(Value::Nil),
        ),
        ("$value", Value::Float(data.value)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn field_of_root(name: &str, data: &Data<'_>) -> Option<Value> {
    Some(match name {
        "Labels" => Value::Labels(Rc::new(data.labels.clone())),
        "ExternalLabels" => Value::Labels(Rc::new(data.external.labels.clone())),
        "ExternalURL" => Value::text(data.external.url.as_str()),
        "Value" => Value::Float(data.value),
        _ => return None,
    })
}

struct Filling<'a> {
    parsed: &'a Parsed,
    tools: Tools<'a>,
    variables: Vec<(String, Value)>,
    out: String,
    steps: usize,
    work: usize,
    depth: usize,
}

impl Filling<'_> {
    fn step(&mut self, at: At) -> Result<(), Fault> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(Fault::new(at, format!("takes more than {MAX_STEPS} steps")));
        }
        Ok(())
    }

    fn write(&mut self, text: &str, at: At) -> Result<(), Fault> {
        if self.out.len() + text.len() > MAX_OUTPUT {
            return Err(Fault::new(at, format!("gives more than {MAX_OUTPUT} bytes")));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn list(&mut self, dot: &Value, nodes: &[Node]) -> Result<Flow, Fault> {
        for node in nodes {
            match self.node(dot, node)? {
                Flow::On => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, dot: &Value, node: &Node) -> Result<Flow, Fault> {
        match node {
            Node::Text(text) => {
                self.step(0)?;
                self.write(text, 0)?;
            }
            Node::Action(pipe) => {
                let value = self.pipe(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.write(&value.print(), pipe.at)?;
                }
            }
            Node::If(branch) => {
                return self.scoped(branch.pipe.at, |f| {
                    let is = f.pipe(dot, &branch.pipe)?.is_true();
                    f.list(dot, if is { &branch.body } else { &branch.other })
                });
            }
            Node::With(branch) => {
                return self.scoped(branch.pipe.at, |f| match f.pipe(dot, &branch.pipe)? {
                    value if value.is_true() => f.list(&value, &branch.body),
                    _ => f.list(dot, &branch.other),
                });
            }
            Node::Range(branch) => return self.scoped(branch.pipe.at, |f| f.range(dot, branch)),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Template { at, name, with } => self.template(dot, *at, name, with.as_ref())?,
        }
        Ok(Flow::On)
    }

    /// Variables that `run` declares are gone after it.
    fn scoped<T>(&mut self, at: At, run: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth >= MAX_DEPTH {
            return Err(Fault::new(at, format!("nested deeper than {MAX_DEPTH}")));
        }
        self.depth += 1;
        let known = self.variables.len();
        let result = run(self);
        self.variables.truncate(known);
        self.depth -= 1;
        result
    }

    fn range(&mut self, dot: &Value, branch: &Branch) -> Result<Flow, Fault> {
        let at = branch.pipe.at;
        let over = self.commands(dot, &branch.pipe)?;
        self.work += over.weight();
        let items = items_of(&over).map_err(|message| Fault::new(at, message))?;
        self.work += items.len() * CALL_WORK;
        if self.work > MAX_WORK {
            return Err(Fault::new(
                at,
                format!("range: more than {MAX_WORK} bytes of work"),
            ));
        }
        if items.is_empty() {
            return self.list(dot, &branch.other);
        }
        for (key, item) in items {
            self.step(at)?;
            let flow = self.scoped(at, |f| {
                match &branch.pipe.variables[..] {
                    [] => {}
                    [one] => f.set(one, item.clone(), branch.pipe.is_assignment),
                    [first, second, ..] => {
                        f.set(first, key, branch.pipe.is_assignment);
                        f.set(second, item.clone(), branch.pipe.is_assignment);
                    }
                }
                f.list(&item, &branch.body)
            })?;
            if let Flow::Break = flow {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn template(&mut self, dot: &Value, at: At, name: &str, with: Option<&Pipe>) -> Result<(), Fault> {
        let value = with.map_or(Ok(Value::Nil), |pipe| self.pipe(dot, pipe))?;
        let Some(body) = self.parsed.defined.get(name) else {
            return Err(Fault::new(at, format!("template {name:?} not defined")));
        };
        self.step(at)?;
        let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), value.clone())]);
        let result = self.scoped(at, |f| f.list(&value, body));
        self.variables = outer;
        result.map(|_| ())
    }

    fn set(&mut self, name: &str, value: Value, is_assignment: bool) {
        if is_assignment && let Some(known) = self.variables.iter_mut().rev().find(|(n, _)| n == name) {
            known.1 = value;
            return;
        }
        self.variables.push((name.to_owned(), value));
    }

    fn pipe(&mut self, dot: &Value, pipe: &Pipe) -> Result<Value, Fault> {
        let value = self.commands(dot, pipe)?;
        for name in &pipe.variables {
            self.set(name, value.clone(), pipe.is_assignment);
        }
        Ok(value)
    }

    fn commands(&mut self, dot: &Value, pipe: &Pipe) -> Result<Value, Fault> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(dot, command, value)?);
        }
        Ok(value.unwrap_or(Value::Nil))
    }

    fn command(&mut self, dot: &Value, command: &Command, piped: Option<Value>) -> Result<Value, Fault> {
        let Command { first, rest } = command;
        self.step(first.at)?;
        if let TermKind::Function(name) = first.kind {
            return self.call(dot, name, rest, piped, first.at);
        }
        if !rest.is_empty() || piped.is_some() {
            return Err(Fault::new(
                first.at,
                "can't give an argument to what is no function",
            ));
        }
        self.term(dot, first)
    }

    fn call(
        &mut self,
        dot: &Value,
        name: &'static str,
        rest: &[Term],
        piped: Option<Value>,
        at: At,
    ) -> Result<Value, Fault> {
        let count = rest.len() + usize::from(piped.is_some());
        functions::check_count(name, count).map_err(|message| Fault::new(at, message))?;
        let mut args = Vec::with_capacity(count);
        for term in rest {
            let value = self.term(dot, term)?;
            // What follows is not looked at, so that `and $x $x.Labels` is safe.
            if (name == "and" && !value.is_true()) || (name == "or" && value.is_true()) {
                return Ok(value);
            }
            args.push(value);
        }
        args.extend(piped);
        self.bear(name, &args, at)?;
        let result = match name {
            "and" | "or" => Ok(args.pop().unwrap_or(Value::Nil)),
            _ => functions::call(name, &args, &self.tools),
        };
        let value = result.map_err(|message| Fault::new(at, format!("{name}: {message}")))?;
        match &value {
            Value::Text(text) if text.len() > MAX_OUTPUT => Err(Fault::new(
                at,
                format!("{name}: gives more than {MAX_OUTPUT} bytes"),
            )),
            _ => Ok(value),
        }
    }

    fn bear(&mut self, name: &str, args: &[Value], at: At) -> Result<(), Fault> {
        let weight: usize = args.iter().map(Value::weight).sum();
        self.work += weight + CALL_WORK;
        if self.work > MAX_WORK {
            return Err(Fault::new(
                at,
                format!("{name}: more than {MAX_WORK} bytes of work"),
            ));
        }
        Ok(())
    }

    fn term(&mut self, dot: &Value, term: &Term) -> Result<Value, Fault> {
        Ok(match &term.kind {
            TermKind::Dot => dot.clone(),
            TermKind::Nil => Value::Nil,
            TermKind::Bool(is) => Value::Bool(*is),
            TermKind::Int(number) => Value::Int(*number),
            TermKind::Float(number) => Value::Float(*number),
            TermKind::Text(text) => Value::text(text.as_str()),
            TermKind::Fields(names) => self.fields(dot.clone(), names, term.at)?,
            TermKind::Variable(name, names) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let value = known.map_or(Value::Nil, |(_, value)| value.clone());
                self.fields(value, names, term.at)?
            }
            TermKind::Function(name) => self.call(dot, name, &[], None, term.at)?,
            TermKind::Pipe(pipe) => self.pipe(dot, pipe)?,
            TermKind::Chain(inner, names) => {
                let value = self.term(dot, inner)?;
                self.fields(value, names, term.at)?
            }
        })
    }

    fn fields(&self, mut value: Value, names: &[String], at: At) -> Result<Value, Fault> {
        for name in names {
            let found = match &value {
                Value::Root => field_of_root(name, self.tools.data),
                Value::Labels(map) => Some(text_in(map, name)),
                Value::Args(map) => Some(map.get(name).cloned().unwrap_or(Value::Nil)),
                Value::Element(one) => match name.as_str() {
                    "Labels" => Some(Value::Labels(Rc::new(one.labels.clone()))),
                    "Value" => Some(Value::Float(one.value)),
                    _ => None,
                },
                _ => None,
            };
            value = found.ok_or_else(|| {
                Fault::new(
                    at,
                    format!("can't evaluate field {name} in type {}", value.kind()),
                )
            })?;
        }
        Ok(value)
    }
}

fn text_in(map: &BTreeMap<String, String>, name: &str) -> Value {
    Value::text(map.get(name).map_or("", String::as_str))
}

/// What `range` goes over: keys with their values.
fn items_of(over: &Value) -> Result<Vec<(Value, Value)>, String> {
    Ok(match over {
        Value::Elements(list) => {
            let numbered = list.iter().enumerate();
            numbered
                .map(|(n, one)| (Value::Int(n as i64), Value::Element(one.clone())))
                .collect()
        }
        Value::Labels(map) => map
            .iter()
            .map(|(name, text)| (Value::text(name.as_str()), Value::text(text.as_str())))
            .collect(),
        Value::Args(map) => map
            .iter()
            .map(|(name, value)| (Value::text(name.as_str()), value.clone()))
            .collect(),
        Value::Int(count) => (0..(*count).min(MAX_STEPS as i64))
            .map(|n| (Value::Int(n), Value::Int(n)))
            .collect(),
        Value::Nil => Vec::new(),
        other => return Err(format!("range can't iterate over {}", other.print())),
    })
}
