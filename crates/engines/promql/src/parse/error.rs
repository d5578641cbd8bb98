//! The parser's error: what is wrong, where, and how to mend it.

use std::fmt;

use crate::ast::Span;

/// A query that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    pub message: String,
    /// How to mend it, when there is something to say.
    pub help: Option<String>,
    pub span: Span,
}

impl ParseError {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> ParseError {
        ParseError {
            message: message.into(),
            help: None,
            span,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> ParseError {
        self.help = Some(help.into());
        self
    }

    pub fn line(&self) -> u32 {
        self.span.line
    }

    pub fn column(&self) -> u32 {
        self.span.column
    }

    /// The error with the line it concerns and a mark under the place.
    pub fn render(&self, text: &str) -> String {
        let line = text
            .lines()
            .nth(self.span.line.saturating_sub(1) as usize)
            .unwrap_or_default();
        let before = self.span.column.saturating_sub(1) as usize;
        let width = (self.span.end.saturating_sub(self.span.start) as usize).clamp(1, 80);
        let room = line.chars().count().saturating_sub(before).max(1);
        format!(
            "{self}\n  {line}\n  {}{}",
            " ".repeat(before),
            "^".repeat(width.min(room))
        )
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.span.line, self.span.column, self.message
        )?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ParseError {}
