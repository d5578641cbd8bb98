//! Durations inside `[…]` and after `offset`: literals and arithmetic over `step()` and `range()`.

use crate::ast::{BinaryOp, Number};
use crate::duration::DurationExpr;
use crate::parse::error::ParseError;
use crate::parse::lexer::Tok;
use crate::parse::{Parsed, Parser};

/// In all durations of a query. A chain nests to the left, as deep as it is long.
const MAX_OPERATORS: u32 = 100;
/// Seconds; longer spans would overflow time arithmetic in milliseconds.
const MAX_SECONDS: f64 = 1e12;

impl Parser {
    /// A whole duration expression.
    pub(super) fn duration(&mut self) -> Parsed<DurationExpr> {
        let span = self.span();
        let duration = self.duration_binary(4)?;
        if let DurationExpr::Literal(Number { value, .. }) = &duration
            && (*value <= 0.0 || *value > MAX_SECONDS)
        {
            let error = ParseError::new(span, "a range or step must be longer than zero");
            return Err(error.help("write for example [5m]"));
        }
        Ok(duration)
    }

    /// The duration of an `offset`: a signed literal, a call, or an expression in parentheses. Operators after it
    /// belong to the query, not to the offset.
    pub(super) fn offset_duration(&mut self) -> Parsed<DurationExpr> {
        self.duration_unary(false)
    }

    fn duration_binary(&mut self, strength: u8) -> Parsed<DurationExpr> {
        let mut lhs = self.duration_unary(true)?;
        while let Some(op) = self.operator() {
            let arithmetic = op.precedence() >= 4 && op != BinaryOp::Atan2;
            if !arithmetic || op.precedence() < strength {
                break;
            }
            self.duration_operators += 1;
            if self.duration_operators > MAX_OPERATORS {
                let message = format!("more than {MAX_OPERATORS} operators in durations");
                return Err(ParseError::new(self.span(), message).help("write the durations as numbers"));
            }
            self.advance();
            let next = if op == BinaryOp::Pow {
                op.precedence()
            } else {
                op.precedence() + 1
            };
            let rhs = self.deeper(|p| p.duration_binary(next))?;
            lhs = DurationExpr::Binary(op, Box::new(lhs), Box::new(rhs));
        }
        Ok(lhs)
    }

    /// `inside` an expression a sign takes a whole power as its operand.
    fn duration_unary(&mut self, inside: bool) -> Parsed<DurationExpr> {
        let negate = self.is_sym("-");
        if !negate && !self.is_sym("+") {
            return self.duration_primary();
        }
        self.advance();
        let operand = self.deeper(|p| {
            if inside {
                p.duration_binary(6)
            } else {
                p.duration_unary(false)
            }
        })?;
        Ok(match (negate, operand) {
            (true, DurationExpr::Literal(n)) => DurationExpr::Literal(Number { value: -n.value, ..n }),
            (false, DurationExpr::Literal(n)) => DurationExpr::Literal(n),
            (true, other) => DurationExpr::Negate(Box::new(other)),
            (false, other) => DurationExpr::Plus(Box::new(other)),
        })
    }

    fn duration_primary(&mut self) -> Parsed<DurationExpr> {
        let literal = |value, is_duration| Ok(DurationExpr::Literal(Number { value, is_duration }));
        match self.peek().clone() {
            Tok::Number(value) => {
                self.advance();
                literal(value, false)
            }
            Tok::Duration(value) => {
                self.advance();
                literal(value, true)
            }
            Tok::Sym("(") => {
                self.advance();
                let inner = self.deeper(|p| p.duration_binary(4))?;
                self.expect(")", "in the duration")?;
                Ok(DurationExpr::Paren(Box::new(inner)))
            }
            Tok::Ident(name) if self.second_is_paren() => self.duration_call(&name.to_ascii_lowercase()),
            _ => Err(self.unexpected("here", "a duration such as 5m")),
        }
    }

    fn duration_call(&mut self, name: &str) -> Parsed<DurationExpr> {
        let span = self.advance().span;
        self.advance();
        match name {
            "step" | "range" => {
                self.expect(")", "after step or range")?;
                Ok(if name == "step" {
                    DurationExpr::Step
                } else {
                    DurationExpr::Range
                })
            }
            "min_of" | "max_of" => {
                let a = Box::new(self.deeper(|p| p.duration_binary(4))?);
                self.expect(",", "between the two durations")?;
                let b = Box::new(self.deeper(|p| p.duration_binary(4))?);
                self.expect(")", "after the two durations")?;
                Ok(if name == "min_of" {
                    DurationExpr::Min(a, b)
                } else {
                    DurationExpr::Max(a, b)
                })
            }
            _ => {
                let error = ParseError::new(span, format!("\"{name}\" is not a function of durations"));
                Err(error.help("these are step(), range(), min_of(a, b) and max_of(a, b)"))
            }
        }
    }
}
