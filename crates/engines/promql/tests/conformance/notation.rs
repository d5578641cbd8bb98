//! The series notation: `up{job="x"} 0+10x5 _ stale NaN`.

use promql::{Labels, STALE_NAN_BITS, parse_selector};

pub struct Line {
    pub labels: Labels,
    pub values: Vec<Option<f64>>,
    /// Native histograms or start times: this engine's sources do not have them.
    pub foreign: bool,
}

/// Parses one line. None for a line that is a lone number.
pub fn line(text: &str) -> Option<Line> {
    let end = labels_end(text);
    let (head, mut rest) = text.split_at(end);
    let starts = rest.starts_with("@st");
    rest = rest.strip_prefix("@st").unwrap_or(rest);
    if !head.contains('{') && rest.trim().is_empty() {
        return None;
    }
    let labels = labels(head);
    if starts || rest.contains("{{") {
        return Some(Line {
            labels,
            values: Vec::new(),
            foreign: true,
        });
    }
    let values = rest.split_whitespace().flat_map(item).collect();
    Some(Line {
        labels,
        values,
        foreign: false,
    })
}

fn labels_end(text: &str) -> usize {
    let name = text
        .find(|c: char| c.is_whitespace() || c == '{' || c == '@')
        .unwrap_or(text.len());
    if !text[name..].starts_with('{') {
        return name;
    }
    let (mut quoted, mut escaped) = (false, false);
    for (i, c) in text[name..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return name + i + 1,
            _ => {}
        }
    }
    text.len()
}

fn labels(head: &str) -> Labels {
    let head = head.trim();
    if head.is_empty() || head == "{}" {
        return Labels::default();
    }
    // Only series without any label but empty ones are refused as a selector.
    match parse_selector(head) {
        Ok(matchers) => Labels::from_pairs(matchers.into_iter().map(|m| (m.name, m.value))),
        Err(e) => panic!("{head}: {e}"),
    }
}

/// `a+bxN` is N + 1 values, `_xN` N gaps.
fn item(text: &str) -> Vec<Option<f64>> {
    if text == "stale" {
        return vec![Some(f64::from_bits(STALE_NAN_BITS))];
    }
    let (start, times) = match text.rsplit_once('x') {
        Some((start, n)) => (start, n.parse::<usize>().expect(text)),
        None => (text, 0),
    };
    if start == "_" {
        return vec![None; times.max(1)];
    }
    let (first, delta) = split_delta(start);
    (0..=times).map(|i| Some(first + delta * i as f64)).collect()
}

fn split_delta(text: &str) -> (f64, f64) {
    if let Ok(v) = text.parse() {
        return (v, 0.0);
    }
    let signs = text
        .char_indices()
        .skip(1)
        .filter(|(_, c)| matches!(c, '+' | '-'));
    for (at, _) in signs {
        if let (Ok(a), Ok(b)) = (text[..at].parse(), text[at..].parse()) {
            return (a, b);
        }
    }
    panic!("not a value: {text}");
}
