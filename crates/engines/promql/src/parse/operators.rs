//! Binary and unary operators and their modifiers.

use crate::ast::{Binary, BinaryOp, Expr, ExprKind, Group, Matching, Number};
use crate::parse::error::ParseError;
use crate::parse::lexer::Tok;
use crate::parse::{MAX_OPERATORS, Parsed, Parser, named_number};

/// The strength at which a unary sign takes its operand: `-2^2` is `-(2^2)`, `-a*b` is `(-a)*b`.
const UNARY: u8 = 6;

impl Parser {
    /// Operators of at least `strength`.
    pub(super) fn binary(&mut self, strength: u8) -> Parsed<Expr> {
        let mut lhs = self.unary()?;
        while let Some(op) = self.operator() {
            if op.precedence() < strength {
                break;
            }
            self.count_operator()?;
            self.advance();
            let return_bool = self.eat_word("bool");
            if return_bool && !op.is_comparison() {
                let message = format!("\"bool\" is only for comparisons, not for \"{}\"", op.as_str());
                return Err(ParseError::new(self.last_span(), message).help("remove \"bool\""));
            }
            let matching = self.matching(op)?;
            // `^` groups from the right, everything else from the left.
            let next = if op == BinaryOp::Pow {
                op.precedence()
            } else {
                op.precedence() + 1
            };
            let rhs = self.deeper(|p| p.binary(next))?;
            let span = lhs.span.to(rhs.span);
            let binary = Binary {
                op,
                return_bool,
                matching,
                lhs,
                rhs,
            };
            lhs = Expr {
                kind: ExprKind::Binary(Box::new(binary)),
                span,
            };
        }
        Ok(lhs)
    }

    pub(super) fn count_operator(&mut self) -> Parsed<()> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            let message = format!("the query has more than {MAX_OPERATORS} operators");
            return Err(ParseError::new(self.span(), message).help("split it with recording rules"));
        }
        Ok(())
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let negate = self.is_sym("-");
        if !negate && !self.is_sym("+") {
            return self.postfix();
        }
        let span = self.advance().span;
        let operand = self.deeper(|p| p.binary(UNARY))?;
        let span = span.to(operand.span);
        let kind = match operand.kind {
            ExprKind::Number(n) => {
                let value = if negate { -n.value } else { n.value };
                ExprKind::Number(Number { value, ..n })
            }
            _ => ExprKind::Unary {
                negate,
                expr: Box::new(operand),
            },
        };
        Ok(Expr { kind, span })
    }

    pub(super) fn operator(&self) -> Option<BinaryOp> {
        let op = match self.peek() {
            Tok::Sym(s) => match *s {
                "+" => BinaryOp::Add,
                "-" => BinaryOp::Sub,
                "*" => BinaryOp::Mul,
                "/" => BinaryOp::Div,
                "%" => BinaryOp::Mod,
                "^" => BinaryOp::Pow,
                "==" => BinaryOp::Equal,
                "!=" => BinaryOp::NotEqual,
                ">" => BinaryOp::Greater,
                "<" => BinaryOp::Less,
                ">=" => BinaryOp::GreaterEqual,
                "<=" => BinaryOp::LessEqual,
                "</" => BinaryOp::TrimUpper,
                ">/" => BinaryOp::TrimLower,
                _ => return None,
            },
            Tok::Ident(word) => match word.to_ascii_lowercase().as_str() {
                "and" => BinaryOp::And,
                "or" => BinaryOp::Or,
                "unless" => BinaryOp::Unless,
                "atan2" => BinaryOp::Atan2,
                _ => return None,
            },
            _ => return None,
        };
        Some(op)
    }

    fn matching(&mut self, op: BinaryOp) -> Parsed<Matching> {
        let mut matching = Matching::default();
        if (self.is_word("on") || self.is_word("ignoring")) && self.second_is_paren() {
            matching.on = self.is_word("on");
            self.advance();
            matching.labels = self.label_list()?;
            let left = self.is_word("group_left");
            if left || self.is_word("group_right") {
                let span = self.advance().span;
                if op.is_set() {
                    let message = format!("\"{}\" does not group", op.as_str());
                    return Err(ParseError::new(span, message).help("remove group_left or group_right"));
                }
                matching.group = if left { Group::Left } else { Group::Right };
                if self.is_sym("(") {
                    matching.include = self.label_list()?;
                }
                let both = matching
                    .include
                    .iter()
                    .find(|l| matching.on && matching.labels.contains(l));
                if let Some(label) = both {
                    let message = format!("label \"{label}\" is both matched on and copied");
                    return Err(ParseError::new(span, message).help("name it in only one of the two lists"));
                }
            }
        }
        if (self.is_word("group_left") || self.is_word("group_right")) && self.second_is_paren() {
            return Err(self.unexpected("here", "a vector"));
        }
        while self.fill(op, &mut matching)? {}
        Ok(matching)
    }

    fn fill(&mut self, op: BinaryOp, matching: &mut Matching) -> Parsed<bool> {
        let word = match self.peek() {
            Tok::Ident(word) if self.second_is_paren() => word.to_ascii_lowercase(),
            _ => return Ok(false),
        };
        let (left, right) = match word.as_str() {
            "fill" => (true, true),
            "fill_left" => (true, false),
            "fill_right" => (false, true),
            _ => return Ok(false),
        };
        let span = self.advance().span;
        if op.is_set() {
            let message = format!("\"{}\" cannot fill missing series", op.as_str());
            return Err(ParseError::new(span, message).help(format!("remove \"{word}\"")));
        }
        self.advance();
        let value = self.signed_number()?;
        self.expect(")", "after the fill value")?;
        if left {
            matching.fill_left = Some(value);
        }
        if right {
            matching.fill_right = Some(value);
        }
        Ok(true)
    }

    /// A literal number with an optional sign.
    pub(super) fn signed_number(&mut self) -> Parsed<Number> {
        let negative = self.is_sym("-");
        if negative || self.is_sym("+") {
            self.advance();
        }
        let number = match self.peek() {
            Tok::Number(value) => Number {
                value: *value,
                is_duration: false,
            },
            Tok::Duration(value) => Number {
                value: *value,
                is_duration: true,
            },
            Tok::Ident(name) if named_number(name).is_some() => Number {
                value: named_number(name).unwrap_or(f64::NAN),
                is_duration: false,
            },
            _ => return Err(self.unexpected("here", "a number")),
        };
        self.advance();
        Ok(Number {
            value: if negative { -number.value } else { number.value },
            ..number
        })
    }
}
