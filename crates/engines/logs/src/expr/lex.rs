//! Cuts a query text into tokens with character positions.
use super::ParseError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    /// A word or a quoted phrase.
    Text(String),
    Regex(String),
    /// `name:` followed by its value.
    Label(String, Value),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Bare(String),
    Quoted(String),
    Regex(String),
}

/// Longest query text, in characters.
const MAX_CHARS: usize = 16_384;

pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ParseError> {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() > MAX_CHARS {
        return Err(fail(
            MAX_CHARS,
            format!("the query is longer than {MAX_CHARS} characters; shorten it"),
        ));
    }
    let mut lexer = Lexer { chars: &chars, at: 0 };
    let mut found = Vec::new();
    while let Some(token) = lexer.next_token()? {
        found.push(token);
    }
    Ok(found)
}

pub(super) fn fail(at: usize, message: impl Into<String>) -> ParseError {
    ParseError {
        at,
        message: message.into(),
    }
}

struct Lexer<'a> {
    chars: &'a [char],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next_token(&mut self) -> Result<Option<(usize, Token)>, ParseError> {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        let start = self.at;
        let Some(first) = self.peek() else { return Ok(None) };
        let token = match first {
            '(' => self.single(Token::Open),
            ')' => self.single(Token::Close),
            '"' => Token::Text(self.quoted()?),
            '/' => match self.regex() {
                Some(pattern) => Token::Regex(pattern),
                None => Token::Text(self.bare()),
            },
            _ => self.word_or_label()?,
        };
        Ok(Some((start, token)))
    }

    fn single(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    fn word_or_label(&mut self) -> Result<Token, ParseError> {
        let name_len = self.chars[self.at..]
            .iter()
            .take_while(|c| is_name_char(**c))
            .count();
        let starts_well = self.peek().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let rest = &self.chars[self.at + name_len..];
        let is_label = starts_well && rest.first() == Some(&':') && !rest[1..].starts_with(&['/', '/']);
        if is_label && rest.get(1) != Some(&':') {
            let name: String = self.chars[self.at..self.at + name_len].iter().collect();
            self.at += name_len + 1;
            return Ok(Token::Label(name, self.value()?));
        }
        let word = self.bare();
        Ok(match word.as_str() {
            "AND" => Token::And,
            "OR" => Token::Or,
            "NOT" => Token::Not,
            _ => Token::Text(word),
        })
    }

    fn value(&mut self) -> Result<Value, ParseError> {
        match self.peek() {
            Some('"') => self.quoted().map(Value::Quoted),
            Some('/') => Ok(self
                .regex()
                .map_or_else(|| Value::Bare(self.bare()), Value::Regex)),
            Some(c) if !ends_word(c) => Ok(Value::Bare(self.bare())),
            _ => Err(fail(
                self.at,
                "the label has no value; write label:value, or label:\"\" for an absent label",
            )),
        }
    }

    fn bare(&mut self) -> String {
        let word: String = self.chars[self.at..]
            .iter()
            .take_while(|c| !ends_word(**c))
            .collect();
        self.at += word.chars().count();
        word
    }

    fn quoted(&mut self) -> Result<String, ParseError> {
        let start = self.at;
        let mut text = String::new();
        self.at += 1;
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '"' => return Ok(text),
                '\\' => match self.peek() {
                    Some(escaped @ ('"' | '\\')) => {
                        text.push(escaped);
                        self.at += 1;
                    }
                    _ => text.push('\\'),
                },
                _ => text.push(c),
            }
        }
        Err(fail(
            start,
            "the quote is not closed; add a \" at the end of the phrase",
        ))
    }

    /// The pattern up to the first bare slash that a blank, a parenthesis or the end follows; None without one.
    fn regex(&mut self) -> Option<String> {
        let mut pattern = String::new();
        let mut at = self.at + 1;
        loop {
            match (self.chars.get(at)?, self.chars.get(at + 1)) {
                ('\\', Some('/')) => {
                    pattern.push('/');
                    at += 2;
                }
                ('\\', Some(next)) => {
                    pattern.extend(['\\', *next]);
                    at += 2;
                }
                ('/', after) if after.is_none_or(|c| c.is_whitespace() || matches!(c, ')' | '(')) => {
                    self.at = at + 1;
                    return (!pattern.is_empty()).then_some(pattern);
                }
                (c, _) => {
                    pattern.push(*c);
                    at += 1;
                }
            }
        }
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"')
}
