//! `new-slice NAME`: a folder of the slice's shape that compiles, passes its tests and waits to be rewritten.
//!
//! Files without content of their own (`react.rs`, `tasks.rs`) are not made: a missing file means there is none.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Where each file goes under the slice's folder, and its text. `@name@`, `@Name@` and `@prefix@` are filled in.
const FILES: [(&str, &str); 11] = [
    ("Cargo.toml", include_str!("../template/Cargo.toml.txt")),
    ("README.md", include_str!("../template/README.md.txt")),
    (
        "migrations/0001_@name@.sql",
        include_str!("../template/migration.sql.txt"),
    ),
    ("src/lib.rs", include_str!("../template/lib.rs.txt")),
    ("src/model.rs", include_str!("../template/model.rs.txt")),
    ("src/decide.rs", include_str!("../template/decide.rs.txt")),
    ("src/store.rs", include_str!("../template/store.rs.txt")),
    ("src/events.rs", include_str!("../template/events.rs.txt")),
    ("src/api.rs", include_str!("../template/api.rs.txt")),
    ("src/error.rs", include_str!("../template/error.rs.txt")),
    ("tests/it/main.rs", include_str!("../template/main.rs.txt")),
];

pub fn run(root: &Path, name: &str) -> Result<()> {
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() >= 3
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_name {
        bail!(
            "\"{name}\" cannot name a slice; use a noun of at least three lower-case letters, as \"oncall\""
        );
    }
    let folder = root.join("crates/slices").join(name);
    if folder.exists() {
        bail!("{} exists already", folder.display());
    }
    let manifest = root.join("Cargo.toml");
    let workspace = std::fs::read_to_string(&manifest)
        .with_context(|| format!("{} cannot be read", manifest.display()))?;
    let workspace = listed(&workspace, name)?;
    for (path, text) in FILES {
        let path = folder.join(fill(path, name));
        let parent = path.parent().context("a template has no folder")?;
        std::fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))?;
        std::fs::write(&path, fill(text, name))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    std::fs::write(&manifest, workspace)
        .with_context(|| format!("{} cannot be written", manifest.display()))?;
    format(root, &folder);
    crate::say(format_args!(
        "made crates/slices/{name} and listed it in Cargo.toml. Now:\n\
         - give it a tier in ARCHITECTURE.md\n\
         - add `{name}.workspace = true` to crates/server/Cargo.toml and a line to crates/server/src/slices.rs\n\
         - cargo nextest run -p {name}"
    ));
    Ok(())
}

/// Line breaks depend on the length of the name. A missing rustfmt leaves a slice that works all the same.
fn format(root: &Path, folder: &Path) {
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--edition", "2024", "--config-path"]).arg(root);
    rustfmt.args([folder.join("src/lib.rs"), folder.join("tests/it/main.rs")]);
    if let Err(error) = crate::output_of(&mut rustfmt) {
        crate::say(format_args!("not formatted; run `cargo fmt`: {error:#}"));
    }
}

fn fill(text: &str, name: &str) -> String {
    let prefix: String = name.chars().filter(char::is_ascii_lowercase).take(3).collect();
    text.replace("@name@", name)
        .replace("@Name@", &pascal(name))
        .replace("@prefix@", &prefix)
}

fn pascal(name: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    name.split('_')
        .filter(|word| !word.is_empty())
        .map(capital)
        .collect()
}

/// The root manifest with the slice as a member and as a dependency that others may name.
fn listed(manifest: &str, name: &str) -> Result<String> {
    let mut lines: Vec<String> = manifest.lines().map(String::from).collect();
    let is_member = |line: &String| line.contains("\"crates/slices/") && !line.contains('=');
    let member = lines.iter().rposition(is_member);
    let member = member.context("Cargo.toml lists no slice among its members")?;
    lines.insert(member + 1, format!("  \"crates/slices/{name}\","));
    let path = lines
        .iter()
        .rposition(|line| line.contains("path = \"crates/slices/"));
    let path = path
        .filter(|at| *at > member + 1)
        .context("Cargo.toml has no slice among its workspace dependencies")?;
    lines.insert(
        path + 1,
        format!("{name} = {{ path = \"crates/slices/{name}\" }}"),
    );
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[workspace]\nmembers = [\n  \"crates/slices/access\",\n  \"xtask\",\n]\n\n\
        [workspace.dependencies]\naccess = { path = \"crates/slices/access\" }\nanyhow = \"1\"\n";

    #[test]
    fn a_slice_is_made_once_and_listed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Cargo.toml"), MANIFEST).unwrap();
        run(dir.path(), "war_room").unwrap();
        let read = |path: &str| std::fs::read_to_string(dir.path().join(path)).unwrap();
        let expected = MANIFEST
            .replace("access\",\n", "access\",\n  \"crates/slices/war_room\",\n")
            .replace(
                "access\" }\n",
                "access\" }\nwar_room = { path = \"crates/slices/war_room\" }\n",
            );
        assert_eq!(read("Cargo.toml"), expected);
        assert!(read("crates/slices/war_room/src/model.rs").contains("pub struct WarRoom {"));
        assert!(
            read("crates/slices/war_room/migrations/0001_war_room.sql")
                .starts_with("CREATE TABLE war_room (")
        );
        for (path, _) in FILES {
            let text = read(&format!("crates/slices/war_room/{}", fill(path, "war_room")));
            assert!(
                !text.contains("@name@") && !text.contains("@Name@") && !text.contains("@prefix@"),
                "{path}"
            );
        }
        assert!(
            run(dir.path(), "war_room")
                .unwrap_err()
                .to_string()
                .contains("exists already")
        );
    }

    #[test]
    fn a_name_must_be_one() {
        for name in ["", "ab", "War", "war-room", "1st", "../x"] {
            assert!(
                run(Path::new("."), name)
                    .unwrap_err()
                    .to_string()
                    .contains("cannot name a slice"),
                "{name}"
            );
        }
    }
}
