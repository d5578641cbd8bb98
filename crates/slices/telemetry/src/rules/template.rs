//! Templates in labels and annotations of rules: the part of Prometheus' template language that rule files use.
//!
//! `{{ $labels.instance }}`, `{{ .Labels.instance }}`, `{{ $value }}`, `{{ $value | humanize }}`, `{{ printf "%.1f" $value }}`, `{{ humanizeDuration $value }}`
//! and pipes of these. Control flow (`if`, `range`) is refused when the rule is loaded, with the place.

use std::collections::BTreeMap;

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    /// The first operand, then functions that take it as their last argument.
    Action(Vec<Call>),
}

#[derive(Clone, Debug, PartialEq)]
struct Call {
    head: Term,
    args: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq)]
enum Term {
    Label(String),
    Value,
    Text(String),
    Number(f64),
    Function(&'static str),
}

#[derive(Clone, Debug)]
enum Datum {
    Text(String),
    Number(f64),
}

const FUNCTIONS: &[&str] = &[
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "printf",
    "title",
    "toUpper",
    "toLower",
    "stripPort",
    "stripDomain",
];

impl Template {
    /// Reads a template. The error says what is not understood.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            let (before, after) = rest.split_at(open);
            let close = after
                .find("}}")
                .ok_or_else(|| format!("\"{}\" has no closing \"}}}}\"", head(after)))?;
            let inner = &after[2..close];
            let mut before = before;
            if inner.starts_with('-') {
                before = before.trim_end();
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Action(action(
                inner.trim_start_matches('-').trim_end_matches('-').trim(),
            )?));
            rest = &after[close + 2..];
            if inner.ends_with('-') {
                rest = rest.trim_start();
            }
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Fills the template. A function that does not fit its operand leaves the operand as it is.
    pub(crate) fn render(&self, labels: &BTreeMap<String, String>, value: f64) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Action(calls) => {
                    let mut piped = None;
                    for call in calls {
                        piped = Some(call.apply(piped, labels, value));
                    }
                    out.push_str(&piped.map(|d| d.text()).unwrap_or_default());
                }
            }
        }
        out
    }
}

fn head(text: &str) -> String {
    text.chars().take(30).collect()
}

fn action(text: &str) -> Result<Vec<Call>, String> {
    let mut calls = vec![Vec::new()];
    for word in words(text)? {
        if word == "|" {
            calls.push(Vec::new());
        } else if let Some(call) = calls.last_mut() {
            call.push(term(&word)?);
        }
    }
    calls
        .into_iter()
        .map(|terms| {
            let mut terms = terms.into_iter();
            let head = terms
                .next()
                .ok_or_else(|| format!("\"{{{{ {text} }}}}\" is empty in part"))?;
            Ok(Call {
                head,
                args: terms.collect(),
            })
        })
        .collect()
}

/// Words, quoted strings (with their opening quote kept) and pipes.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() || c == '(' || c == ')' => {}
            '|' => out.push("|".into()),
            '"' | '`' => {
                let mut word = String::from('"');
                loop {
                    match chars.next() {
                        Some(end) if end == c => break,
                        Some('\\') if c == '"' => word.extend(chars.next()),
                        Some(other) => word.push(other),
                        None => return Err(format!("a quoted text in \"{}\" does not end", head(text))),
                    }
                }
                out.push(word);
            }
            first => {
                let mut word = String::from(first);
                while let Some(next) = chars.next_if(|n| !n.is_whitespace() && !"|()\"".contains(*n)) {
                    word.push(next);
                }
                out.push(word);
            }
        }
    }
    Ok(out)
}

fn term(word: &str) -> Result<Term, String> {
    if let Some(text) = word.strip_prefix('"') {
        return Ok(Term::Text(text.to_owned()));
    }
    if matches!(word, "$value" | ".Value") {
        return Ok(Term::Value);
    }
    if let Some(name) = word
        .strip_prefix("$labels.")
        .or_else(|| word.strip_prefix(".Labels."))
    {
        return Ok(Term::Label(name.to_owned()));
    }
    if let Ok(number) = word.parse() {
        return Ok(Term::Number(number));
    }
    if let Some(known) = FUNCTIONS.iter().find(|known| **known == word) {
        return Ok(Term::Function(known));
    }
    Err(format!(
        "\"{word}\" is not known in templates; there are $labels.NAME, $value and {}",
        FUNCTIONS.join(", ")
    ))
}

impl Call {
    fn apply(&self, piped: Option<Datum>, labels: &BTreeMap<String, String>, value: f64) -> Datum {
        let datum = |term: &Term| match term {
            Term::Label(name) => Datum::Text(labels.get(name).cloned().unwrap_or_default()),
            Term::Value => Datum::Number(value),
            Term::Text(text) => Datum::Text(text.clone()),
            Term::Number(number) => Datum::Number(*number),
            Term::Function(name) => Datum::Text((*name).to_owned()),
        };
        let Term::Function(name) = &self.head else {
            return datum(&self.head);
        };
        let mut args: Vec<Datum> = self.args.iter().map(datum).collect();
        args.extend(piped);
        function(name, &args)
    }
}

impl Datum {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => promql::format_value(*number),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Number(number) => Some(*number),
        }
    }
}

fn function(name: &str, args: &[Datum]) -> Datum {
    let Some(last) = args.last() else {
        return Datum::Text(String::new());
    };
    let numeric = |format: fn(f64) -> String| last.number().map_or_else(|| last.text(), format);
    Datum::Text(match name {
        "humanize" => numeric(|v| scaled(v, 1000.0, &["", "k", "M", "G", "T", "P", "E"])),
        "humanize1024" => numeric(|v| scaled(v, 1024.0, &["", "ki", "Mi", "Gi", "Ti", "Pi", "Ei"])),
        "humanizePercentage" => numeric(|v| format!("{}%", short(v * 100.0))),
        "humanizeDuration" => numeric(duration),
        "humanizeTimestamp" => numeric(|v| kernel::clock::from_millis((v * 1000.0) as i64).to_string()),
        "printf" => printf(&args[0].text(), &args[1..]),
        "title" => title(&last.text()),
        "toUpper" => last.text().to_uppercase(),
        "toLower" => last.text().to_lowercase(),
        "stripPort" => last
            .text()
            .rsplit_once(':')
            .map_or_else(|| last.text(), |(host, _)| host.to_owned()),
        "stripDomain" => last.text().split('.').next().unwrap_or_default().to_owned(),
        _ => last.text(),
    })
}

fn title(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|c| c.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

/// Four significant digits, without trailing zeros.
fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return promql::format_value(value);
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut unit = 0;
    while value.abs() >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", short(value), units[unit])
}

fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return promql::format_value(seconds);
    }
    if seconds.abs() < 1.0 {
        return format!("{}ms", short(seconds * 1000.0));
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let whole = seconds.abs() as u64;
    let (d, h, m, s) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{sign}{}s", short(seconds.abs())),
        (0, 0, _) => format!("{sign}{m}m {s}s"),
        (0, ..) => format!("{sign}{h}h {m}m"),
        _ => format!("{sign}{d}d {h}h"),
    }
}

/// `%s`, `%v`, `%d`, `%f`, `%.2f`, `%%`.
fn printf(format: &str, args: &[Datum]) -> String {
    let mut args = args.iter();
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = String::new();
        while let Some(digit) = chars.next_if(|n| n.is_ascii_digit() || *n == '.') {
            spec.push(digit);
        }
        let places = spec
            .rsplit_once('.')
            .and_then(|(_, p)| p.parse::<usize>().ok())
            .map(|p| p.min(20));
        match chars.next() {
            Some('%') => out.push('%'),
            Some('f') => {
                let number = args.next().and_then(Datum::number).unwrap_or(f64::NAN);
                out.push_str(&format!("{number:.*}", places.unwrap_or(6)));
            }
            Some('d') => out.push_str(&format!(
                "{:.0}",
                args.next().and_then(Datum::number).unwrap_or(f64::NAN)
            )),
            Some('s' | 'v' | 'g') => out.push_str(&args.next().map(Datum::text).unwrap_or_default()),
            other => out.extend(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str, value: f64) -> String {
        let labels = BTreeMap::from([("instance".to_owned(), "web-1.example:9100".to_owned())]);
        Template::parse(text).unwrap().render(&labels, value)
    }

    #[test]
    fn templates_fill_in() {
        for (text, value, expected) in [
            (
                "{{ $labels.instance }} is at {{ $value }}",
                4.5,
                "web-1.example:9100 is at 4.5",
            ),
            ("{{$labels.absent}}x", 0.0, "x"),
            ("{{ $value | humanizePercentage }}", 0.987_654, "98.77%"),
            ("{{ humanize1024 $value }}B", 1_610_612_736.0, "1.5GiB"),
            ("{{ humanizeDuration $value }}", 93_784.0, "1d 2h"),
            (
                "{{ printf \"%.2f of %s\" $value .Labels.instance }}",
                1.0,
                "1.00 of web-1.example:9100",
            ),
            (
                "{{ $labels.instance | stripPort | toUpper }}",
                0.0,
                "WEB-1.EXAMPLE",
            ),
            ("{{ $value | printf \"%.0f%%\" }}", 12.6, "13%"),
            ("a {{- $value -}} b", 1.0, "a1b"),
        ] {
            assert_eq!(render(text, value), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (text, part) in [
            ("{{ if $value }}x{{ end }}", "\"if\""),
            ("{{ $value ", "closing"),
            ("{{ }}", "empty"),
            ("{{ \"x }}", "does not end"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
