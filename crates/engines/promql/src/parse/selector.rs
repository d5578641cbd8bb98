//! Series selectors and what follows them: `{…}`, `[5m]`, `[1h:1m]`, `offset`, `@`, `anchored`, `smoothed`.

use crate::METRIC_NAME;
use crate::ast::{
    At, Edge, Expr, ExprKind, MatrixSelector, Span, Subquery, TimeShift, ValueType, VectorSelector,
};
use crate::matcher::{MatchOp, Matcher};
use crate::parse::error::ParseError;
use crate::parse::lexer::Tok;
use crate::parse::{Parsed, Parser};

impl Parser {
    /// The selector of metric `name`, if any, with the braces that may follow.
    pub(super) fn braces(&mut self, name: Option<&str>) -> Parsed<VectorSelector> {
        let mut matchers: Vec<Matcher> = name.map(|n| Matcher::equal(METRIC_NAME, n)).into_iter().collect();
        if self.eat("{") {
            while !self.eat("}") {
                let matcher = self.matcher(name, &matchers)?;
                matchers.push(matcher);
                if !self.is_sym("}") && !self.eat(",") {
                    return Err(self.unexpected("in the selector", "\",\" or \"}\""));
                }
            }
        }
        Ok(VectorSelector {
            matchers,
            shift: TimeShift::default(),
            edge: Edge::Plain,
        })
    }

    fn matcher(&mut self, outer: Option<&str>, before: &[Matcher]) -> Parsed<Matcher> {
        let span = self.span();
        let (name, is_text) = match self.peek().clone() {
            Tok::Ident(name) if !name.contains(':') => (name, false),
            Tok::Text(name) => (name, true),
            _ => return Err(self.unexpected("in the selector", "a label name")),
        };
        self.advance();
        let op = match self.peek() {
            Tok::Sym("=") => MatchOp::Equal,
            Tok::Sym("!=") => MatchOp::NotEqual,
            Tok::Sym("=~") => MatchOp::Regex,
            Tok::Sym("!~") => MatchOp::NotRegex,
            Tok::Sym("," | "}") if is_text => {
                let named = outer.is_some() || before.iter().any(|m| m.name == METRIC_NAME);
                if named {
                    return Err(ParseError::new(span, "the metric name is given twice").help("remove one"));
                }
                return Ok(Matcher::equal(METRIC_NAME, name));
            }
            _ => return Err(self.unexpected("after the label name", "=, !=, =~ or !~")),
        };
        self.advance();
        let value_span = self.span();
        let Tok::Text(value) = self.peek().clone() else {
            return Err(self.unexpected("in the matcher", "a value in quotes"));
        };
        self.advance();
        if name == METRIC_NAME && outer.is_some() && op == MatchOp::Equal {
            return Err(ParseError::new(span, "the metric name is given twice").help("remove one"));
        }
        Matcher::new(op, name, value).map_err(|message| ParseError::new(value_span, message))
    }

    /// A primary expression with its ranges and time shifts.
    pub(super) fn postfix(&mut self) -> Parsed<Expr> {
        let mut expr = self.primary()?;
        loop {
            let span = self.span();
            expr = if self.is_sym("[") {
                self.range(expr)?
            } else if self.is_word("offset") {
                self.advance();
                let offset = self.offset_duration()?;
                let shift = shift_of(&mut expr, span, "offset")?;
                if shift.offset.replace(offset).is_some() {
                    return Err(ParseError::new(span, "offset is given twice").help("remove one"));
                }
                expr
            } else if self.is_sym("@") {
                self.advance();
                let at = self.at_time()?;
                let shift = shift_of(&mut expr, span, "@")?;
                if shift.at.replace(at).is_some() {
                    return Err(ParseError::new(span, "@ is given twice").help("remove one"));
                }
                expr
            } else if self.is_word("anchored") || self.is_word("smoothed") {
                let edge = if self.is_word("anchored") {
                    Edge::Anchored
                } else {
                    Edge::Smoothed
                };
                self.advance();
                set_edge(&mut expr, edge, span)?;
                expr
            } else {
                return Ok(expr);
            };
            expr.span = expr.span.to(self.last_span());
        }
    }

    fn range(&mut self, expr: Expr) -> Parsed<Expr> {
        let open = self.advance().span;
        let range = self.duration()?;
        let span = expr.span;
        if self.eat(":") {
            let step = if self.is_sym("]") {
                None
            } else {
                Some(self.duration()?)
            };
            self.expect("]", "after the subquery")?;
            if expr.value_type() != ValueType::Vector {
                let message = format!("a subquery over {}", expr.value_type().as_str());
                let help = "only instant vectors have subqueries; remove the inner range";
                return Err(ParseError::new(open, message).help(help));
            }
            let shift = TimeShift::default();
            let kind = ExprKind::Subquery(Box::new(Subquery {
                expr,
                range,
                step,
                shift,
            }));
            return Ok(Expr { kind, span });
        }
        self.expect("]", "after the range")?;
        match expr.kind {
            ExprKind::Vector(selector) if selector.shift == TimeShift::default() => Ok(Expr {
                kind: ExprKind::Matrix(MatrixSelector { selector, range }),
                span,
            }),
            ExprKind::Vector(_) => {
                let error = ParseError::new(open, "the range comes after offset or @");
                Err(error.help("write metric[5m] offset 1h"))
            }
            _ => {
                let error = ParseError::new(open, "only a selector has a range");
                Err(error.help("for an expression use a subquery: expr[5m:1m]"))
            }
        }
    }

    fn at_time(&mut self) -> Parsed<At> {
        for (word, at) in [("start", At::Start), ("end", At::End)] {
            if self.is_word(word) && self.second_is_paren() {
                self.advance();
                self.advance();
                self.expect(")", "after start or end")?;
                return Ok(at);
            }
        }
        let span = self.span();
        let seconds = self.signed_number()?.value;
        let millis = (seconds * 1000.0).round();
        if !millis.is_finite() || millis.abs() >= 9e15 {
            let error = ParseError::new(span, format!("{seconds} is not a time for @"));
            return Err(error.help("give seconds since 1970, start() or end()"));
        }
        Ok(At::Millis(millis as i64))
    }
}

fn shift_of<'a>(expr: &'a mut Expr, span: Span, what: &str) -> Parsed<&'a mut TimeShift> {
    match &mut expr.kind {
        ExprKind::Vector(v) => Ok(&mut v.shift),
        ExprKind::Matrix(m) => Ok(&mut m.selector.shift),
        ExprKind::Subquery(s) => Ok(&mut s.shift),
        _ => {
            let message = format!("{what} must follow a selector or a subquery");
            Err(ParseError::new(span, message).help("move it into the expression, behind the selector"))
        }
    }
}

fn set_edge(expr: &mut Expr, edge: Edge, span: Span) -> Parsed<()> {
    let slot = match &mut expr.kind {
        ExprKind::Matrix(m) => &mut m.selector.edge,
        ExprKind::Vector(v) if edge == Edge::Smoothed => &mut v.edge,
        _ => {
            let error = ParseError::new(span, "anchored and smoothed must follow a selector");
            return Err(error.help("write metric[5m] anchored, or metric smoothed"));
        }
    };
    if *slot != Edge::Plain {
        return Err(ParseError::new(
            span,
            "only one of anchored and smoothed is possible",
        ));
    }
    *slot = edge;
    Ok(())
}
