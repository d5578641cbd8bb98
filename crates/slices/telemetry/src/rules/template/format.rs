//! `printf` and the printing of numbers, as Go's `fmt` does it.

use std::iter::Peekable;
use std::str::Chars;

use super::value::Value;

/// Widths and precisions beyond this are a mistake.
const MAX_WIDTH: usize = 1_000;

/// A number as `%v` prints it: the fewest digits, an exponent below 1e-4 and from a million on.
pub(super) fn float(value: f64) -> String {
    general(value, None, 6)
}

/// `%.4g`.
pub(super) fn four_digits(value: f64) -> String {
    general(value, Some(4), 4)
}

fn special(value: f64) -> Option<&'static str> {
    match value {
        v if v.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

/// `%g`: with `digits` significant ones, or as few as tell the number; an exponent from `1e{limit}` on.
fn general(value: f64, digits: Option<usize>, limit: i32) -> String {
    if let Some(text) = special(value) {
        return text.into();
    }
    let scientific = match digits {
        Some(digits) => format!("{value:.*e}", digits.max(1) - 1),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    if power < -4 || power >= limit {
        return with_exponent(trimmed(mantissa), power);
    }
    match digits {
        None => format!("{value}"),
        Some(digits) => {
            let places = (digits.max(1) as i32 - 1 - power).max(0) as usize;
            trimmed(&format!("{value:.places$}")).to_owned()
        }
    }
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

fn with_exponent(mantissa: &str, power: i32) -> String {
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", power.abs())
}

/// The flags, width and precision of one `%…`.
#[derive(Default)]
struct Spec {
    plus: bool,
    minus: bool,
    zero: bool,
    space: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

/// Fills `format`. What does not fit is said in the text, as Go does: `%!d(string=x)`.
pub(super) fn printf(format: &str, args: &[Value]) -> String {
    let mut out = String::new();
    let mut next = 0;
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let spec = Spec::read(&mut chars);
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match args.get(next) {
                Some(arg) => {
                    next += 1;
                    out.push_str(&spec.fill(verb, arg));
                }
                None => out.push_str(&format!("%!{verb}(MISSING)")),
            },
        }
    }
    if let Some(extra) = args.get(next..).filter(|extra| !extra.is_empty()) {
        let extra: Vec<String> = extra
            .iter()
            .map(|arg| format!("{}={}", arg.kind(), arg.print()))
            .collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn size(chars: &mut Peekable<Chars<'_>>) -> usize {
    let mut size = 0usize;
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        size = (size * 10 + digit as usize - '0' as usize).min(MAX_WIDTH);
    }
    size
}

impl Spec {
    fn read(chars: &mut Peekable<Chars<'_>>) -> Self {
        let mut spec = Self::default();
        while let Some(flag) = chars.next_if(|c| "+-0 #".contains(*c)) {
            match flag {
                '+' => spec.plus = true,
                '-' => spec.minus = true,
                '0' => spec.zero = true,
                ' ' => spec.space = true,
                _ => spec.sharp = true,
            }
        }
        spec.width = size(chars);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(size(chars));
        }
        spec
    }

    fn fill(&self, verb: char, arg: &Value) -> String {
        let text = match (verb, arg) {
            ('v', Value::Nil) => Some("<nil>".to_owned()),
            ('v', Value::Float(number)) => Some(self.number(verb, *number)),
            ('v', Value::Int(number)) => Some(self.signed(number.to_string())),
            ('v', other) => Some(other.print()),
            ('T', other) => Some(other.kind().to_owned()),
            ('s', Value::Text(text)) => Some(self.cut(text)),
            ('s', Value::Time(_) | Value::Duration(_) | Value::Labels(_)) => Some(arg.print()),
            ('q', Value::Text(text)) => Some(format!("{:?}", self.cut(text))),
            ('x', Value::Text(text)) => Some(text.bytes().map(|b| format!("{b:02x}")).collect()),
            ('X', Value::Text(text)) => Some(text.bytes().map(|b| format!("{b:02X}")).collect()),
            ('d', Value::Int(number)) => Some(self.signed(number.to_string())),
            ('x', Value::Int(number)) => Some(self.signed(radix(*number, |n| format!("{n:x}")))),
            ('X', Value::Int(number)) => Some(self.signed(radix(*number, |n| format!("{n:X}")))),
            ('o', Value::Int(number)) => Some(self.signed(radix(*number, |n| format!("{n:o}")))),
            ('b', Value::Int(number)) => Some(self.signed(radix(*number, |n| format!("{n:b}")))),
            ('c', Value::Int(number)) => {
                let c = u32::try_from(*number).ok().and_then(char::from_u32);
                Some(c.unwrap_or(char::REPLACEMENT_CHARACTER).to_string())
            }
            ('t', Value::Bool(is)) => Some(is.to_string()),
            ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Value::Float(number)) => Some(self.number(verb, *number)),
            _ => None,
        };
        match text {
            Some(text) => self.pad(text, matches!(arg, Value::Float(_) | Value::Int(_))),
            None if matches!(arg, Value::Nil) => format!("%!{verb}(<nil>)"),
            None => format!("%!{verb}({}={})", arg.kind(), arg.print()),
        }
    }

    fn number(&self, verb: char, value: f64) -> String {
        let text = match (special(value), verb) {
            (Some(text), _) => return text.into(),
            (_, 'f' | 'F') => format!("{value:.*}", self.precision.unwrap_or(6)),
            (_, 'e' | 'E') => {
                let text = format!("{value:.*e}", self.precision.unwrap_or(6));
                let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
                with_exponent(mantissa, power.parse().unwrap_or(0))
            }
            _ => match self.precision {
                Some(digits) => general(value, Some(digits), digits.max(1) as i32),
                None => float(value),
            },
        };
        let text = if verb.is_ascii_uppercase() {
            text.to_uppercase()
        } else {
            text
        };
        self.signed(text)
    }

    fn signed(&self, text: String) -> String {
        match (text.starts_with('-'), self.plus, self.space) {
            (false, true, _) => format!("+{text}"),
            (false, false, true) => format!(" {text}"),
            _ => text,
        }
    }

    fn cut(&self, text: &str) -> String {
        text.chars().take(self.precision.unwrap_or(usize::MAX)).collect()
    }

    fn pad(&self, text: String, is_number: bool) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if missing == 0 {
            return text;
        }
        if self.minus {
            return text + &" ".repeat(missing);
        }
        if !self.zero || !is_number || text.ends_with("Inf") || text == "NaN" {
            return " ".repeat(missing) + &text;
        }
        let sign = text.find(|c| !"+- ".contains(c)).unwrap_or(0);
        format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..])
    }
}

fn radix(number: i64, print: impl Fn(u64) -> String) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", print(number.unsigned_abs()))
}
