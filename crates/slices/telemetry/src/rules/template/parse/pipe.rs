//! Pipelines: declarations, commands and terms.

use super::Parser;
use crate::rules::template::lex::Token;
use crate::rules::template::tree::{At, Command, Pipe, Term, TermKind};
use crate::rules::template::{Fault, functions};

impl Parser {
    /// `$i, $x := command | command`, without what ends it.
    pub(super) fn pipe(&mut self, place: &str, at: At) -> Result<Pipe, Fault> {
        let (variables, is_assignment) = self.declaration(place)?;
        let mut commands = vec![self.command(place)?];
        while self.passes(&Token::Pipe) {
            let command_at = self.at();
            let command = self.command(place)?;
            if !command.first.kind.takes_value() {
                return Err(Fault::new(
                    command_at,
                    "a constant after \"|\": there a function must stand",
                ));
            }
            commands.push(command);
        }
        // They are known from here on, not in their own value.
        if !is_assignment {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipe {
            at,
            variables,
            is_assignment,
            commands,
        })
    }

    fn declaration(&mut self, place: &str) -> Result<(Vec<String>, bool), Fault> {
        let start = self.next;
        let mut names = Vec::new();
        loop {
            self.skip_space();
            let Some(Token::Variable(name)) = self.peek().cloned() else {
                break;
            };
            self.next += 1;
            names.push(name);
            if !self.passes(&Token::Comma) {
                break;
            }
        }
        self.skip_space();
        let is_assignment = self.peek() == Some(&Token::Assign);
        if names.is_empty() || !(is_assignment || self.peek() == Some(&Token::Declare)) {
            self.next = start;
            return Ok((Vec::new(), false));
        }
        if names.len() > if place == "range" { 2 } else { 1 } {
            return Err(Fault::new(self.at(), format!("too many variables in {place}")));
        }
        if let Some(unknown) = names
            .iter()
            .find(|name| is_assignment && !self.variables.contains(name))
        {
            return Err(Fault::new(
                self.at(),
                format!("the variable {unknown} is not declared"),
            ));
        }
        self.next += 1;
        Ok((names, is_assignment))
    }

    fn command(&mut self, place: &str) -> Result<Command, Fault> {
        let mut terms = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                Some(Token::Right | Token::Close | Token::Pipe) | None => break,
                Some(_) => terms.push(self.operand(place)?),
            }
            if !matches!(
                self.peek(),
                Some(Token::Space | Token::Right | Token::Close | Token::Pipe) | None
            ) {
                return Err(self.unexpected(place));
            }
        }
        let mut terms = terms.into_iter();
        let missing = || Fault::new(self.at(), format!("a value is missing in {place}"));
        let first = terms.next().ok_or_else(missing)?;
        if first.kind == TermKind::Nil {
            return Err(Fault::new(first.at, "nil is not a command"));
        }
        let rest = terms.collect();
        Ok(Command { first, rest })
    }

    /// A term with the fields that follow it.
    fn operand(&mut self, place: &str) -> Result<Term, Fault> {
        let mut term = self.term(place)?;
        let mut fields = Vec::new();
        while let Some(Token::Field(name)) = self.peek() {
            fields.push(name.clone());
            self.next += 1;
        }
        if fields.is_empty() {
            return Ok(term);
        }
        term.kind = match term.kind {
            TermKind::Fields(mut first) => {
                first.extend(fields);
                TermKind::Fields(first)
            }
            TermKind::Variable(name, _) => TermKind::Variable(name, fields),
            kind @ (TermKind::Pipe(_) | TermKind::Function(_)) => {
                TermKind::Chain(Box::new(Term { at: term.at, kind }), fields)
            }
            _ => return Err(Fault::new(term.at, "a constant has no fields")),
        };
        Ok(term)
    }

    fn term(&mut self, place: &str) -> Result<Term, Fault> {
        let at = self.at();
        let kind = match self.take() {
            Some(Token::Dot) => TermKind::Dot,
            Some(Token::Int(number)) => TermKind::Int(number),
            Some(Token::Float(number)) => TermKind::Float(number),
            Some(Token::Quoted(text)) => TermKind::Text(text),
            Some(Token::Field(name)) => TermKind::Fields(vec![name]),
            Some(Token::Variable(name)) if self.variables.contains(&name) => {
                TermKind::Variable(name, Vec::new())
            }
            Some(Token::Variable(name)) => {
                return Err(Fault::new(at, format!("the variable {name} is not declared")));
            }
            Some(Token::Word(word)) => named(&word, at)?,
            Some(Token::Open) => {
                let pipe = self.deeper(|p| p.pipe("parentheses", at))?;
                self.expect(&Token::Close, "parentheses")?;
                TermKind::Pipe(Box::new(pipe))
            }
            _ => {
                self.next -= 1;
                return Err(self.unexpected(place));
            }
        };
        Ok(Term { at, kind })
    }
}

fn named(word: &str, at: At) -> Result<TermKind, Fault> {
    Ok(match word {
        "true" => TermKind::Bool(true),
        "false" => TermKind::Bool(false),
        "nil" => TermKind::Nil,
        _ => match functions::known(word) {
            Some(name) => TermKind::Function(name),
            None => return Err(Fault::new(at, functions::unknown(word))),
        },
    })
}
