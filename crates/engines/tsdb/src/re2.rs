//! Translates RE2 regular expressions (what Prometheus users write) into the `regex` dialect.
//!
//! The dialects differ in small ways that change meaning: in RE2 `\d \w \s \b` are ASCII, `[` and `&&`
//! inside a class are plain characters, `\Q…\E` quotes, `{` that opens no repetition is a plain
//! character and repetitions above 1000 are refused. Source: github.com/google/re2/wiki/Syntax.

use std::iter::Peekable;
use std::str::Chars;

const MAX_REPEAT: u32 = 1000;

/// The translated expression, or why RE2 would refuse it.
pub(crate) fn translate(pattern: &str) -> Result<String, String> {
    let mut t = Translator {
        input: pattern.chars().peekable(),
        out: String::with_capacity(pattern.len()),
    };
    t.run()?;
    Ok(t.out)
}

/// The alternatives of an expression that only lists literal strings (`a|b|c`).
pub(crate) fn literal_alternatives(pattern: &str) -> Option<Vec<String>> {
    let special = |c: char| r"\.+*?()[]{}^$".contains(c);
    if pattern.contains(special) {
        return None;
    }
    Some(pattern.split('|').map(str::to_owned).collect())
}

struct Translator<'a> {
    input: Peekable<Chars<'a>>,
    out: String,
}

impl Translator<'_> {
    fn run(&mut self) -> Result<(), String> {
        while let Some(c) = self.input.next() {
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '{' => self.brace()?,
                other => self.out.push(other),
            }
        }
        Ok(())
    }

    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let c = self.input.next().ok_or("it ends with a backslash")?;
        let ascii = match c {
            'd' => "0-9",
            'w' => "0-9A-Za-z_",
            's' => r"\t\n\f\r ",
            'D' => "^0-9",
            'W' => "^0-9A-Za-z_",
            'S' => r"^\t\n\f\r ",
            'b' | 'B' if !in_class => {
                self.out
                    .push_str(if c == 'b' { r"(?-u:\b)" } else { r"(?-u:\B)" });
                return Ok(());
            }
            'Q' if !in_class => {
                self.quoted();
                return Ok(());
            }
            'x' | 'p' | 'P' => {
                self.out.push('\\');
                self.out.push(c);
                self.braced();
                return Ok(());
            }
            '<' | '>' => {
                self.out.push(c);
                return Ok(());
            }
            'Z' | 'C' => return Err(format!("\\{c} is not supported")),
            _ => {
                self.out.push('\\');
                self.out.push(c);
                return Ok(());
            }
        };
        self.out.push('[');
        self.out.push_str(ascii);
        self.out.push(']');
        Ok(())
    }

    /// Copies `{…}`: the name of `\p{…}` or the digits of `\x{…}`, no repetition.
    fn braced(&mut self) {
        if self.input.peek() == Some(&'{') {
            for c in self.input.by_ref() {
                self.out.push(c);
                if c == '}' {
                    return;
                }
            }
        }
    }

    fn quoted(&mut self) {
        while let Some(c) = self.input.next() {
            if c == '\\' && self.input.peek() == Some(&'E') {
                self.input.next();
                return;
            }
            self.literal(c);
        }
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.input.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        while let Some(c) = self.input.next() {
            match c {
                ']' if !first => {
                    self.out.push(']');
                    return Ok(());
                }
                ']' => self.out.push_str(r"\]"),
                '[' if self.input.peek() == Some(&':') => self.named_class()?,
                '[' => self.out.push_str(r"\["),
                '\\' => self.escape(true)?,
                '&' | '~' => self.literal(c),
                '-' if self.input.peek() == Some(&'-') => self.out.push_str(r"\-"),
                other => self.out.push(other),
            }
            first = false;
        }
        Err("a [ is not closed".to_owned())
    }

    /// `[:alpha:]` inside a class, which both dialects know.
    fn named_class(&mut self) -> Result<(), String> {
        self.out.push('[');
        for c in self.input.by_ref() {
            self.out.push(c);
            if c == ']' {
                return Ok(());
            }
        }
        Err("a [: is not closed".to_owned())
    }

    fn brace(&mut self) -> Result<(), String> {
        let ahead: String = self.input.clone().take_while(|c| *c != '}').take(24).collect();
        let closed = self.input.clone().nth(ahead.chars().count()) == Some('}');
        let (low, high) = ahead.split_once(',').unwrap_or((&ahead, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if !closed || low.is_empty() || !digits(low) || !digits(high) {
            self.out.push_str(r"\{");
            return Ok(());
        }
        for bound in [low, high].into_iter().filter(|b| !b.is_empty()) {
            if bound.parse::<u32>().map_or(true, |n| n > MAX_REPEAT) {
                return Err(format!("it repeats more than {MAX_REPEAT} times"));
            }
        }
        self.out.push('{');
        Ok(())
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() && c != '<' && c != '>' {
            self.out.push('\\');
        }
        self.out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use crate::{MatchOp, Matcher};

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let m = Matcher::new(MatchOp::Re, "l", pattern).unwrap();
        for s in yes {
            assert!(m.matches(s), "{pattern} should match {s:?}");
        }
        for s in no {
            assert!(!m.matches(s), "{pattern} should not match {s:?}");
        }
    }

    #[test]
    fn differences_between_the_dialects() {
        check(r"\d+", &["12"], &["١٢", "x"]);
        check(r"\w+", &["a_1"], &["é"]);
        check(r"[\w.]+", &["a.b"], &["a-b"]);
        check(r"[^\s]+", &["é"], &["a b"]);
        check(r"[\D]", &["x"], &["1"]);
        check(r"[[a]", &["[", "a"], &["b"]);
        check(r"[a&&b]+", &["a&b"], &["c"]);
        check(r"[]a]", &["]", "a"], &["b"]);
        check(r"[^]a]", &["b"], &["]", "a"]);
        check(r"[[:alpha:]]+", &["abc"], &["1", ":"]);
        check(r"\Qa.b|\E.", &["a.b|x"], &["aXb|x"]);
        check(r"a{,2}", &["a{,2}"], &["", "aa"]);
        check(r"a{2}", &["aa"], &["a"]);
        check(r"{x}", &["{x}"], &["x"]);
        check(".", &["\n", "é"], &[""]);
        check(r"\bfoo\b.*", &["foo bar"], &["foobar"]);
        check("(?i)abc|d", &["ABC", "D"], &["xabc"]);
        check("a|b", &["a", "b"], &["ab", "xa"]);
        check(r"\p{L}+\pN", &["aé1"], &["11", "a"]);
        check(r"[\p{Greek}x]", &["λ", "x"], &["a"]);
        check(r"\x{6d}\x6d{2}", &["mmm"], &["mm"]);
        check(r"a\Bb.*", &["abc"], &[]);
        check(r"a\B.b", &[], &["a b"]);
        check("", &[""], &["a"]);
    }

    #[test]
    fn what_re2_refuses_is_refused() {
        for pattern in ["a{1001}", "(", "[", "a\\", "*", r"a\Z"] {
            assert!(Matcher::new(MatchOp::Re, "l", pattern).is_err(), "{pattern}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_pattern_is_safe(pattern in "\\PC{0,20}") {
            let _ = Matcher::new(MatchOp::Re, "l", &pattern);
        }
    }
}
