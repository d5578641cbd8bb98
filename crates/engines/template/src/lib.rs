//! Templates and conditions that people write, bounded in source, output, memory and work.
//!
//! Flow: `scan` refuses what would harm the parser; minijinja compiles; `program` rebuilds the instructions so that every
//! value that is made is charged to a [`Limits`] budget; `filters` are the built-in ones behind the same budget. Nothing
//! here reads a clock, a file or the network.

mod budget;
mod filters;
mod program;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, State, UndefinedBehavior, Value, machinery};
use serde::Serialize;

use crate::budget::Budget;

/// What one evaluation may take. Sizes are bytes; a list or map counts its elements too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub source_bytes: usize,
    pub output_bytes: usize,
    /// The largest value that an operator or a filter may make.
    pub value_bytes: usize,
    /// Everything that is read, made and written, in bytes.
    pub work_bytes: u64,
    /// Instructions.
    pub fuel: u64,
    /// Whether a name that is not defined is an error or the empty text.
    pub is_strict: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            source_bytes: 64 << 10,
            output_bytes: 64 << 10,
            value_bytes: 256 << 10,
            work_bytes: 8 << 20,
            fuel: 50_000,
            is_strict: true,
        }
    }
}

/// Why a template does not work, and in which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Error {
    pub line: usize,
    pub reason: String,
}

impl Error {
    fn new(line: usize, reason: impl Into<String>) -> Self {
        Self {
            line,
            reason: reason.into(),
        }
    }
}

impl From<minijinja::Error> for Error {
    fn from(error: minijinja::Error) -> Self {
        let reason = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        Self::new(error.line().unwrap_or(1), reason)
    }
}

/// How a value is written into the output.
pub type Formatter = Arc<dyn Fn(&Value) -> String + Send + Sync>;

/// A template with its limits.
#[derive(Clone)]
pub struct Template<'a> {
    source: &'a str,
    limits: Limits,
    formatter: Option<Formatter>,
}

impl<'a> Template<'a> {
    pub fn new(source: &'a str, limits: Limits) -> Self {
        Self {
            source,
            limits,
            formatter: None,
        }
    }

    /// Writes values in the caller's way. Invariant: the formatter bounds what it returns by [`text`].
    #[must_use]
    pub fn formatter(mut self, formatter: Formatter) -> Self {
        self.formatter = Some(formatter);
        self
    }

    pub fn render(&self, context: Value) -> Result<String, Error> {
        guarded(|| self.evaluate(context))
    }

    fn evaluate(&self, context: Value) -> Result<String, Error> {
        scan::check(self.source, self.limits.source_bytes, false)?;
        let budget = Arc::new(Budget::new(self.limits));
        let environment = environment(self.limits, &budget, self.formatter.clone());
        let parsed = environment.template_from_str(self.source)?;
        let compiled = machinery::get_compiled_template(&parsed);
        if !compiled.blocks.is_empty() {
            return Err(Error::new(1, "block is not available"));
        }
        let program = program::bounded(&compiled.instructions, self.source)?;
        let blocks = BTreeMap::new();
        let mut text = String::new();
        let mut output = machinery::make_string_output(&mut text);
        machinery::eval(
            &environment,
            &program,
            context,
            &blocks,
            &mut output,
            AutoEscape::None,
        )?;
        if text.len() > self.limits.output_bytes {
            let reason = format!("the result is longer than {} bytes", self.limits.output_bytes);
            return Err(Error::new(1, reason));
        }
        Ok(text)
    }
}

/// Fills a template.
pub fn render<C: Serialize>(source: &str, context: &C, limits: Limits) -> Result<String, Error> {
    let context = guarded(|| Ok(Value::from(minijinja::value::Serde(context))))?;
    Template::new(source, limits).render(context)
}

/// Whether an expression is true.
pub fn is_true<C: Serialize>(expression: &str, context: &C, limits: Limits) -> Result<bool, Error> {
    expression_names(expression, limits)?;
    let source = format!("{{% if ({expression}\n) %}}1{{% endif %}}");
    Ok(!render(&source, context, limits)?.is_empty())
}

/// The names that a template reads, such as `inputs.service`; an error when it does not parse.
pub fn names(source: &str, limits: Limits) -> Result<BTreeSet<String>, Error> {
    guarded(|| {
        scan::check(source, limits.source_bytes, false)?;
        let environment = environment(limits, &Arc::new(Budget::new(limits)), None);
        let parsed = environment.template_from_str(source)?;
        let compiled = machinery::get_compiled_template(&parsed);
        program::bounded(&compiled.instructions, source)?;
        if !compiled.blocks.is_empty() {
            return Err(Error::new(1, "block is not available"));
        }
        Ok(parsed.undeclared_variables(true).into_iter().collect())
    })
}

/// The names that an expression reads; an error when it does not parse.
pub fn expression_names(expression: &str, limits: Limits) -> Result<BTreeSet<String>, Error> {
    guarded(|| {
        scan::check(expression, limits.source_bytes, true)?;
        let environment = environment(limits, &Arc::new(Budget::new(limits)), None);
        let parsed = environment.compile_expression(expression)?;
        Ok(parsed.undeclared_variables(true).into_iter().collect())
    })
}

/// A value as programs write it (`true`, not `True`), cut at `max` bytes: what is cut fails the evaluation later.
pub fn text(value: &Value, max: usize) -> String {
    match value.kind() {
        minijinja::value::ValueKind::Bool => value.is_true().to_string(),
        _ => budget::written(value, max),
    }
}

fn environment(limits: Limits, budget: &Arc<Budget>, formatter: Option<Formatter>) -> Environment<'static> {
    let mut environment = Environment::new();
    for name in ["namespace", "dict", "debug", "range"] {
        environment.remove_global(name);
    }
    environment.set_undefined_behavior(match limits.is_strict {
        true => UndefinedBehavior::Strict,
        false => UndefinedBehavior::Lenient,
    });
    environment.set_fuel(Some(limits.fuel));
    environment.set_recursion_limit(60);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    filters::install(&mut environment, budget);
    let spent = budget.clone();
    environment.set_formatter(move |out, _: &mut State, value| {
        let written = match &formatter {
            Some(formatter) => formatter(value),
            None => text(value, limits.value_bytes + 1),
        };
        spent.made(written.len())?;
        out.write_str(&written).map_err(Into::into)
    });
    environment
}

/// Runs `work`; a panic in it is an error of the template.
fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::new(1, "the template cannot be evaluated")))
}
