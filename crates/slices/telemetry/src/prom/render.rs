//! Prometheus' answers and errors as JSON, written straight into one string.

use std::fmt::Write;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use promql::{Outcome, Value, format_value};

use crate::answer::MOST;
use crate::query::QueryError;

/// An error in Prometheus' shape.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn bad_data(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "bad_data",
            message: message.into(),
        }
    }

    pub(super) fn execution(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            kind: "execution",
            message: message.into(),
        }
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        match error {
            QueryError::Parse(_) | QueryError::Eval(promql::EvalError::BadRequest(_)) => {
                Self::bad_data(message)
            }
            QueryError::Eval(promql::EvalError::Cancelled) | QueryError::Timeout(_) => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                kind: "timeout",
                message,
            },
            QueryError::Busy(_) | QueryError::Crowded => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                kind: "unavailable",
                message,
            },
            QueryError::Eval(_) | QueryError::Lost => Self::execution(message),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = String::from("{\"status\":\"error\",\"errorType\":");
        string(&mut body, self.kind);
        body.push_str(",\"error\":");
        string(&mut body, &self.message);
        body.push('}');
        (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

/// What a client is told when there was more than its `limit`.
const TRUNCATED: &str = "results truncated due to limit";

/// `{"status":"success","data":…}` around `data`, which is JSON.
pub(super) fn success(data: &str) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, answer(data, &[], &[])).into_response()
}

/// A list, which says when it is not everything and what could not be read.
pub(super) fn list<T>(
    items: &[T],
    is_truncated: bool,
    mut warnings: Vec<String>,
    mut one: impl FnMut(&mut String, &T),
) -> Result<String, Refusal> {
    let mut data = String::from("[");
    for (index, item) in items.iter().enumerate() {
        comma(&mut data, index);
        one(&mut data, item);
        bear(&data)?;
    }
    data.push(']');
    if is_truncated {
        warnings.push(TRUNCATED.to_owned());
    }
    Ok(answer(&data, &warnings, &[]))
}

/// Refuses an answer that has grown too large.
fn bear(data: &str) -> Result<(), Refusal> {
    if data.len() > MOST {
        return Err(Refusal::execution(format!(
            "the answer is larger than {} MiB; select fewer series, a shorter range or a larger step, or give a limit",
            MOST >> 20
        )));
    }
    Ok(())
}

/// An outcome with at most `limit` series.
pub(super) fn outcome(mut outcome: Outcome, limit: usize) -> Result<String, Refusal> {
    let is_truncated = match &mut outcome.value {
        Value::Vector(samples) => cut(samples, limit),
        Value::Matrix(series) => cut(series, limit),
        Value::Scalar { .. } | Value::String { .. } => false,
    };
    if is_truncated {
        outcome.warnings.push(TRUNCATED.to_owned());
    }
    let mut data = String::with_capacity(256);
    value(&mut data, &outcome.value)?;
    Ok(answer(&data, &outcome.warnings, &outcome.infos))
}

fn cut<T>(items: &mut Vec<T>, limit: usize) -> bool {
    let is_longer = items.len() > limit;
    items.truncate(limit);
    is_longer
}

fn answer(data: &str, warnings: &[String], infos: &[String]) -> String {
    let mut body = String::with_capacity(data.len() + 64);
    let _ = write!(body, "{{\"status\":\"success\",\"data\":{data}");
    for (name, list) in [("warnings", warnings), ("infos", infos)] {
        if !list.is_empty() {
            let _ = write!(body, ",\"{name}\":[");
            for (index, text) in list.iter().enumerate() {
                comma(&mut body, index);
                string(&mut body, text);
            }
            body.push(']');
        }
    }
    body.push('}');
    body
}

fn value(out: &mut String, value: &Value) -> Result<(), Refusal> {
    match value {
        Value::Scalar { t_ms, value } => {
            out.push_str("{\"resultType\":\"scalar\",\"result\":");
            point(out, *t_ms, *value);
        }
        Value::String { t_ms, value } => {
            let _ = write!(out, "{{\"resultType\":\"string\",\"result\":[{},", seconds(*t_ms));
            string(out, value);
            out.push(']');
        }
        Value::Vector(samples) => {
            out.push_str("{\"resultType\":\"vector\",\"result\":[");
            for (index, sample) in samples.iter().enumerate() {
                comma(out, index);
                out.push_str("{\"metric\":");
                labels(out, &sample.labels);
                out.push_str(",\"value\":");
                point(out, sample.t_ms, sample.value);
                out.push('}');
                bear(out)?;
            }
            out.push(']');
        }
        Value::Matrix(series) => {
            out.push_str("{\"resultType\":\"matrix\",\"result\":[");
            for (index, one) in series.iter().enumerate() {
                comma(out, index);
                out.push_str("{\"metric\":");
                labels(out, &one.labels);
                out.push_str(",\"values\":[");
                for (index, (t_ms, value)) in one.samples.iter().enumerate() {
                    comma(out, index);
                    point(out, *t_ms, *value);
                }
                out.push_str("]}");
                bear(out)?;
            }
            out.push(']');
        }
    }
    out.push('}');
    Ok(())
}

pub(super) fn labels(out: &mut String, labels: &promql::Labels) {
    out.push('{');
    for (index, label) in labels.iter().enumerate() {
        comma(out, index);
        string(out, &label.name);
        out.push(':');
        string(out, &label.value);
    }
    out.push('}');
}

fn point(out: &mut String, t_ms: i64, value: f64) {
    let _ = write!(out, "[{},\"{}\"]", seconds(t_ms), format_value(value));
}

fn seconds(t_ms: i64) -> String {
    if t_ms % 1000 == 0 {
        (t_ms / 1000).to_string()
    } else {
        format!("{}", t_ms as f64 / 1000.0)
    }
}

pub(super) fn comma(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

pub(super) fn string(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_too_large_is_refused() {
        let answer = |bytes: usize| {
            let labels = promql::Labels::from_pairs([("a", "x".repeat(bytes))]);
            let samples = vec![(0, 1.0)];
            let value = Value::Matrix(vec![promql::Series { labels, samples }]);
            let whole = Outcome {
                value,
                warnings: Vec::new(),
                infos: Vec::new(),
                samples_read: 1,
            };
            outcome(whole, usize::MAX)
        };
        assert!(answer(1000).is_ok());
        let refusal = answer(MOST).unwrap_err();
        assert_eq!(refusal.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refusal.message.contains("larger than 64 MiB"));
    }
}
