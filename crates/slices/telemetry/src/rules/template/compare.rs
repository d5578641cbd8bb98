//! `eq`, `lt` and their kin: like kinds only, as in Go.

use super::value::Value;

const INCOMPATIBLE: &str = "incompatible types for comparison";

pub(super) fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a), Value::Int(b)) | (Value::Duration(a), Value::Duration(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => Ok(a == b),
        (Value::Time(a), Value::Time(b)) => Ok(a == b),
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, other) | (other, Value::Nil) if is_reference(other) => Ok(false),
        (a, b) if is_reference(a) || is_reference(b) => {
            let kind = if is_reference(a) { a.kind() } else { b.kind() };
            Err(format!("non-comparable type {kind}"))
        }
        _ => Err(INCOMPATIBLE.into()),
    }
}

fn is_reference(value: &Value) -> bool {
    matches!(
        value,
        Value::Labels(_) | Value::Args(_) | Value::Elements(_) | Value::Element(_) | Value::Root
    )
}

/// Is the first equal to one of the others?
pub(super) fn any_equal(args: &[Value]) -> Result<bool, String> {
    for other in &args[1..] {
        if equal(&args[0], other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn less(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) | (Value::Duration(a), Value::Duration(b)) => Ok(a < b),
        (Value::Float(a), Value::Float(b)) => Ok(a < b),
        (Value::Text(a), Value::Text(b)) => Ok(a < b),
        (Value::Bool(_), Value::Bool(_)) => Err("invalid type for comparison".into()),
        _ => Err(INCOMPATIBLE.into()),
    }
}
