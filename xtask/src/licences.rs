//! `deps`, the second half: every crate that is built has a licence that `deny.toml` allows, and none is one that it bans.
//!
//! What `cargo deny` checks beyond this, advisories and sources, needs the network: `cargo deny check`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Rules {
    licenses: Licences,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Debug, Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// Absent for the house's own crates.
    source: Option<String>,
}

/// Every breach, in words.
pub fn breaches(root: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root.join("deny.toml")).context("deny.toml cannot be read")?;
    let rules: Rules = toml::from_str(&text).context("deny.toml is not what was expected")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args([
        "metadata",
        "--locked",
        "--format-version",
        "1",
        "--filter-platform",
        "x86_64-unknown-linux-gnu",
    ]);
    let listed = crate::output_of(&mut command)?;
    let metadata: Metadata =
        serde_json::from_slice(&listed).context("cargo metadata is not what was expected")?;
    Ok(check(&rules, &metadata))
}

fn check(rules: &Rules, metadata: &Metadata) -> Vec<String> {
    let mut found = Vec::new();
    for package in metadata
        .packages
        .iter()
        .filter(|package| package.source.is_some())
    {
        let shown = format!("{} {}", package.name, package.version);
        if let Some(banned) = rules.bans.deny.iter().find(|banned| banned.name == package.name) {
            found.push(format!("{shown} is banned by deny.toml: {}", banned.reason));
        }
        match &package.license {
            Some(licence) if is_allowed(licence, &rules.licenses.allow) => {}
            Some(licence) => found.push(format!(
                "{shown} is under {licence}, which deny.toml does not allow"
            )),
            None => found.push(format!("{shown} names no licence")),
        }
    }
    found
}

/// An SPDX expression with AND, OR and parentheses; an old `/` means OR.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let is_fine = either(&words, &mut at, allowed);
    is_fine && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut is_fine = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        is_fine |= both(words, at, allowed);
    }
    is_fine
}

fn both(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut is_fine = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        is_fine &= one(words, at, allowed);
    }
    is_fine
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let is_fine = either(words, at, allowed);
        let is_closed = words.get(*at) == Some(&")");
        *at += 1;
        return is_fine && is_closed;
    }
    let mut name = (*word).to_owned();
    if let (Some(&"WITH"), Some(exception)) = (words.get(*at), words.get(*at + 1)) {
        name = format!("{name} WITH {exception}");
        *at += 2;
    }
    allowed.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_weighed() {
        let allowed: BTreeSet<String> = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]
            .map(str::to_owned)
            .into();
        for (expression, want) in [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("(MIT OR GPL-3.0) AND Apache-2.0", true),
            ("(MIT OR GPL-3.0) AND GPL-2.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0 WITH other", false),
            ("GPL-3.0", false),
            ("(MIT", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression, &allowed), want, "{expression}");
        }
    }
}
