//! Regular expressions in the RE2 dialect: anchored at both ends, `.` matches a newline.
//!
//! The engine underneath speaks a wider dialect (Unicode `\d`, set operations in classes), so patterns are
//! translated, never passed through. Common shapes (`.*`, `.+`, plain alternatives) bypass the engine.

use std::sync::Arc;

use regex_automata::meta;
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;

/// RE2 refuses larger counted repetitions.
const MAX_REPEAT: u32 = 1000;
const MAX_COMPILED_BYTES: usize = 4 << 20;

/// A compiled, anchored pattern.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    Anything,
    NotEmpty,
    Literals(Vec<String>),
    Regex(Box<meta::Regex>),
}

impl Pattern {
    pub fn new(pattern: &str) -> Result<Pattern, String> {
        let kind = match pattern {
            ".*" => Kind::Anything,
            ".+" => Kind::NotEmpty,
            _ if pattern.split('|').all(is_plain) => {
                Kind::Literals(pattern.split('|').map(str::to_owned).collect())
            }
            _ => Kind::Regex(Box::new(compile(pattern)?)),
        };
        Ok(Pattern(Arc::new(kind)))
    }

    pub fn is_match(&self, text: &str) -> bool {
        match &*self.0 {
            Kind::Anything => true,
            Kind::NotEmpty => !text.is_empty(),
            Kind::Literals(values) => values.iter().any(|v| v == text),
            Kind::Regex(regex) => regex.is_match(text),
        }
    }

    /// The alternatives, when the pattern consists of nothing else.
    pub fn literals(&self) -> Option<Vec<&str>> {
        match &*self.0 {
            Kind::Literals(values) => Some(values.iter().map(String::as_str).collect()),
            _ => None,
        }
    }
}

/// A pattern with its capture groups, for `label_replace`.
#[derive(Debug)]
pub struct Replacer {
    regex: meta::Regex,
}

impl Replacer {
    pub fn new(pattern: &str) -> Result<Replacer, String> {
        Ok(Replacer {
            regex: compile(pattern)?,
        })
    }

    /// Expands `template` (`$1`, `${name}`, `$$`) when `text` matches as a whole; to at most `most` bytes.
    pub fn expand(&self, text: &str, template: &str, most: usize) -> Result<Option<String>, TooLong> {
        let mut captures: Captures = self.regex.create_captures();
        self.regex.captures(text, &mut captures);
        if !captures.is_match() {
            return Ok(None);
        }
        let mut out = String::new();
        interpolate(&captures, text, template, &mut out, most).map(|()| Some(out))
    }
}

/// An expansion would be longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Bytes of a template between two looks at what it has given.
const STRIDE: usize = 256;

/// Expands a template piece by piece, so that what it gives stays near `most` bytes while it is made.
fn interpolate(
    captures: &Captures,
    text: &str,
    template: &str,
    out: &mut String,
    most: usize,
) -> Result<(), TooLong> {
    let mut rest = template;
    while !rest.is_empty() {
        let at = next_cut(rest);
        captures.interpolate_string_into(text, &rest[..at], out);
        if out.len() > most {
            return Err(TooLong);
        }
        rest = &rest[at..];
    }
    Ok(())
}

/// Where a template may be cut without tearing a reference: before a `$` that does not follow another one.
fn next_cut(template: &str) -> usize {
    let bytes = template.as_bytes();
    let is_cut =
        |at: &usize| bytes[*at] == b'$' && bytes[*at - 1] != b'$' && bytes.get(*at + 1) != Some(&b'$');
    (STRIDE.min(bytes.len())..bytes.len())
        .filter(|at| *at > 0)
        .find(is_cut)
        .unwrap_or(bytes.len())
}

/// A pattern that may match anywhere in a text.
#[derive(Debug)]
pub struct Regex(meta::Regex);

impl Regex {
    pub fn new(pattern: &str) -> Result<Regex, String> {
        Ok(Regex(build(&translate(pattern)?)?))
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// Replaces every match by `template` (`$1`, `${name}`, `$$`); `None` when that gives more than `most` bytes.
    pub fn replace_all(&self, text: &str, template: &str, most: usize) -> Option<String> {
        let (mut out, mut done) = (String::new(), 0);
        for captures in self.0.captures_iter(text) {
            let Some(found) = captures.get_match() else {
                continue;
            };
            out.push_str(&text[done..found.start()]);
            interpolate(&captures, text, template, &mut out, most).ok()?;
            done = found.end();
            if out.len() > most {
                return None;
            }
        }
        out.push_str(&text[done..]);
        (out.len() <= most).then_some(out)
    }
}

fn is_plain(part: &str) -> bool {
    !part.contains(['.', '+', '*', '?', '(', ')', '[', ']', '{', '}', '^', '$', '\\'])
}

fn compile(pattern: &str) -> Result<meta::Regex, String> {
    build(&format!("^(?s:{})$", translate(pattern)?))
}

fn build(translated: &str) -> Result<meta::Regex, String> {
    meta::Regex::builder()
        .configure(meta::Config::new().nfa_size_limit(Some(MAX_COMPILED_BYTES)))
        .syntax(syntax::Config::new())
        .build(translated)
        .map_err(|e| match e.size_limit() {
            Some(_) => "the regular expression is too large; make its repetitions shorter".to_owned(),
            None => format!("not a valid regular expression: {}", innermost(&e)),
        })
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    // The syntax error prints the translated pattern with a caret; its last line is the reason.
    let text = last.to_string();
    let reason = text.lines().last().unwrap_or_default();
    reason.strip_prefix("error: ").unwrap_or(reason).to_owned()
}

/// Rewrites an RE2 pattern into the syntax of the engine.
fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = match c {
            '\\' => escape_outside(rest, &mut out)?,
            '[' => class(rest, &mut out)?,
            '{' => repeat(rest, &mut out)?,
            _ => {
                out.push(c);
                &rest[c.len_utf8()..]
            }
        };
    }
    Ok(out)
}

fn escape_outside<'a>(rest: &'a str, out: &mut String) -> Result<&'a str, String> {
    if let Some(quoted) = rest.strip_prefix("\\Q") {
        let (literal, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
        for c in literal.chars() {
            push_literal(c, out);
        }
        return Ok(after);
    }
    let after = &rest[1..];
    let Some(c) = after.chars().next() else {
        return Err("the pattern ends in a lone backslash".into());
    };
    match c {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        's' => out.push_str("[\\t\\n\\f\\r ]"),
        'S' => out.push_str("[^\\t\\n\\f\\r ]"),
        'b' => out.push_str("(?-u:\\b)"),
        'B' => out.push_str("(?-u:\\B)"),
        'C' => return Err("\\C (any byte) is not supported; use .".into()),
        '1'..='9' => return Err(format!("back-references such as \\{c} do not exist in RE2")),
        'x' | 'p' | 'P' => {
            let end = braced(&after[1..]);
            out.push('\\');
            out.push_str(&after[..1 + end]);
            return Ok(&after[1 + end..]);
        }
        'A' | 'z' | 'a' | 'f' | 'n' | 'r' | 't' | 'v' => {
            out.push('\\');
            out.push(c);
        }
        _ if c.is_ascii_alphanumeric() => return Err(format!("unknown escape \\{c}")),
        _ => push_literal(c, out),
    }
    Ok(&after[c.len_utf8()..])
}

/// The length of `{…}` at the front: the name of `\p{…}` or the digits of `\x{…}`, no repetition.
fn braced(rest: &str) -> usize {
    match rest.find('}') {
        Some(end) if rest.starts_with('{') => end + 1,
        _ => 0,
    }
}

fn push_literal(c: char, out: &mut String) {
    if c.is_ascii_punctuation() {
        out.push('\\');
    }
    out.push(c);
}

/// Copies one bracketed class; inside it `[`, `&`, `~` and `-` lose the meaning RE2 does not give them.
fn class<'a>(rest: &'a str, out: &mut String) -> Result<&'a str, String> {
    let mut chars = rest[1..].char_indices().peekable();
    out.push('[');
    if let Some(&(_, '^')) = chars.peek() {
        chars.next();
        out.push('^');
    }
    let mut first = true;
    while let Some((at, c)) = chars.next() {
        let here = &rest[1 + at..];
        match c {
            ']' if !first => {
                out.push(']');
                return Ok(&here[1..]);
            }
            '[' if here.starts_with("[:") => {
                let Some(end) = here.find(":]") else {
                    return Err("missing :] in a class".into());
                };
                let name = &here[..end + 2];
                out.push_str(name);
                for _ in 0..name.chars().count() - 1 {
                    chars.next();
                }
            }
            '[' | ']' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '-' if first || here.starts_with("-]") => out.push_str("\\-"),
            '\\' => {
                let Some((_, e)) = chars.next() else {
                    return Err("missing ] after [".into());
                };
                escape_in_class(e, out)?;
            }
            _ => out.push(c),
        }
        first = false;
    }
    Err("missing ] after [".into())
}

fn escape_in_class(c: char, out: &mut String) -> Result<(), String> {
    match c {
        'd' => out.push_str("0-9"),
        'w' => out.push_str("0-9A-Za-z_"),
        's' => out.push_str("\\t\\n\\f\\r "),
        'D' => out.push_str("[^0-9]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        'S' => out.push_str("[^\\t\\n\\f\\r ]"),
        'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'p' | 'P' => {
            out.push('\\');
            out.push(c);
        }
        _ if c.is_ascii_alphanumeric() => return Err(format!("unknown escape \\{c} in a class")),
        _ => push_literal(c, out),
    }
    Ok(())
}

/// `{n}`, `{n,}` and `{n,m}` repeat; any other brace is a literal in RE2.
fn repeat<'a>(rest: &'a str, out: &mut String) -> Result<&'a str, String> {
    let counted = rest.find('}').and_then(|end| {
        let inner = &rest[1..end];
        let (low, high) = inner.split_once(',').unwrap_or((inner, ""));
        let low: u32 = low.parse().ok()?;
        let high: u32 = if high.is_empty() { low } else { high.parse().ok()? };
        Some((end, low.max(high)))
    });
    match counted {
        Some((_, most)) if most > MAX_REPEAT => Err(format!("repeat count above {MAX_REPEAT}")),
        Some((end, _)) => {
            out.push_str(&rest[..=end]);
            Ok(&rest[end + 1..])
        }
        None => {
            out.push_str("\\{");
            Ok(&rest[1..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).unwrap().is_match(text)
    }

    #[test]
    fn anchored_and_newline() {
        assert!(hit("a.b", "a\nb"));
        assert!(!hit("b", "ab"));
        assert!(hit("a|", ""));
        assert!(hit("foo|ba.", "bar"));
    }

    #[test]
    fn ascii_classes_and_literals() {
        assert!(!hit("\\d", "٣"));
        assert!(!hit("\\w+", "é"));
        assert!(hit("[[a]", "["));
        assert!(hit("[a&&b]+", "a&b"));
        assert!(hit("[]a]+", "]a"));
        assert!(hit("[[:alpha:]-]+", "a-b"));
        assert!(hit("\\Qa.b\\E.", "a.bx"));
        assert!(!hit("\\Qa.b\\E", "axb"));
        assert!(hit("a{,2}", "a{,2}"));
        assert!(hit("(?i:PRO).*", "production"));
        assert!(hit("[\\w.-]+", "a.b-c"));
        assert!(hit("\\p{L}+", "aé") && !hit("\\p{L}+", "1"));
        assert!(hit("\\pL\\PL", "é1") && hit("[\\p{Greek}]", "λ"));
        assert!(hit("\\x{6d}\\x6d{2}", "mmm") && hit("[\\x{6d}]", "m"));
        assert!(hit("a\\Bb.*", "abc") && !hit("a\\B.b", "a b"));
    }

    #[test]
    fn refusals_are_readable() {
        assert_eq!(Pattern::new("a{1001}").unwrap_err(), "repeat count above 1000");
        assert!(Pattern::new("(.*").unwrap_err().contains("unclosed group"));
        assert!(Pattern::new("(a)\\1").unwrap_err().contains("back-references"));
    }

    #[test]
    fn replaces_anywhere() {
        let regex = Regex::new("(\\d+)-(?P<b>\\w)").unwrap();
        assert_eq!(
            regex.replace_all("x 1-a, 22-b.", "${b}$1", 100).unwrap(),
            "x a1, b22."
        );
        assert!(regex.is_match("..1-a..") && !regex.is_match("a"));
        assert_eq!(
            Regex::new("").unwrap().replace_all("ab", "-", 100).unwrap(),
            "-a-b-"
        );
        assert_eq!(regex.replace_all("1-a1-a", "$1$1$1$1", 5), None);
        assert!(
            !Regex::new("a.b").unwrap().is_match("a\nb"),
            "a line end is no character here"
        );
    }

    #[test]
    fn expands_templates() {
        let r = Replacer::new("(.*)-value-(?P<tail>.*)").unwrap();
        let expand = |text, template| r.expand(text, template, 100);
        let whole = expand("x-value-10", "$2/$1/${tail}/$$").unwrap();
        assert_eq!(whole.as_deref(), Some("10/x/10/$"));
        assert_eq!(expand("other", "$1"), Ok(None));
    }

    #[test]
    fn an_expansion_stops_at_its_bound() {
        let r = Replacer::new("(.*)").unwrap();
        let text = "x".repeat(60_000);
        assert_eq!(r.expand(&text, &"$1".repeat(100_000), 65_536), Err(TooLong));
        // Cut into pieces it gives what it gives whole.
        for template in ["${1}a$$$$b$1-", "é$1ü${1}", "$$1$1$$"] {
            let long = template.repeat(300);
            let pieces = r.expand("xy", &long, 1 << 20).unwrap().unwrap();
            let whole = r.expand("xy", template, 100).unwrap().unwrap();
            assert_eq!(pieces, whole.repeat(300), "{template}");
        }
    }
}
