//! Numbers, durations and strings.

use crate::parse::lexer::Tok;

/// A refusal: how many bytes it concerns, and why.
type Refusal = (usize, String);

/// Units from the largest to the smallest, in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Parses a duration such as `1h30m` or `500ms` to milliseconds. Units descend and do not repeat; `0` alone
/// is zero.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    if text == "0" {
        return Ok(0);
    }
    let refuse = || format!("\"{text}\" is not a duration; write for example 30s, 5m or 1h30m");
    let mut rest = text;
    let mut total: u64 = 0;
    let mut last = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
        let count: u64 = rest[..digits].parse().map_err(|_| refuse())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len());
        let unit = UNITS
            .iter()
            .position(|(name, _)| *name == &rest[..letters])
            .ok_or_else(refuse)?;
        if unit < last {
            return Err(format!(
                "\"{text}\" is not a duration; its units must go from large to small"
            ));
        }
        last = unit + 1;
        let added = count
            .checked_mul(UNITS[unit].1)
            .and_then(|ms| total.checked_add(ms));
        total = added
            .filter(|t| *t <= i64::MAX as u64 / 4)
            .ok_or_else(|| format!("\"{text}\" is too long"))?;
        rest = &rest[letters..];
    }
    if text.is_empty() {
        Err(refuse())
    } else {
        Ok(total as i64)
    }
}

/// Reads a number or duration at the start of `rest`.
pub(crate) fn number_or_duration(rest: &str) -> Result<(Tok, usize), Refusal> {
    let word = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(rest.len());
    if rest.starts_with("0x") || rest.starts_with("0X") {
        let digits = rest[2..word].replace('_', "");
        return match u64::from_str_radix(&digits, 16) {
            Ok(n) => Ok((Tok::Number(n as f64), word)),
            Err(_) => Err((
                word,
                format!("\"{}\" is not a hexadecimal number such as 0x1f", &rest[..word]),
            )),
        };
    }
    let digits = rest
        .find(|c: char| !(c.is_ascii_digit() || c == '_'))
        .unwrap_or(rest.len());
    let next = rest[digits..].chars().next().unwrap_or(' ');
    if digits > 0 && "ywdhms".contains(next) {
        return match parse_duration(&rest[..word]) {
            Ok(ms) => Ok((Tok::Duration(ms as f64 / 1000.0), word)),
            Err(message) => Err((word, message)),
        };
    }
    let len = float_len(rest);
    let after = rest[len..].chars().next().unwrap_or(' ');
    let text = rest[..len].replace('_', "");
    match text.parse::<f64>() {
        Ok(n) if !after.is_ascii_alphanumeric() && after != '_' => Ok((Tok::Number(n), len)),
        _ => Err((
            len.max(word),
            format!(
                "\"{}\" is not a number; write for example 1.5e3, 0x1f or 1h30m",
                &rest[..len.max(word)]
            ),
        )),
    }
}

fn float_len(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(|b| b.is_ascii_digit() || *b == b'_') {
            at += 1;
        }
        at
    };
    let mut at = digits(0);
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1);
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let signed = if matches!(bytes.get(at + 1), Some(b'+' | b'-')) {
            at + 2
        } else {
            at + 1
        };
        let end = digits(signed);
        if end > signed {
            at = end;
        }
    }
    at
}

/// Reads a quoted string at the start of `rest`; returns its value and its length with the quotes.
pub(crate) fn string(rest: &str) -> Result<(String, usize), Refusal> {
    let quote = rest.chars().next().unwrap_or('"');
    let unclosed = || (rest.len(), format!("string without its closing {quote}"));
    if quote == '`' {
        let end = rest[1..].find('`').ok_or_else(unclosed)?;
        return Ok((rest[1..=end].to_owned(), end + 2));
    }
    let mut value = Vec::new();
    let mut at = 1;
    loop {
        let c = rest[at..].chars().next().ok_or_else(unclosed)?;
        match c {
            '\n' => return Err((at, "line break in a string; use \\n or back-quotes".into())),
            '\\' => at += escape(&rest[at..], quote, &mut value).map_err(|m| (at, m))?,
            _ => {
                at += c.len_utf8();
                if c == quote {
                    let text = String::from_utf8(value).map_err(|_| {
                        (
                            at,
                            "the escapes of this string do not form valid UTF-8".to_owned(),
                        )
                    })?;
                    return Ok((text, at));
                }
                value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
}

/// Reads one escape, appends its bytes, returns its length.
fn escape(rest: &str, quote: char, out: &mut Vec<u8>) -> Result<usize, String> {
    let c = rest[1..].chars().next().ok_or("a lone backslash at the end")?;
    let simple = match c {
        'a' => Some(7),
        'b' => Some(8),
        'f' => Some(12),
        'n' => Some(b'\n'),
        'r' => Some(b'\r'),
        't' => Some(b'\t'),
        'v' => Some(11),
        '\\' => Some(b'\\'),
        _ if c == quote => Some(c as u8),
        _ => None,
    };
    if let Some(byte) = simple {
        out.push(byte);
        return Ok(2);
    }
    let bad = || format!("unknown escape \\{c}; write \\\\ for a backslash");
    let (start, digits, radix) = match c {
        'x' => (2, 2, 16),
        'u' => (2, 4, 16),
        'U' => (2, 8, 16),
        '0'..='7' => (1, 3, 8),
        _ => return Err(bad()),
    };
    let code = rest
        .get(start..start + digits)
        .and_then(|d| u32::from_str_radix(d, radix).ok())
        .ok_or_else(bad)?;
    if matches!(c, 'u' | 'U') {
        let ch = char::from_u32(code).ok_or_else(bad)?;
        out.extend_from_slice(ch.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        out.push(u8::try_from(code).map_err(|_| bad())?);
    }
    Ok(start + digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("1h30m"), Ok(5_400_000));
        assert_eq!(parse_duration("1y2w3d4h5m6s7ms"), Ok(33_019_506_007));
        assert_eq!(parse_duration("0"), Ok(0));
        for bad in [
            "",
            "5",
            "m",
            "5mm",
            "30m1h",
            "1m1m",
            "1.5h",
            "99999999999999999999d",
            "5 m",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers() {
        let n = |s: &str| number_or_duration(s).unwrap();
        assert_eq!(n("1.5e-3,"), (Tok::Number(0.0015), 6));
        assert_eq!(n("0x1F "), (Tok::Number(31.0), 4));
        assert_eq!(n("2."), (Tok::Number(2.0), 2));
        assert_eq!(n(".2)"), (Tok::Number(0.2), 2));
        assert_eq!(n("1_000"), (Tok::Number(1000.0), 5));
        assert_eq!(n("5m]"), (Tok::Duration(300.0), 2));
        assert!(number_or_duration("5x").is_err());
    }

    #[test]
    fn strings() {
        assert_eq!(
            string(r#""a\"\n\x41\101é" rest"#).unwrap(),
            ("a\"\nAA\u{e9}".into(), 17)
        );
        assert_eq!(string(r"'\''").unwrap().0, "'");
        assert_eq!(string(r"`\d`").unwrap(), ("\\d".into(), 4));
        assert!(string("\"abc").is_err());
        assert!(string("\"\\q\"").is_err());
        assert!(string("\"\\xff\"").is_err());
    }
}
