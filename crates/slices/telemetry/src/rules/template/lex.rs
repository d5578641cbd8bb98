//! The words of a template: text outside of `{{ }}`, and what stands inside, with trim markers applied and comments left out.

use super::Fault;
use super::tree::At;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Text(String),
    Left,
    Right,
    Space,
    Declare,
    Assign,
    Pipe,
    Comma,
    Open,
    Close,
    Dot,
    Quoted(String),
    Int(i64),
    Float(f64),
    Word(String),
    Field(String),
    Variable(String),
}

impl Token {
    /// As it is named in errors.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Text(_) => "text".into(),
            Self::Left => "\"{{\"".into(),
            Self::Right => "\"}}\"".into(),
            Self::Space => "a space".into(),
            Self::Declare => "\":=\"".into(),
            Self::Assign => "\"=\"".into(),
            Self::Pipe => "\"|\"".into(),
            Self::Comma => "\",\"".into(),
            Self::Open => "\"(\"".into(),
            Self::Close => "\")\"".into(),
            Self::Dot => "\".\"".into(),
            Self::Quoted(text) => format!("the text {text:?}"),
            Self::Int(number) => format!("the number {number}"),
            Self::Float(number) => format!("the number {number}"),
            Self::Word(word) => format!("{word:?}"),
            Self::Field(name) => format!("\".{name}\""),
            Self::Variable(name) => format!("{name:?}"),
        }
    }
}

const SPACES: &[char] = &[' ', '\t', '\r', '\n'];

pub(super) fn tokens(text: &str) -> Result<Vec<(At, Token)>, Fault> {
    let mut lexer = Lexer {
        text,
        at: 0,
        out: Vec::new(),
    };
    lexer.run()?;
    Ok(lexer.out)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    out: Vec<(At, Token)>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push(&mut self, at: usize, token: Token) {
        self.out.push((at as At, token));
    }

    fn fault<T>(&self, at: usize, message: impl Into<String>) -> Result<T, Fault> {
        Err(Fault::new(at as At, message))
    }

    fn run(&mut self) -> Result<(), Fault> {
        loop {
            let rest = self.rest();
            let Some(open) = rest.find("{{") else {
                if !rest.is_empty() {
                    self.push(self.at, Token::Text(rest.to_owned()));
                }
                return Ok(());
            };
            let (mut before, inner) = (&rest[..open], &rest[open + 2..]);
            let is_trimmed = inner.starts_with('-') && inner[1..].starts_with(SPACES);
            if is_trimmed {
                before = before.trim_end_matches(SPACES);
            }
            if !before.is_empty() {
                self.push(self.at, Token::Text(before.to_owned()));
            }
            let left = self.at + open;
            self.at = left + 2 + usize::from(is_trimmed);
            let skipped = usize::from(is_trimmed);
            if self.text[self.at + skipped..].starts_with("/*") {
                self.comment(left, skipped)?;
            } else {
                self.push(left, Token::Left);
                self.action(left)?;
            }
        }
    }

    fn comment(&mut self, left: usize, skipped: usize) -> Result<(), Fault> {
        let Some(end) = self.text[self.at + skipped..].find("*/") else {
            return self.fault(left, "the comment does not end");
        };
        self.at += skipped + end + 2;
        match self.right_marker() {
            Some(length) => {
                self.close(length);
                Ok(())
            }
            None => self.fault(self.at, "a comment must be alone between \"{{\" and \"}}\""),
        }
    }

    /// The length of the `}}` or ` -}}` that stands here.
    fn right_marker(&self) -> Option<usize> {
        let rest = self.rest();
        if rest.starts_with("}}") {
            return Some(2);
        }
        (rest.starts_with(SPACES) && rest[1..].starts_with("-}}")).then_some(4)
    }

    fn close(&mut self, length: usize) {
        self.at += length;
        if length > 2 {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(SPACES).len();
        }
    }

    /// What stands between `{{` and `}}`.
    fn action(&mut self, left: usize) -> Result<(), Fault> {
        loop {
            if let Some(length) = self.right_marker() {
                self.push(self.at, Token::Right);
                self.close(length);
                return Ok(());
            }
            let at = self.at;
            let Some(c) = self.rest().chars().next() else {
                return self.fault(left, "\"{{\" has no closing \"}}\"");
            };
            let token = match c {
                ' ' | '\t' | '\r' | '\n' => {
                    while self.right_marker().is_none() && self.rest().starts_with(SPACES) {
                        self.at += 1;
                    }
                    Token::Space
                }
                ':' if self.rest().starts_with(":=") => self.mark(2, Token::Declare),
                '=' => self.mark(1, Token::Assign),
                '|' => self.mark(1, Token::Pipe),
                ',' => self.mark(1, Token::Comma),
                '(' => self.mark(1, Token::Open),
                ')' => self.mark(1, Token::Close),
                '"' => self.quoted()?,
                '`' => self.raw()?,
                '\'' => self.character()?,
                '$' => Token::Variable(self.name(1, at)?),
                '.' if !self.rest()[1..].starts_with(|d: char| d.is_ascii_digit()) => {
                    match self.name(1, at)?.strip_prefix('.') {
                        Some("") | None => Token::Dot,
                        Some(name) => Token::Field(name.to_owned()),
                    }
                }
                '+' | '-' | '.' | '0'..='9' => self.number()?,
                c if is_word(c) => Token::Word(self.name(0, at)?),
                c => return self.fault(at, format!("{c:?} does not belong into an action")),
            };
            self.push(at, token);
        }
    }

    fn mark(&mut self, length: usize, token: Token) -> Token {
        self.at += length;
        token
    }

    /// A name with its `head` first characters, and nothing glued to it.
    fn name(&mut self, head: usize, at: usize) -> Result<String, Fault> {
        let rest = self.rest();
        let length = rest[head..].find(|c| !is_word(c)).unwrap_or(rest.len() - head) + head;
        self.at += length;
        let after = self.rest();
        let is_end = after.is_empty()
            || after.starts_with("}}")
            || after.starts_with([' ', '\t', '\r', '\n', '.', ',', '|', ':', '=', '(', ')']);
        match after.chars().next() {
            Some(c) if !is_end => self.fault(at, format!("{c:?} is glued to {:?}", &rest[..length])),
            _ => Ok(rest[..length].to_owned()),
        }
    }

    fn raw(&mut self) -> Result<Token, Fault> {
        let at = self.at;
        let Some((text, _)) = self.rest()[1..].split_once('`') else {
            return self.fault(at, "the text in ` ` does not end");
        };
        self.at += text.len() + 2;
        Ok(Token::Quoted(text.to_owned()))
    }

    fn quoted(&mut self) -> Result<Token, Fault> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            match self.rest().chars().next() {
                Some('"') => {
                    self.at += 1;
                    return Ok(Token::Quoted(out));
                }
                None | Some('\n') => return self.fault(start, "the quoted text does not end"),
                Some('\\') => out.push(self.escape()?),
                Some(c) => {
                    out.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    fn character(&mut self) -> Result<Token, Fault> {
        let start = self.at;
        self.at += 1;
        let c = match self.rest().chars().next() {
            Some('\\') => self.escape()?,
            Some(c) if c != '\'' && c != '\n' => {
                self.at += c.len_utf8();
                c
            }
            _ => return self.fault(start, "a character stands between ' and '"),
        };
        if !self.rest().starts_with('\'') {
            return self.fault(start, "a character stands between ' and '");
        }
        self.at += 1;
        Ok(Token::Int(i64::from(u32::from(c))))
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let at = self.at;
        let Some(c) = self.rest().chars().nth(1) else {
            return self.fault(at, "the quoted text does not end");
        };
        self.at += 1 + c.len_utf8();
        let digits = match c {
            'n' => return Ok('\n'),
            't' => return Ok('\t'),
            'r' => return Ok('\r'),
            'a' => return Ok('\u{7}'),
            'b' => return Ok('\u{8}'),
            'f' => return Ok('\u{c}'),
            'v' => return Ok('\u{b}'),
            '\\' | '"' | '\'' => return Ok(c),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => {
                return self.fault(
                    at,
                    format!("\"\\{c}\" is no escape; write \"\\\\\" for a backslash"),
                );
            }
        };
        let code = self.rest().get(..digits);
        let code = code.filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let found = code
            .and_then(|text| u32::from_str_radix(text, 16).ok())
            .and_then(char::from_u32);
        self.at += if found.is_some() { digits } else { 0 };
        found.map_or_else(|| self.fault(at, "the escape names no character"), Ok)
    }

    fn number(&mut self) -> Result<Token, Fault> {
        let at = self.at;
        let mut length = 0;
        let mut before = '+';
        for c in self.rest().chars() {
            let is_sign = matches!(c, '+' | '-') && (length == 0 || matches!(before, 'e' | 'E'));
            if !is_sign && !is_word(c) && c != '.' {
                break;
            }
            before = c;
            length += c.len_utf8();
        }
        let text = &self.rest()[..length];
        self.at += length;
        let plain = text.replace('_', "");
        let unsigned = plain.trim_start_matches(['+', '-']);
        let radix = match unsigned.get(..2) {
            Some("0x" | "0X") => Some(16),
            Some("0o" | "0O") => Some(8),
            Some("0b" | "0B") => Some(2),
            _ => None,
        };
        let token = match radix {
            Some(radix) => i64::from_str_radix(&unsigned[2..], radix)
                .ok()
                .map(|n| Token::Int(if plain.starts_with('-') { -n } else { n })),
            None if plain.contains(['.', 'e', 'E']) => plain.parse().ok().map(Token::Float),
            None => plain.parse().ok().map(Token::Int),
        };
        token.map_or_else(|| self.fault(at, format!("{text:?} is no number")), Ok)
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}
