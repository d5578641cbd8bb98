//! Label matchers as Alertmanager has them: `=`, `!=`, `=~` and `!~`, regexes anchored at both ends, an absent label the same as an empty one.

use std::fmt;

use kernel::FieldError;
use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::Alert;

const MAX_MATCHERS: usize = 32;
const MAX_TEXT: usize = 1_000;
const REGEX_SIZE_LIMIT: usize = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MatcherOp)]
pub enum Op {
    #[serde(rename = "=")]
    Is,
    #[serde(rename = "!=")]
    IsNot,
    #[serde(rename = "=~")]
    Matches,
    #[serde(rename = "!~")]
    MatchesNot,
}

impl Op {
    fn as_str(self) -> &'static str {
        match self {
            Self::Is => "=",
            Self::IsNot => "!=",
            Self::Matches => "=~",
            Self::MatchesNot => "!~",
        }
    }
}

/// One condition on a label, as people write and programs send it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Matcher {
    /// Label name; `alertname` and `severity` are on every alert.
    pub name: String,
    pub op: Op,
    pub value: String,
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op.as_str(), self.value)
    }
}

/// Matchers that were checked, ready to be used. All of them must hold.
#[derive(Clone, Debug)]
pub struct Matchers {
    tests: Vec<Test>,
}

#[derive(Clone, Debug)]
struct Test {
    name: String,
    is_negated: bool,
    want: Want,
}

#[derive(Clone, Debug)]
enum Want {
    Text(String),
    Regex(Regex),
}

impl Test {
    fn holds(&self, value: &str) -> bool {
        let is_match = match &self.want {
            Want::Text(text) => text == value,
            Want::Regex(regex) => regex.is_match(value),
        };
        is_match != self.is_negated
    }
}

impl Matchers {
    /// Checks and compiles. `field` is where the matchers stand in the request.
    pub fn compile(field: &str, matchers: &[Matcher]) -> Result<Matchers, Vec<FieldError>> {
        let mut errors = Vec::new();
        if matchers.len() > MAX_MATCHERS {
            errors.push(error(field, format!("at most {MAX_MATCHERS} matchers")));
            return Err(errors);
        }
        let mut tests = Vec::new();
        for (index, matcher) in matchers.iter().enumerate() {
            match test(matcher) {
                Ok(test) => tests.push(test),
                Err((part, message)) => errors.push(error(&format!("{field}[{index}].{part}"), message)),
            }
        }
        if errors.is_empty() {
            Ok(Matchers { tests })
        } else {
            Err(errors)
        }
    }

    /// As [`Matchers::compile`], and refuses what would mute everything.
    pub fn compile_silence(field: &str, matchers: &[Matcher]) -> Result<Matchers, Vec<FieldError>> {
        let compiled = Self::compile(field, matchers)?;
        if compiled.tests.iter().all(|test| test.holds("")) {
            let message =
                "at least one matcher must not match the empty text, or the silence would hide every alert";
            return Err(vec![error(field, message.to_owned())]);
        }
        Ok(compiled)
    }

    pub fn match_alert(&self, alert: &Alert) -> bool {
        self.tests.iter().all(|test| test.holds(alert.label(&test.name)))
    }
}

fn error(field: &str, message: String) -> FieldError {
    FieldError {
        field: field.to_owned(),
        message,
    }
}

fn test(matcher: &Matcher) -> Result<Test, (&'static str, String)> {
    if matcher.name.is_empty() || matcher.name.len() > MAX_TEXT || matcher.name.contains('\0') {
        return Err(("name", format!("1 to {MAX_TEXT} bytes without NUL")));
    }
    if matcher.value.len() > MAX_TEXT || matcher.value.contains('\0') {
        return Err(("value", format!("at most {MAX_TEXT} bytes without NUL")));
    }
    let want = match matcher.op {
        Op::Is | Op::IsNot => Want::Text(matcher.value.clone()),
        Op::Matches | Op::MatchesNot => Want::Regex(regex(&matcher.value)?),
    };
    Ok(Test {
        name: matcher.name.clone(),
        is_negated: matches!(matcher.op, Op::IsNot | Op::MatchesNot),
        want,
    })
}

fn regex(text: &str) -> Result<Regex, (&'static str, String)> {
    // Checked alone first, so that `)(` cannot step out of the group.
    let config = Regex::config().nfa_size_limit(Some(REGEX_SIZE_LIMIT));
    let syntax = syntax::Config::new().dot_matches_new_line(true).nest_limit(50);
    let build = |pattern: &str| {
        Regex::builder()
            .configure(config.clone())
            .syntax(syntax)
            .build(pattern)
            .map_err(Box::new)
    };
    let bad = |error: Box<regex_automata::meta::BuildError>| {
        let reason = error.syntax_error().map_or_else(
            || "it is too large".to_owned(),
            |e| e.to_string().lines().last().unwrap_or_default().to_owned(),
        );
        ("value", format!("not a regular expression: {reason}"))
    };
    build(text).map_err(bad)?;
    build(&format!("^(?:{text})$")).map_err(bad)
}

/// Reads `name="value"`, `name!=value`, `name=~"a|b"` as the `filter` of a list has it.
pub fn parse(text: &str) -> Result<Matcher, String> {
    let at = text
        .find(['=', '!'])
        .ok_or_else(|| format!("\"{text}\" has no =, !=, =~ or !~; write for instance instance=\"web-1\""))?;
    let (name, rest) = text.split_at(at);
    let (op, value) = [
        ("=~", Op::Matches),
        ("!~", Op::MatchesNot),
        ("!=", Op::IsNot),
        ("=", Op::Is),
    ]
    .into_iter()
    .find_map(|(sign, op)| rest.strip_prefix(sign).map(|value| (op, value)))
    .ok_or_else(|| format!("\"{rest}\" does not begin with =, !=, =~ or !~"))?;
    let value = value.trim();
    let value = value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .map_or_else(
            || value.to_owned(),
            |v| v.replace("\\\"", "\"").replace("\\\\", "\\"),
        );
    Ok(Matcher {
        name: name.trim().to_owned(),
        op,
        value,
    })
}

/// Splits at commas that are outside quotes.
pub fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut is_quoted, mut is_escaped) = (0, false, false);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Test {
        test(&parse(text).unwrap()).unwrap()
    }

    #[test]
    fn the_four_operators() {
        for (matcher, value, holds) in [
            ("a=x", "x", true),
            ("a=\"x\"", "xy", false),
            ("a!=x", "", true),
            ("a=~x|y", "y", true),
            ("a=~x|y", "xy", false),
            ("a=~.*", "two\nlines", true),
            ("a!~x.*", "xyz", false),
            ("a!~x.*", "", true),
        ] {
            assert_eq!(one(matcher).holds(value), holds, "{matcher} on {value:?}");
        }
    }

    #[test]
    fn commas_inside_quotes_do_not_split() {
        assert_eq!(split("a=\"x,y\", b=~z,"), ["a=\"x,y\"", " b=~z"]);
        assert_eq!(split("a=\"x\\\",y\""), ["a=\"x\\\",y\""]);
    }

    #[test]
    fn bad_matchers_name_their_field() {
        let bad = [Matcher {
            name: "a".into(),
            op: Op::Matches,
            value: ")(".into(),
        }];
        let errors = Matchers::compile("matchers", &bad).unwrap_err();
        assert_eq!(errors[0].field, "matchers[0].value");
        let huge = [Matcher {
            name: "a".into(),
            op: Op::Matches,
            value: "(a{1000}){1000}".into(),
        }];
        assert!(Matchers::compile("matchers", &huge).is_err());
        assert!(parse("nothing").is_err());
    }

    #[test]
    fn a_silence_of_everything_is_refused() {
        let all = [parse("a=~.*").unwrap(), parse("b!=x").unwrap()];
        assert!(Matchers::compile_silence("matchers", &all).is_err());
        assert!(Matchers::compile_silence("matchers", &[]).is_err());
        assert!(Matchers::compile_silence("matchers", &[parse("a=~.+").unwrap()]).is_ok());
    }
}
