//! `openapi`: the API description that the web page's client is generated from, as the server binary gives it.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The server only prints a document; longer means that it hangs.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Change nothing; fail when the file is not current.
    check: bool,
    /// The server binary; the debug one is built when none is named.
    binary: Option<PathBuf>,
}

impl Options {
    pub fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Options::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--check" => options.check = true,
                "--binary" => options.binary = Some(words.next().context("--binary needs a path")?.into()),
                other => bail!("openapi does not know {other}; it takes --check and --binary PATH"),
            }
        }
        Ok(options)
    }
}

pub fn run(root: &Path, options: &Options) -> Result<()> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build(root)?,
    };
    let document = describe(&binary)?;
    let target = root.join("ui/openapi.json");
    let before = std::fs::read_to_string(&target).unwrap_or_default();
    if before == document {
        return Ok(());
    }
    if options.check {
        bail!(
            "{} is not current; run `make openapi` and commit it",
            target.display()
        );
    }
    std::fs::write(&target, document).with_context(|| format!("{} cannot be written", target.display()))?;
    crate::say(format_args!("wrote {}", target.display()));
    Ok(())
}

fn build(root: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    crate::output_of(
        Command::new(&cargo)
            .current_dir(root)
            .args(["build", "--quiet", "--locked", "-p", "server"]),
    )?;
    let mut command = Command::new(&cargo);
    command
        .current_dir(root)
        .args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_slice(&crate::output_of(&mut command)?)?;
    let target = metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target folder")?;
    Ok(Path::new(target).join("debug/mainstay"))
}

/// Runs `mainstay openapi` and brings its answer into one form.
fn describe(binary: &Path) -> Result<String> {
    let shown = format!("{} openapi", binary.display());
    let mut child = Command::new(binary)
        .arg("openapi")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{shown} did not start; build it with `cargo build -p server`"))?;
    let mut stdout = child.stdout.take().context("the child has no output")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text).map(|_| text);
        let _ = sender.send(read);
    });
    let Ok(text) = receiver.recv_timeout(TIMEOUT) else {
        child.kill().context("the server that hung could not be ended")?;
        child.wait()?;
        bail!("{shown} did not end within {} s", TIMEOUT.as_secs());
    };
    let status = child.wait()?;
    if !status.success() {
        bail!("{shown} failed: {status}");
    }
    normal_form(&text?).with_context(|| format!("{shown} did not print an OpenAPI document"))
}

fn normal_form(text: &str) -> Result<String> {
    let document: Value = serde_json::from_str(text)?;
    if !document["openapi"].is_string() || !document["paths"].is_object() {
        bail!("it lacks `openapi` or `paths`");
    }
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn server(dir: &Path, script: &str) -> Options {
        let binary = dir.join("mainstay");
        std::fs::write(&binary, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir_all(dir.join("ui")).unwrap();
        Options {
            check: false,
            binary: Some(binary),
        }
    }

    #[test]
    fn the_document_is_written_once_and_checked_later() {
        let dir = tempfile::tempdir().unwrap();
        let options = server(dir.path(), "echo '{\"openapi\":\"3.1.0\",\"paths\":{}}'");
        let check = Options {
            check: true,
            ..server(dir.path(), "echo '{\"openapi\":\"3.1.0\",\"paths\":{}}'")
        };
        assert!(
            run(dir.path(), &check)
                .unwrap_err()
                .to_string()
                .contains("make openapi")
        );
        run(dir.path(), &options).unwrap();
        run(dir.path(), &check).unwrap();
        let written = std::fs::read_to_string(dir.path().join("ui/openapi.json")).unwrap();
        assert_eq!(written, "{\n  \"openapi\": \"3.1.0\",\n  \"paths\": {}\n}\n");
    }

    #[test]
    fn a_server_that_fails_or_babbles_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let message =
            |script: &str| format!("{:#}", run(dir.path(), &server(dir.path(), script)).unwrap_err());
        assert!(message("exit 3").contains("failed: exit status: 3"));
        assert!(message("echo hello").contains("did not print an OpenAPI document"));
        assert!(message("echo '{}'").contains("lacks"));
    }

    #[test]
    fn options_are_read() {
        let parsed = Options::parse(&["--check", "--binary", "x"]).unwrap();
        assert_eq!(
            parsed,
            Options {
                check: true,
                binary: Some("x".into())
            }
        );
        assert!(Options::parse(&["--binary"]).is_err() && Options::parse(&["now"]).is_err());
    }
}
