//! Builds the tree from the tokens, and compiles regular expressions within bounds.
use super::lex::{Token, Value, fail, tokens};
use super::{Node, ParseError, Pattern, ValueTest, literals};
use crate::record::severity_number;
use crate::trigram::fold;
use regex_automata::meta::{Config, Regex};
use std::sync::Arc;

/// Deepest nesting of parentheses and NOT.
const MAX_DEPTH: usize = 64;
/// Largest compiled regular expression.
const MAX_REGEX_BYTES: usize = 1 << 20;

pub(super) fn parse(text: &str) -> Result<Node, ParseError> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(Node::All);
    }
    let mut parser = Parser {
        tokens,
        next: 0,
        end: text.chars().count(),
        depth: 0,
    };
    let node = parser.either()?;
    match parser.tokens.get(parser.next) {
        Some((at, _)) => Err(fail(
            *at,
            "this parenthesis closes nothing; remove it, or quote it to search for it",
        )),
        None => Ok(node),
    }
}

/// Compiles a regular expression with bounded size; the error says what is wrong in it.
pub(crate) fn compile_regex(pattern: &str) -> Result<Regex, String> {
    let config = Config::new()
        .nfa_size_limit(Some(MAX_REGEX_BYTES))
        .onepass_size_limit(Some(MAX_REGEX_BYTES));
    Regex::builder()
        .configure(config)
        .build(pattern)
        .map_err(|error| match error.syntax_error() {
            Some(syntax) => format!(
                "the regular expression is not valid: {}",
                last_line(&syntax.to_string())
            ),
            None => format!("the regular expression is too large: {error}"),
        })
}

/// Syntax errors are drawn over several lines; the last says what is wrong.
fn last_line(text: &str) -> String {
    text.lines()
        .last()
        .unwrap_or(text)
        .trim_start_matches("error: ")
        .to_string()
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    fn either(&mut self) -> Result<Node, ParseError> {
        let mut parts = vec![self.both()?];
        while self.peek() == Some(&Token::Or) {
            self.next += 1;
            parts.push(self.both()?);
        }
        Ok(single_or(parts, Node::Or))
    }

    fn both(&mut self) -> Result<Node, ParseError> {
        let mut parts = vec![self.negated()?];
        loop {
            match self.peek() {
                Some(Token::And) => self.next += 1,
                None | Some(Token::Or | Token::Close) => return Ok(single_or(parts, Node::And)),
                Some(_) => {}
            }
            parts.push(self.negated()?);
        }
    }

    fn negated(&mut self) -> Result<Node, ParseError> {
        if self.depth >= MAX_DEPTH {
            return Err(fail(
                self.at(),
                format!("more than {MAX_DEPTH} levels of nesting; simplify the query"),
            ));
        }
        self.depth += 1;
        let node = if self.peek() == Some(&Token::Not) {
            self.next += 1;
            Node::Not(Box::new(self.negated()?))
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn primary(&mut self) -> Result<Node, ParseError> {
        let at = self.at();
        let Some((_, token)) = self.tokens.get(self.next).cloned() else {
            return Err(fail(at, "a term is missing at the end"));
        };
        self.next += 1;
        match token {
            Token::Open => {
                let inner = self.either()?;
                if self.peek() != Some(&Token::Close) {
                    return Err(fail(at, "the parenthesis is not closed"));
                }
                self.next += 1;
                Ok(inner)
            }
            Token::Text(text) if text == "*" => Ok(Node::All),
            Token::Text(text) => Ok(Node::Contains(fold(&text).into())),
            Token::Regex(pattern) => Ok(Node::Regex(pattern_at(at, &pattern)?)),
            Token::Label(name, value) if name == "severity" => severity(at + name.len() + 1, &value),
            Token::Label(name, value) => {
                let test = value_test(at + name.chars().count() + 1, value)?;
                Ok(Node::Label {
                    name: name.into(),
                    test,
                })
            }
            Token::Close => Err(fail(at, "a term is missing before this parenthesis")),
            Token::And | Token::Or | Token::Not => Err(fail(
                at,
                "a term is missing here; quote the word to search for it as text",
            )),
        }
    }
}

fn single_or(mut parts: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Node {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        join(parts)
    }
}

fn pattern_at(at: usize, pattern: &str) -> Result<Arc<Pattern>, ParseError> {
    let regex = compile_regex(pattern).map_err(|message| fail(at, message))?;
    Ok(Arc::new(Pattern {
        regex,
        required: literals::required(pattern),
    }))
}

fn value_test(at: usize, value: Value) -> Result<ValueTest, ParseError> {
    Ok(match value {
        Value::Quoted(text) => ValueTest::Equals(text.into()),
        Value::Bare(text) if text.contains('*') => {
            ValueTest::Glob(text.split('*').map(String::from).collect())
        }
        Value::Bare(text) => ValueTest::Equals(text.into()),
        Value::Regex(pattern) => ValueTest::Regex(pattern_at(at, &pattern)?),
    })
}

fn severity(at: usize, value: &Value) -> Result<Node, ParseError> {
    let (Value::Bare(text) | Value::Quoted(text) | Value::Regex(text)) = value;
    let (operator, name) = match text.find(|c: char| !matches!(c, '<' | '>' | '=')) {
        Some(cut) => text.split_at(cut),
        None => (text.as_str(), ""),
    };
    let known = severity_number(name).ok_or_else(|| {
        let names = "emergency, alert, critical, error, warning, notice, info, debug or 0 to 7";
        fail(at, format!("\"{name}\" is not a severity; use {names}"))
    })?;
    let keep: fn(u8, u8) -> bool = match operator {
        "" | "=" => |number, known| number == known,
        "<=" => |number, known| number <= known,
        "<" => |number, known| number < known,
        ">=" => |number, known| number >= known,
        ">" => |number, known| number > known,
        _ => {
            return Err(fail(
                at,
                format!("\"{operator}\" does not compare; use <=, <, >=, > or nothing"),
            ));
        }
    };
    Ok(Node::Severity(std::array::from_fn(|number| {
        keep(number as u8, known)
    })))
}
