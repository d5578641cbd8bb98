//! Reading `mainstay.toml`: every field has a default, unknown fields are refused by name and line, and
//! defaults < file < environment < flags.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration {path} cannot be read: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the configuration {path} is not right: {message}", path = path.display())]
    Parse { path: PathBuf, message: String },
    #[error("the environment variable {name} is not right: {message}")]
    Env { name: String, message: String },
}

/// The file (when there is one) with the environment on top: `MAINSTAY_SMTP__HOST=…` sets `smtp.host`.
pub fn load<T: DeserializeOwned>(
    file: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let shown = file.unwrap_or(Path::new("mainstay.toml")).to_owned();
    let text = match file {
        Some(path) => std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?,
        None => String::new(),
    };
    // Parsed alone first, so that errors carry the file's own lines.
    toml::from_str::<T>(&text).map_err(|error| ConfigError::Parse {
        path: shown.clone(),
        message: error.to_string(),
    })?;
    let mut table: toml::Table = toml::from_str(&text).map_err(|error| ConfigError::Parse {
        path: shown.clone(),
        message: error.to_string(),
    })?;
    for (name, value) in env {
        let Some(path) = name.strip_prefix("MAINSTAY_").filter(|rest| rest.contains("__")) else {
            continue;
        };
        let keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        set(&mut table, &keys, parse_value(&value));
        table.clone().try_into::<T>().map_err(|error| ConfigError::Env {
            name: name.clone(),
            message: error.to_string(),
        })?;
    }
    table
        .try_into()
        .map_err(|error: toml::de::Error| ConfigError::Parse {
            path: shown,
            message: error.to_string(),
        })
}

fn parse_value(text: &str) -> toml::Value {
    let parsed = toml::from_str::<toml::Table>(&format!("v = {text}"))
        .ok()
        .and_then(|mut table| table.remove("v"));
    parsed.unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

fn set(table: &mut toml::Table, keys: &[String], value: toml::Value) {
    match keys {
        [] => {}
        [last] => {
            table.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let inner = table
                .entry(first.clone())
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let toml::Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}
