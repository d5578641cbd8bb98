//! The functions that Go's templates bring along. `and` and `or` are with the evaluation, for they leave arguments out.

use std::rc::Rc;

use super::format::printf;
use super::functions::{as_text, unknown, wrong};
use super::value::Value;
use super::{address, compare};

pub(super) fn call(name: &str, args: &[Value]) -> Result<Value, String> {
    Ok(match name {
        "printf" => Value::text(printf(&as_text(args, 0)?, &args[1..])),
        "print" => Value::text(print(args)),
        "println" => Value::text(println(args)),
        "html" => Value::text(address::escape_html(&print(args))),
        "js" => Value::text(address::escape_script(&print(args))),
        "urlquery" => Value::text(address::escape_query(&print(args))),
        "len" => Value::Int(length(&args[0])? as i64),
        "index" => index(args)?,
        "slice" => slice(args)?,
        "not" => Value::Bool(!args[0].is_true()),
        "eq" => Value::Bool(compare::any_equal(args)?),
        "ne" => Value::Bool(!compare::equal(&args[0], &args[1])?),
        "lt" => Value::Bool(compare::less(&args[0], &args[1])?),
        "le" => Value::Bool(compare::less(&args[0], &args[1])? || compare::equal(&args[0], &args[1])?),
        "gt" => Value::Bool(!compare::less(&args[0], &args[1])? && !compare::equal(&args[0], &args[1])?),
        "ge" => Value::Bool(!compare::less(&args[0], &args[1])?),
        other => return Err(unknown(other)),
    })
}

/// A space between neighbours of which neither is a text.
fn print(args: &[Value]) -> String {
    let mut out = String::new();
    for (n, arg) in args.iter().enumerate() {
        let is_plain = |value: &Value| !matches!(value, Value::Text(_));
        if n > 0 && is_plain(arg) && is_plain(&args[n - 1]) {
            out.push(' ');
        }
        out.push_str(&printed(arg));
    }
    out
}

fn println(args: &[Value]) -> String {
    let all: Vec<String> = args.iter().map(printed).collect();
    all.join(" ") + "\n"
}

fn printed(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".into(),
        other => other.print(),
    }
}

fn length(value: &Value) -> Result<usize, String> {
    Ok(match value {
        Value::Text(text) => text.len(),
        Value::Labels(map) => map.len(),
        Value::Args(map) => map.len(),
        Value::Elements(list) => list.len(),
        other => return Err(format!("len of type {}", other.kind())),
    })
}

fn place(value: &Value, most: usize) -> Result<usize, String> {
    match value {
        Value::Int(number) => match usize::try_from(*number) {
            Ok(place) if place <= most => Ok(place),
            _ => Err(format!("index out of range: {number}")),
        },
        other => Err(format!("cannot index with type {}", other.kind())),
    }
}

fn index(args: &[Value]) -> Result<Value, String> {
    let mut value = args[0].clone();
    for key in &args[1..] {
        value = match (&value, key) {
            (Value::Labels(map), Value::Text(name)) => {
                Value::text(map.get(&**name).cloned().unwrap_or_default())
            }
            (Value::Args(map), Value::Text(name)) => map.get(&**name).cloned().unwrap_or(Value::Nil),
            (Value::Labels(_) | Value::Args(_), other) => return Err(wrong("string", other)),
            (Value::Elements(list), key) => {
                let at = place(key, list.len())?;
                let found = list.get(at).ok_or_else(|| format!("index out of range: {at}"))?;
                Value::Element(found.clone())
            }
            (Value::Text(text), key) => {
                let at = place(key, text.len())?;
                let byte = text.as_bytes().get(at);
                Value::Int(i64::from(
                    *byte.ok_or_else(|| format!("index out of range: {at}"))?,
                ))
            }
            (other, _) => return Err(format!("can't index item of type {}", other.kind())),
        };
    }
    Ok(value)
}

fn slice(args: &[Value]) -> Result<Value, String> {
    let most = match &args[0] {
        Value::Text(_) | Value::Elements(_) => length(&args[0])?,
        other => return Err(format!("can't slice item of type {}", other.kind())),
    };
    let from = args.get(1).map_or(Ok(0), |value| place(value, most))?;
    let to = args.get(2).map_or(Ok(most), |value| place(value, most))?;
    if from > to || args.len() > 3 {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    Ok(match &args[0] {
        Value::Text(text) => Value::text(String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned()),
        Value::Elements(list) => Value::Elements(Rc::new(list[from..to].to_vec())),
        other => other.clone(),
    })
}
