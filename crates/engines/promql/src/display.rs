//! Prints expressions so that parsing the text gives the same tree.

use std::fmt;

use crate::METRIC_NAME;
use crate::ast::{
    Aggregate, At, Binary, Edge, Expr, ExprKind, Group, Matching, Number, Subquery, TimeShift, VectorSelector,
};
use crate::duration::DurationExpr;
use crate::matcher::MatchOp;

/// `text` in double quotes with escapes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn is_legacy_name(name: &str, colon: bool) -> bool {
    let ok = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':');
    !name.is_empty() && name.chars().all(ok) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// A label name, in quotes when its characters need them.
pub(crate) fn label_name(name: &str) -> String {
    if is_legacy_name(name, false) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A sample value as the query API writes it: `+Inf`, `NaN`, an exponent outside 1e-6…1e21.
pub fn format_value(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let size = value.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Seconds as a duration literal such as `1h30m`.
pub(crate) fn duration(seconds: f64) -> String {
    let mut ms = (seconds.abs() * 1000.0).round() as u64;
    if ms == 0 {
        return "0s".into();
    }
    let mut out = if seconds < 0.0 {
        String::from("-")
    } else {
        String::new()
    };
    let units = [
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    for (name, size) in units {
        if ms >= size && (name != "w" || ms.is_multiple_of(size)) {
            out.push_str(&format!("{}{name}", ms / size));
            ms %= size;
        }
    }
    out
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_duration {
            return f.write_str(&duration(self.value));
        }
        let text = format_value(self.value);
        f.write_str(text.strip_prefix('+').unwrap_or(&text))
    }
}

impl fmt::Display for DurationExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DurationExpr::Literal(n) => n.fmt(f),
            DurationExpr::Step => f.write_str("step()"),
            DurationExpr::Range => f.write_str("range()"),
            DurationExpr::Negate(e) => write!(f, "-{e}"),
            DurationExpr::Plus(e) => write!(f, "+{e}"),
            DurationExpr::Paren(e) => write!(f, "({e})"),
            DurationExpr::Binary(op, a, b) => write!(f, "{a} {} {b}", op.as_str()),
            DurationExpr::Min(a, b) => write!(f, "min_of({a}, {b})"),
            DurationExpr::Max(a, b) => write!(f, "max_of({a}, {b})"),
        }
    }
}

impl fmt::Display for TimeShift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(At::Millis(ms)) => write!(f, " @ {}", millis_as_seconds(*ms))?,
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
            None => {}
        }
        match &self.offset {
            Some(offset) => write!(f, " offset {offset}"),
            None => Ok(()),
        }
    }
}

fn millis_as_seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!(
        "{sign}{}.{:03}",
        ms.unsigned_abs() / 1000,
        ms.unsigned_abs() % 1000
    )
}

fn edge(edge: Edge) -> &'static str {
    match edge {
        Edge::Plain => "",
        Edge::Anchored => " anchored",
        Edge::Smoothed => " smoothed",
    }
}

/// Words that would be read as something else where a metric name may stand.
const RESERVED: [&str; 4] = ["inf", "nan", "bool", "offset"];

impl VectorSelector {
    /// The name and braces, without modifiers.
    fn series(&self) -> String {
        let names = self
            .matchers
            .iter()
            .filter(|m| m.name == METRIC_NAME && m.op == MatchOp::Equal);
        let plain = names.count() == 1 && self.matchers[0].name == METRIC_NAME;
        let outside = self.matchers.first().filter(|m| {
            plain
                && m.op == MatchOp::Equal
                && is_legacy_name(&m.value, true)
                && !RESERVED.iter().any(|r| r.eq_ignore_ascii_case(&m.value))
        });
        let mut text = outside.map(|m| m.value.clone()).unwrap_or_default();
        let inside = &self.matchers[usize::from(outside.is_some())..];
        if !inside.is_empty() || text.is_empty() {
            let parts: Vec<_> = inside.iter().map(ToString::to_string).collect();
            text.push_str(&format!("{{{}}}", parts.join(", ")));
        }
        text
    }
}

impl Matching {
    fn text(&self) -> String {
        let mut out = String::new();
        if self.on || !self.labels.is_empty() || self.group != Group::OneToOne {
            out.push_str(if self.on { " on " } else { " ignoring " });
            out.push_str(&label_list(&self.labels));
        }
        match self.group {
            Group::OneToOne => {}
            Group::Left => out.push_str(&format!(" group_left {}", label_list(&self.include))),
            Group::Right => out.push_str(&format!(" group_right {}", label_list(&self.include))),
        }
        match (self.fill_left, self.fill_right) {
            (Some(l), Some(r)) if l == r => out.push_str(&format!(" fill ({l})")),
            (l, r) => {
                l.iter().for_each(|n| out.push_str(&format!(" fill_left ({n})")));
                r.iter().for_each(|n| out.push_str(&format!(" fill_right ({n})")));
            }
        }
        out
    }
}

fn label_list(labels: &[String]) -> String {
    let names: Vec<_> = labels.iter().map(|l| label_name(l)).collect();
    format!("({})", names.join(", "))
}

impl Binary {
    /// The operator with its modifiers.
    fn operator(&self) -> String {
        let b = if self.return_bool { " bool" } else { "" };
        format!("{}{b}{}", self.op.as_str(), self.matching.text())
    }
}

impl Aggregate {
    /// The operator with its grouping.
    fn head(&self) -> String {
        match &self.grouping {
            None => self.op.name().to_owned(),
            Some(g) => {
                let word = if g.without { "without" } else { "by" };
                format!("{} {word} {} ", self.op.name(), label_list(&g.labels))
            }
        }
    }
}

impl Subquery {
    fn tail(&self) -> String {
        let step = self.step.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("[{}:{step}]{}", self.range, self.shift)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(n) => n.fmt(f),
            ExprKind::String(s) => f.write_str(&quoted(s)),
            ExprKind::Vector(v) => write!(f, "{}{}{}", v.series(), v.shift, edge(v.edge)),
            ExprKind::Matrix(m) => {
                let s = &m.selector;
                write!(f, "{}[{}]{}{}", s.series(), m.range, s.shift, edge(s.edge))
            }
            ExprKind::Subquery(s) => write!(f, "{}{}", s.expr, s.tail()),
            ExprKind::Call(c) => write!(f, "{}({})", c.func.name, list(&c.args)),
            ExprKind::Aggregate(a) => {
                let args: Vec<_> = a.param.iter().chain([&a.expr]).map(ToString::to_string).collect();
                write!(f, "{}({})", a.head(), args.join(", "))
            }
            ExprKind::Binary(b) => write!(f, "{} {} {}", b.lhs, b.operator(), b.rhs),
            ExprKind::Unary { negate, expr } => write!(f, "{}{expr}", if *negate { "-" } else { "+" }),
            ExprKind::Paren(e) => write!(f, "({e})"),
        }
    }
}

fn list(args: &[Expr]) -> String {
    args.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Lines longer than this are broken.
const WIDTH: usize = 100;

impl Expr {
    /// The expression over several indented lines where one would be too long.
    pub fn pretty(&self) -> String {
        self.pretty_at(0)
    }

    fn pretty_at(&self, indent: usize) -> String {
        let pad = "  ".repeat(indent);
        let line = self.to_string();
        if pad.len() + line.len() <= WIDTH {
            return format!("{pad}{line}");
        }
        let block = |args: &[&Expr]| {
            args.iter()
                .map(|a| a.pretty_at(indent + 1))
                .collect::<Vec<_>>()
                .join(",\n")
        };
        match &self.kind {
            ExprKind::Call(c) => {
                let args: Vec<&Expr> = c.args.iter().collect();
                format!("{pad}{}(\n{}\n{pad})", c.func.name, block(&args))
            }
            ExprKind::Aggregate(a) => {
                let args: Vec<&Expr> = a.param.iter().chain([&a.expr]).collect();
                format!("{pad}{}(\n{}\n{pad})", a.head(), block(&args))
            }
            ExprKind::Binary(b) => {
                let (lhs, rhs) = (b.lhs.pretty_at(indent + 1), b.rhs.pretty_at(indent + 1));
                format!("{lhs}\n{pad}{}\n{rhs}", b.operator())
            }
            ExprKind::Paren(e) => format!("{pad}(\n{}\n{pad})", e.pretty_at(indent + 1)),
            ExprKind::Subquery(s) => format!("{}{}", s.expr.pretty_at(indent), s.tail()),
            ExprKind::Unary { negate, expr } => {
                let inner = expr.pretty_at(indent);
                format!("{pad}{}{}", if *negate { "-" } else { "+" }, inner.trim_start())
            }
            _ => format!("{pad}{line}"),
        }
    }
}
