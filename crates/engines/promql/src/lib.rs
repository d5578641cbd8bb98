//! PromQL: parser with source positions, and evaluator over any [`Source`] of series.
//!
//! Flow: [`parse`] makes an [`Expr`]; [`instant`] or [`range`] select the data of every selector once and
//! evaluate all steps together; the [`Outcome`] holds the value and the warnings. Pure and synchronous: no I/O,
//! no clock, no threads of its own.

mod ast;
mod display;
mod duration;
mod eval;
mod functions;
mod inspect;
mod labels;
mod matcher;
mod parse;
mod regex;

pub use ast::*;
pub use display::format_value;
pub use duration::DurationExpr;
pub use eval::{
    EvalError, Options, Outcome, STALE_NAN_BITS, Sample, Series, Source, SourceError, Value, VectorSample,
    instant, range,
};
pub use functions::{FUNCTIONS, Function};
pub use inspect::{SimpleThreshold, metric_names, simple_threshold};
pub use labels::{Label, Labels, METRIC_NAME};
pub use matcher::{MatchOp, Matcher, quote_regex};
pub use parse::{ParseError, parse, parse_duration, parse_selector};
pub use regex::Regex;
