//! What is refused before the parser sees it: too long, too deep, or folded by the parser into something large.

use minijinja::machinery::{Token, tokenize};

use crate::Error;

/// Tokens of one `{{ … }}` or `{% … %}`: the parser and the compiler recurse over them.
const TOKENS_MAX: usize = 400;
/// `elif`s of a template: the parser recurses over them.
const ELIF_MAX: usize = 100;

pub fn check(source: &str, bytes_max: usize, is_expression: bool) -> Result<(), Error> {
    if source.len() > bytes_max {
        return Err(Error::new(
            1,
            format!("the template is longer than {bytes_max} bytes"),
        ));
    }
    let mut tag: Vec<Token<'_>> = Vec::new();
    let mut elifs = 0;
    for token in tokenize(source, is_expression, Default::default()) {
        let (token, span) = token?;
        let line = usize::from(span.start_line);
        match token {
            Token::TemplateData(_)
            | Token::VariableStart
            | Token::VariableEnd
            | Token::BlockStart
            | Token::BlockEnd => {
                check_products(&tag, line)?;
                tag.clear();
                continue;
            }
            Token::Ident("elif") => elifs += 1,
            _ => {}
        }
        tag.push(token);
        if tag.len() > TOKENS_MAX || elifs > ELIF_MAX {
            return Err(Error::new(line, "the expression is too long"));
        }
    }
    check_products(&tag, 1)
}

/// A product of constants is made while parsing: only numbers may be in it.
fn check_products(tag: &[Token<'_>], line: usize) -> Result<(), Error> {
    for (at, _) in tag
        .iter()
        .enumerate()
        .filter(|(_, token)| matches!(token, Token::Mul))
    {
        let before = operand(tag[..at].iter().rev(), Side::Before);
        let after = operand(tag[at + 1..].iter(), Side::After);
        let is_constant = !matches!(before, Operand::Value) && !matches!(after, Operand::Value);
        if is_constant && (matches!(before, Operand::Literal) || matches!(after, Operand::Literal)) {
            return Err(Error::new(line, "* takes numbers"));
        }
    }
    Ok(())
}

enum Operand {
    Number,
    /// A constant that may be a text or a list.
    Literal,
    /// Known when the template is filled.
    Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

/// What stands on one side of a `*`, read away from it.
fn operand<'t>(tokens: impl Iterator<Item = &'t Token<'t>>, side: Side) -> Operand {
    let mut depth = 0_usize;
    let mut is_numeric = true;
    for token in tokens {
        is_numeric &= !matches!(
            token,
            Token::Str(_) | Token::String(_) | Token::Comma | Token::BracketOpen | Token::BraceOpen
        );
        let bracket = match token {
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => Some(side == Side::After),
            Token::ParenClose | Token::BracketClose | Token::BraceClose => Some(side == Side::Before),
            _ => None,
        };
        match (token, bracket) {
            (Token::Ident("true" | "True" | "false" | "False" | "none" | "None"), _) => {
                return Operand::Literal;
            }
            (Token::Ident(_), _) => return Operand::Value,
            (_, Some(true)) => depth += 1,
            (_, Some(false)) if depth == 1 && is_numeric => return Operand::Number,
            (_, Some(false)) if depth <= 1 => return Operand::Literal,
            (_, Some(false)) => depth -= 1,
            (Token::Minus, None) if depth == 0 => {}
            (Token::Int(_) | Token::Int128(_) | Token::Float(_), None) if depth == 0 => {
                return Operand::Number;
            }
            _ if depth == 0 => return Operand::Literal,
            _ => {}
        }
    }
    Operand::Literal
}
