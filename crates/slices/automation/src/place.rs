//! Values in the texts of another language: an input stays one literal there, whatever it holds.

/// The language that a filled template is read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A selector of items.
    Selector,
    /// PromQL.
    Query,
}

/// A filled template before it is one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// What the author wrote.
    Text(String),
    /// What was filled in.
    Value(String),
    /// What was filled in, in which `*` stands for anything.
    Glob(String),
}

/// One text in which each value is a literal, or why a value cannot be one where it stands.
pub(crate) fn join(pieces: &[Piece], place: Place) -> Result<String, String> {
    match place {
        Place::Selector => selector(pieces),
        Place::Query => query(pieces),
    }
}

fn is_word(value: &str, more: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || more.contains(c))
}

fn selector(pieces: &[Piece]) -> Result<String, String> {
    let mut out = String::new();
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (index, piece) in pieces.iter().enumerate() {
        let value = match piece {
            Piece::Text(text) => {
                for c in text.chars() {
                    (is_quoted, is_escaped) = match (is_quoted, is_escaped, c) {
                        (true, false, '\\') => (true, true),
                        (_, false, '"') => (!is_quoted, false),
                        (quoted, ..) => (quoted, false),
                    };
                }
                out.push_str(text);
                continue;
            }
            Piece::Value(value) if value.contains('*') => {
                return Err(format!(
                    "\"{value}\" would match more than itself: a value in a selector is without *, unless its input is of the \
                     type glob"
                ));
            }
            Piece::Value(value) | Piece::Glob(value) => value,
        };
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
        let is_whole = out.ends_with(['=', ',']) && ends_there(pieces.get(index + 1));
        if is_quoted {
            out.push_str(&escaped);
        } else if is_whole {
            out.push_str(&format!("\"{escaped}\""));
        } else if is_word(value, "_.:@/-*") {
            out.push_str(value);
        } else {
            return Err(format!(
                "\"{value}\" is no single word; in a selector put the template in quotes: name=\"…\""
            ));
        }
    }
    Ok(out)
}

/// A value ends a term when nothing or a blank follows it, and an alternative when a comma does.
fn ends_there(next: Option<&Piece>) -> bool {
    match next {
        None => true,
        Some(Piece::Text(text)) => text.starts_with(|c: char| c == ',' || c.is_whitespace()),
        Some(Piece::Value(_) | Piece::Glob(_)) => false,
    }
}

/// Where in a query the scan is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Code,
    Comment,
    /// The quote, and whether the text is a regular expression.
    Quoted(char, bool),
}

fn query(pieces: &[Piece]) -> Result<String, String> {
    let mut out = String::new();
    let mut at = At::Code;
    for piece in pieces {
        match piece {
            Piece::Text(text) => at = read(text, at, &mut out),
            Piece::Value(value) | Piece::Glob(value) => out.push_str(&literal(value, at)?),
        }
    }
    Ok(out)
}

fn read(text: &str, mut at: At, out: &mut String) -> At {
    let mut is_escaped = false;
    for c in text.chars() {
        at = match (at, c) {
            (At::Code, '#') => At::Comment,
            (At::Comment, '\n') => At::Code,
            (At::Code, '"' | '\'' | '`') => {
                let before = out.trim_end();
                At::Quoted(c, before.ends_with("=~") || before.ends_with("!~"))
            }
            (At::Quoted(quote, _), c) if c == quote && !is_escaped => At::Code,
            (same, _) => same,
        };
        is_escaped = matches!(at, At::Quoted('"' | '\'', _)) && c == '\\' && !is_escaped;
        out.push(c);
    }
    at
}

fn literal(value: &str, at: At) -> Result<String, String> {
    match at {
        At::Quoted(quote, is_regex) => {
            let value = if is_regex {
                promql::quote_regex(value)
            } else {
                value.to_owned()
            };
            if quote == '`' {
                let is_fit = !value.contains('`');
                return is_fit.then(|| value.clone()).ok_or_else(|| {
                    format!(
                        "\"{value}\" cannot stand between back quotes; use double quotes around the template"
                    )
                });
            }
            let escaped = value.replace('\\', "\\\\").replace(quote, &format!("\\{quote}"));
            Ok(escaped.replace('\n', "\\n"))
        }
        At::Comment => Err("a template in a comment of a query does nothing; remove it".into()),
        At::Code if is_word(value, "_.:") => Ok(value.to_owned()),
        At::Code => Err(format!(
            "\"{value}\" is neither a number nor a name; in a query put the template in quotes"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `«…»` in the text is a value.
    fn filled(text: &str, place: Place) -> Result<String, String> {
        let mut pieces = Vec::new();
        for (index, part) in text.split(['«', '»']).enumerate() {
            match index % 2 {
                0 if part.is_empty() => {}
                0 => pieces.push(Piece::Text(part.into())),
                _ => pieces.push(Piece::Value(part.into())),
            }
        }
        join(&pieces, place)
    }

    #[test]
    fn a_value_in_a_selector_names_one_thing() {
        for (text, want) in [
            ("kind=host name=«web-1»", "kind=host name=\"web-1\""),
            ("name=«a,b» kind=host", "name=\"a,b\" kind=host"),
            ("name=a,«b c»", "name=a,\"b c\""),
            ("name=\"x «a\"b\\»\"", "name=\"x a\\\"b\\\\\""),
            ("name=web-«1» kind=host", "name=web-1 kind=host"),
        ] {
            assert_eq!(filled(text, Place::Selector).unwrap(), want, "{text}");
        }
        for text in [
            "name=«*»",
            "name=web-«1 kind=host»",
            "«name=x kind=host»",
            "name=a«,b»",
        ] {
            assert!(filled(text, Place::Selector).is_err(), "{text}");
        }
    }

    #[test]
    fn a_glob_in_a_selector_keeps_its_stars() {
        let text = |text: &str| Piece::Text(text.into());
        let glob = Piece::Glob("web-*".into());
        for (pieces, want) in [
            (vec![text("name="), glob.clone()], "name=\"web-*\""),
            (vec![text("name=\""), glob.clone(), text("\"")], "name=\"web-*\""),
            (vec![text("name=x-"), glob], "name=x-web-*"),
        ] {
            assert_eq!(join(&pieces, Place::Selector).unwrap(), want);
        }
        let pieces = [text("name=x"), Piece::Glob("* kind=host".into())];
        assert!(join(&pieces, Place::Selector).is_err());
    }

    #[test]
    fn a_value_in_a_query_stays_inside_its_quotes() {
        for (text, want) in [
            (
                "up{name=\"«a\"} or vector(1) #»\"}",
                "up{name=\"a\\\"} or vector(1) #\"}",
            ),
            ("up{name=~\"«a.b».*\"}", "up{name=~\"a\\\\.b.*\"}"),
            ("up{a=\"\\\"«x»\"}", "up{a=\"\\\"x\"}"),
            ("up > «5»", "up > 5"),
            ("«up» == 1 # all\n", "up == 1 # all\n"),
        ] {
            assert_eq!(filled(text, Place::Query).unwrap(), want, "{text}");
        }
        for text in ["up or «vector(1)»", "up # «x»", "up{a=`«`»`}"] {
            assert!(filled(text, Place::Query).is_err(), "{text}");
        }
    }
}
