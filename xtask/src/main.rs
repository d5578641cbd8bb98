//! The project's own commands: `cargo xtask tidy | deps | new-slice NAME | openapi [--check]`.

mod deps;
mod licences;
mod new_slice;
mod openapi;
mod tidy;

use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "\
usage: cargo xtask COMMAND
  tidy                              check files: size, opening lines, markers, paths, readmes
  deps                              check who imports whom against ARCHITECTURE.md, and licences against deny.toml
  new-slice NAME                    make crates/slices/NAME
  openapi [--check] [--binary PATH] write ui/openapi.json from the server, or check that it is current
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["tidy"] => tidy::run(&root()?),
        ["deps"] => deps::run(&root()?),
        ["new-slice", name] => new_slice::run(&root()?, name),
        ["openapi", options @ ..] => openapi::run(&root()?, &openapi::Options::parse(options)?),
        _ => bail!("{USAGE}"),
    }
}

/// The project's folder: where this crate's folder lies.
fn root() -> Result<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").context("start this with `cargo xtask`")?;
    let root = Path::new(&manifest)
        .parent()
        .context("the xtask crate has no parent folder")?;
    Ok(root.to_path_buf())
}

/// Says something to the person at the terminal.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Runs a program to its end and returns what it wrote.
fn output_of(command: &mut Command) -> Result<Vec<u8>> {
    let shown = format!("{command:?}");
    let output = command
        .output()
        .with_context(|| format!("{shown} did not start"))?;
    if !output.status.success() {
        bail!(
            "{shown} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output.stdout)
}
