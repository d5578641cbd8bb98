//! Splits a test file into commands.

use promql::parse_duration;

pub enum Command {
    Clear,
    Load {
        step_ms: i64,
        lines: Vec<String>,
        nhcb: bool,
    },
    Eval(Case),
}

#[derive(Clone, Copy)]
pub enum When {
    At(i64),
    Range { start: i64, end: i64, step: i64 },
}

/// One evaluation with what is expected of it.
pub struct Case {
    pub line: usize,
    pub when: When,
    pub expr: String,
    pub fails: bool,
    pub fail_text: Option<String>,
    pub ordered: bool,
    /// Expected to appear among the warnings or infos; empty for any.
    pub warn: Option<String>,
    pub info: Option<String>,
    pub no_warn: bool,
    pub no_info: bool,
    pub string: Option<String>,
    pub matrix: Option<(i64, i64, i64)>,
    /// Expected series, unparsed.
    pub series: Vec<String>,
}

/// A time or duration of the test language: `5m`, `90`, `1m30s`.
pub fn millis(text: &str) -> i64 {
    match text.parse::<f64>() {
        Ok(seconds) => (seconds * 1000.0).round() as i64,
        Err(_) => parse_duration(text).expect(text),
    }
}

pub fn commands(text: &str) -> Vec<Command> {
    let mut out = Vec::new();
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(i, l)| (i + 1, l.trim()))
        .peekable();
    while let Some((number, line)) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut body = Vec::new();
        while let Some((_, next)) = lines.next_if(|(_, l)| !l.is_empty() && !starts_command(l)) {
            if !next.starts_with('#') {
                body.push(next.to_owned());
            }
        }
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word {
            "clear" => out.push(Command::Clear),
            "load" | "load_with_nhcb" => {
                out.push(Command::Load {
                    step_ms: millis(rest.trim()),
                    lines: body,
                    nhcb: word != "load",
                });
            }
            "eval" | "eval_fail" => out.push(Command::Eval(case(
                number,
                rest.trim(),
                word == "eval_fail",
                body,
            ))),
            other => panic!("line {number}: unknown command {other}"),
        }
    }
    out
}

fn starts_command(line: &str) -> bool {
    ["clear", "load ", "load_with_nhcb ", "eval ", "eval_fail "]
        .iter()
        .any(|c| line == c.trim() || line.starts_with(c))
}

fn case(line: usize, text: &str, fails: bool, body: Vec<String>) -> Case {
    let mut words = text.splitn(4, char::is_whitespace);
    let kind = words.next().unwrap();
    let (when, expr) = if kind == "instant" {
        words.next();
        let at = millis(words.next().unwrap());
        (When::At(at), words.next().unwrap_or("").to_owned())
    } else {
        let parts: Vec<&str> = text.splitn(8, char::is_whitespace).collect();
        let (start, end, step) = (millis(parts[2]), millis(parts[4]), millis(parts[6]));
        (When::Range { start, end, step }, parts[7].to_owned())
    };
    let mut case = Case {
        line,
        when,
        expr: expr.trim().to_owned(),
        fails,
        fail_text: None,
        ordered: false,
        warn: None,
        info: None,
        no_warn: false,
        no_info: false,
        string: None,
        matrix: None,
        series: Vec::new(),
    };
    for line in body {
        match line.strip_prefix("expect ") {
            Some(expectation) => expect(&mut case, expectation.trim()),
            None => case.series.push(line),
        }
    }
    case
}

fn expect(case: &mut Case, text: &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    // Patterns are only checked up to their first special character.
    let wanted = match rest.strip_prefix("regex:") {
        Some(pattern) => pattern
            .trim()
            .split(['\\', '(', '[', '.'])
            .next()
            .unwrap_or("")
            .to_owned(),
        None => rest.strip_prefix("msg:").unwrap_or("").trim().to_owned(),
    };
    match word {
        "ordered" => case.ordered = true,
        "fail" => {
            case.fails = true;
            case.fail_text = Some(wanted);
        }
        "warn" => case.warn = Some(wanted),
        "info" => case.info = Some(wanted),
        "no_warn" => case.no_warn = true,
        "no_info" => case.no_info = true,
        "string" => case.string = Some(rest[1..rest.len() - 1].to_owned()),
        "range" => {
            let parts: Vec<&str> = rest.split_whitespace().collect();
            case.matrix = Some((millis(parts[2]), millis(parts[4]), millis(parts[6])));
        }
        other => panic!("line {}: unknown expectation {other}", case.line),
    }
}
