//! Tables and values for people's eyes.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::client::Client;
use crate::out;

/// Prints rows as JSON or as a table of the named columns: `(heading, path)`, with `a.b` for nested fields and `a.b?` for one that
/// not every row has. A field that the server does not send is shown as `?`, one without a value as `-`.
pub fn rows(client: &Client, items: &[Value], columns: &[(&str, &str)]) {
    if client.json {
        return value(&Value::Array(items.to_vec()));
    }
    let mut table: Vec<Vec<String>> =
        vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect()];
    table.extend(
        items
            .iter()
            .map(|item| columns.iter().map(|(_, path)| cell(item, path)).collect()),
    );
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            table
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for row in &table {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        out::line(cells.join("  ").trim_end());
    }
}

pub fn value(value: &Value) {
    out::line(serde_json::to_string_pretty(value).unwrap_or_default());
}

/// A field by its path, as short text.
pub fn cell(item: &Value, path: &str) -> String {
    let (path, may_be_absent) = match path.strip_suffix('?') {
        Some(path) => (path, true),
        None => (path, false),
    };
    let mut found = item;
    for name in path.split('.') {
        match found {
            Value::Object(fields) if !fields.contains_key(name) && !may_be_absent => return "?".into(),
            _ => found = &found[name],
        }
    }
    match found {
        Value::Null => "-".into(),
        Value::String(text) => text.replace('\n', " "),
        Value::Array(list) => list
            .iter()
            .map(|v| v["name"].as_str().map_or_else(|| plain(v), str::to_owned))
            .collect::<Vec<_>>()
            .join(","),
        other => plain(other),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A duration of an option, such as 5m, in milliseconds; longer than nothing.
pub fn duration_ms(option: &str, text: &str) -> Result<i64> {
    let length = promql::parse_duration(text)
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("{option} {text}"))?;
    if length <= 0 {
        bail!("{option} {text}: must be longer than nothing, for instance 5m or 1h");
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_is_not_sent_is_told_from_one_without_a_value() {
        let row = json!({ "name": "a", "lead": null, "owner": { "name": "Ann" }, "labels": {} });
        for (path, expected) in [
            ("name", "a"),
            ("lead", "-"),
            ("lead.name", "-"),
            ("owner.name", "Ann"),
            ("owner.login", "?"),
            ("owned_by", "?"),
            ("labels.summary", "?"),
            ("labels.summary?", "-"),
        ] {
            assert_eq!(cell(&row, path), expected, "{path}");
        }
    }
}
