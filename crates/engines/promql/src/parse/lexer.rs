//! Splits a query into tokens with their places.

use crate::ast::Span;
use crate::parse::error::ParseError;
use crate::parse::literal;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tok {
    Ident(String),
    Number(f64),
    /// Seconds.
    Duration(f64),
    Text(String),
    /// Operators and punctuation.
    Sym(&'static str),
    End,
}

impl Tok {
    /// How the token reads in an error.
    pub fn describe(&self) -> String {
        match self {
            Tok::Ident(name) => format!("\"{name}\""),
            Tok::Number(n) => format!("number {n}"),
            Tok::Duration(s) => format!("duration {}", crate::display::duration(*s)),
            Tok::Text(_) => "a string".into(),
            Tok::Sym(s) => format!("\"{s}\""),
            Tok::End => "the end of the query".into(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub tok: Tok,
    pub span: Span,
}

/// Longest first, so that `==` is not read as `=` twice.
const SYMBOLS: [&str; 26] = [
    "==", "=~", "!=", "!~", ">=", "<=", ">/", "</", "+", "-", "*", "/", "%", "^", "=", "<", ">", "(", ")",
    "{", "}", "[", "]", ",", "@", ":",
];

/// All tokens of `text`, ended by [`Tok::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut lexer = Lexer {
        text,
        at: 0,
        line: 1,
        line_start: 0,
        brackets: 0,
        out: Vec::new(),
    };
    while lexer.next()? {}
    Ok(lexer.out)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    line_start: usize,
    /// Inside `[…]` a colon is a separator, outside it is part of a name.
    brackets: u32,
    out: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn span(&self, len: usize) -> Span {
        let column = self.text[self.line_start..self.at].chars().count() + 1;
        let (start, end) = (self.at as u32, (self.at + len) as u32);
        Span {
            start,
            end,
            line: self.line,
            column: column as u32,
        }
    }

    fn push(&mut self, tok: Tok, len: usize) {
        let span = self.span(len);
        self.out.push(Token { tok, span });
        for (i, byte) in self.text.as_bytes()[self.at..self.at + len].iter().enumerate() {
            if *byte == b'\n' {
                self.line += 1;
                self.line_start = self.at + i + 1;
            }
        }
        self.at += len;
    }

    fn skip_space(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(&b) = bytes.get(self.at) {
            match b {
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    self.line_start = self.at;
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'#' => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                _ => break,
            }
        }
    }

    fn next(&mut self) -> Result<bool, ParseError> {
        self.skip_space();
        let rest = self.rest();
        let Some(c) = rest.chars().next() else {
            self.push(Tok::End, 0);
            return Ok(false);
        };
        let second = rest.as_bytes().get(1).copied().unwrap_or(0);
        if c.is_ascii_digit() || (c == '.' && second.is_ascii_digit()) {
            self.number()?;
        } else if matches!(c, '"' | '\'' | '`') {
            let (value, len) = literal::string(rest)
                .map_err(|(at, message)| ParseError::new(self.span(at.max(1)), message))?;
            self.push(Tok::Text(value), len);
        } else if c.is_ascii_alphabetic() || c == '_' || (c == ':' && self.brackets == 0) {
            self.ident();
        } else if let Some(sym) = SYMBOLS.iter().find(|s| rest.starts_with(**s)) {
            match *sym {
                "[" => self.brackets += 1,
                "]" => self.brackets = self.brackets.saturating_sub(1),
                _ => {}
            }
            self.push(Tok::Sym(sym), sym.len());
        } else {
            return Err(self.unknown(c));
        }
        Ok(true)
    }

    fn unknown(&self, c: char) -> ParseError {
        let error = ParseError::new(self.span(c.len_utf8()), format!("unexpected character {c:?}"));
        match c {
            '!' => error.help("a matcher is written name!=\"value\" or name!~\"pattern\""),
            '&' => error.help("write \"and\""),
            '|' => error.help("write \"or\""),
            _ => error.help("names with other characters are written in quotes: {\"my.metric\"}"),
        }
    }

    fn ident(&mut self) {
        let colon = self.brackets == 0;
        let rest = self.rest();
        let len = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || (c == ':' && colon)))
            .unwrap_or(rest.len());
        self.push(Tok::Ident(rest[..len].to_owned()), len);
    }

    fn number(&mut self) -> Result<(), ParseError> {
        let (tok, len) = literal::number_or_duration(self.rest())
            .map_err(|(len, message)| ParseError::new(self.span(len), message))?;
        self.push(tok, len);
        Ok(())
    }
}
