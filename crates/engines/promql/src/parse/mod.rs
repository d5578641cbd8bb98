//! Text to syntax tree, with the place of every part and every mistake.
//!
//! Flow: [`lexer`] makes tokens, the grammar here and in its sub-modules makes the tree, [`check`] refuses
//! trees whose types do not fit. Keywords are not reserved: `sum`, `by` or `fill` may name metrics.

mod aggregate;
mod check;
mod duration;
mod error;
mod lexer;
mod literal;
mod operators;
mod selector;

pub use error::ParseError;
pub use literal::parse_duration;

use crate::ast::{AggregateOp, Call, Expr, ExprKind, Number, Span};
use crate::functions;
use lexer::{Tok, Token};

/// Deeper nesting is refused: the tree is walked recursively.
const MAX_DEPTH: u32 = 100;
/// Likewise for the finished tree, in which a chain of operators nests to the left.
const MAX_TREE_DEPTH: u32 = 200;
/// More operators are refused before the tree is built: even dropping it is recursive.
const MAX_OPERATORS: u32 = 2000;
/// Longer queries are refused.
const MAX_BYTES: usize = 64 << 10;

/// Parses and type-checks a query.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let start = Span {
        line: 1,
        column: 1,
        ..Span::default()
    };
    if text.len() > MAX_BYTES {
        let message = format!("the query has {} bytes; the limit is {MAX_BYTES}", text.len());
        return Err(ParseError::new(start, message).help("split it with recording rules"));
    }
    let mut parser = Parser {
        tokens: lexer::tokens(text)?,
        at: 0,
        depth: 0,
        operators: 0,
        duration_operators: 0,
    };
    if parser.peek() == &Tok::End {
        return Err(ParseError::new(start, "the query is empty").help("write for example up"));
    }
    let expr = parser.expr()?;
    if parser.peek() != &Tok::End {
        return Err(parser.unexpected("after the expression", "an operator or the end of the query"));
    }
    not_too_deep(&expr)?;
    check::check(&expr)?;
    Ok(expr)
}

fn not_too_deep(expr: &Expr) -> Result<(), ParseError> {
    let mut open = vec![(expr, 1)];
    while let Some((expr, depth)) = open.pop() {
        if depth > MAX_TREE_DEPTH {
            let message = format!("the query is nested more than {MAX_TREE_DEPTH} levels deep");
            let help =
                "split it with recording rules, or join long chains of \"or\" in one regular expression";
            return Err(ParseError::new(expr.span, message).help(help));
        }
        open.extend(expr.children().into_iter().map(|c| (c, depth + 1)));
    }
    Ok(())
}

/// Parses a selector (`up{job="x"}`) to its matchers, as the series and label endpoints take it.
pub fn parse_selector(text: &str) -> Result<Vec<crate::Matcher>, ParseError> {
    let expr = parse(text)?;
    match expr.unparen().kind.clone() {
        ExprKind::Vector(v) if v.shift == Default::default() => Ok(v.matchers),
        _ => {
            Err(ParseError::new(expr.span, "expected a series selector").help("write name{label=\"value\"}"))
        }
    }
}

pub(crate) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
    operators: u32,
    duration_operators: u32,
}

type Parsed<T> = Result<T, ParseError>;

impl Parser {
    fn peek(&self) -> &Tok {
        &self.tokens[self.at].tok
    }

    fn peek_second(&self) -> &Tok {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].tok
    }

    fn span(&self) -> Span {
        self.tokens[self.at].span
    }

    /// The place of the token taken last.
    fn last_span(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].span
    }

    fn advance(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn is_sym(&self, sym: &str) -> bool {
        matches!(self.peek(), Tok::Sym(s) if *s == sym)
    }

    fn eat(&mut self, sym: &str) -> bool {
        let found = self.is_sym(sym);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, sym: &str, place: &str) -> Parsed<Span> {
        if self.is_sym(sym) {
            return Ok(self.advance().span);
        }
        Err(self.unexpected(place, &format!("\"{sym}\"")))
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Tok::Ident(name) if name.eq_ignore_ascii_case(word))
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    fn second_is_paren(&self) -> bool {
        matches!(self.peek_second(), Tok::Sym("("))
    }

    fn unexpected(&self, place: &str, wanted: &str) -> ParseError {
        let message = match self.peek() {
            Tok::End => format!("the query ends {place}"),
            other => format!("unexpected {} {place}", other.describe()),
        };
        ParseError::new(self.span(), message).help(self.hint().unwrap_or(format!("expected {wanted}")))
    }

    /// What a token in the wrong place is likely to mean.
    fn hint(&self) -> Option<String> {
        let hint = match self.peek() {
            Tok::Ident(word) => match word.to_ascii_lowercase().as_str() {
                "by" | "without" => {
                    format!(
                        "\"{word}\" belongs to an aggregation such as sum; a \")\" may be missing before it"
                    )
                }
                "group_left" | "group_right" => format!("\"{word}\" needs on(…) or ignoring(…) before it"),
                _ => return None,
            },
            Tok::Sym(op @ ("=" | "=~" | "!~")) => {
                format!("conditions on labels stand in braces: {{name{op}\"…\"}}")
            }
            _ => return None,
        };
        Some(hint)
    }

    /// Runs a step one level deeper.
    fn deeper<T>(&mut self, step: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            let message = format!("the query is nested more than {MAX_DEPTH} levels deep");
            return Err(ParseError::new(self.span(), message));
        }
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }

    pub(crate) fn expr(&mut self) -> Parsed<Expr> {
        self.deeper(|p| p.binary(0))
    }

    /// A literal, selector, call, aggregation or parenthesis, before any `[…]`, `offset` or `@`.
    fn primary(&mut self) -> Parsed<Expr> {
        let span = self.span();
        let kind = match self.peek().clone() {
            Tok::Number(value) => {
                self.advance();
                ExprKind::Number(Number {
                    value,
                    is_duration: false,
                })
            }
            Tok::Duration(value) => {
                self.advance();
                ExprKind::Number(Number {
                    value,
                    is_duration: true,
                })
            }
            Tok::Text(text) => {
                self.advance();
                ExprKind::String(text)
            }
            Tok::Sym("(") => {
                self.advance();
                let inner = self.expr()?;
                self.expect(")", "in the parenthesis")?;
                ExprKind::Paren(Box::new(inner))
            }
            Tok::Sym("{") => ExprKind::Vector(self.braces(None)?),
            Tok::Ident(name) => return self.named(&name),
            _ => return Err(self.unexpected("here", "a metric, a number, a function or \"(\"")),
        };
        Ok(Expr {
            kind,
            span: span.to(self.last_span()),
        })
    }

    fn named(&mut self, name: &str) -> Parsed<Expr> {
        let span = self.span();
        if let Some(op) = AggregateOp::from_name(name) {
            let grouped = matches!(self.peek_second(), Tok::Ident(w) if is_grouping(w));
            if self.second_is_paren() || grouped {
                return self.aggregate(op);
            }
        }
        let kind = if self.second_is_paren() {
            ExprKind::Call(self.call(name)?)
        } else if let Some(value) = named_number(name) {
            self.advance();
            ExprKind::Number(Number {
                value,
                is_duration: false,
            })
        } else {
            self.advance();
            ExprKind::Vector(self.braces(Some(name))?)
        };
        Ok(Expr {
            kind,
            span: span.to(self.last_span()),
        })
    }

    fn call(&mut self, name: &str) -> Parsed<Call> {
        let Some(func) = functions::lookup(name) else {
            let error = ParseError::new(self.span(), format!("unknown function \"{name}\""));
            let known = functions::FUNCTIONS.iter().map(|f| f.name);
            return Err(match closest(name, known) {
                Some(near) => error.help(format!("did you mean \"{near}\"?")),
                None => error,
            });
        };
        self.advance();
        self.advance();
        let args = self.arguments("in the arguments")?;
        Ok(Call { func, args })
    }

    /// Comma-separated expressions up to the closing parenthesis; the opening one is taken already.
    fn arguments(&mut self, place: &str) -> Parsed<Vec<Expr>> {
        let mut args = Vec::new();
        if self.eat(")") {
            return Ok(args);
        }
        loop {
            args.push(self.expr()?);
            if self.eat(")") {
                return Ok(args);
            }
            if !self.eat(",") {
                return Err(self.unexpected(place, "\",\" or \")\""));
            }
        }
    }
}

fn is_grouping(word: &str) -> bool {
    word.eq_ignore_ascii_case("by") || word.eq_ignore_ascii_case("without")
}

pub(crate) fn named_number(name: &str) -> Option<f64> {
    if name.eq_ignore_ascii_case("inf") {
        Some(f64::INFINITY)
    } else if name.eq_ignore_ascii_case("nan") {
        Some(f64::NAN)
    } else {
        None
    }
}

/// The candidate nearest to `word`, if it is near enough to be a misspelling.
fn closest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    let near = candidates.map(|c| (distance(word, c), c)).min()?;
    (near.0 <= limit).then_some(near.1)
}

/// Edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let cost = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
