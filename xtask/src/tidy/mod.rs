//! `tidy`: the shape of the files. Looks at what git tracks or would track, and says everything it finds.

mod rules;

use anyhow::{Result, bail};
use rules::{Finding, Level};
use std::path::Path;
use std::process::Command;

pub fn run(root: &Path) -> Result<()> {
    let findings = check(root)?;
    for finding in &findings {
        crate::say(finding);
    }
    match findings
        .iter()
        .filter(|finding| finding.level == Level::Fails)
        .count()
    {
        0 => Ok(()),
        count => bail!("tidy: {count} to mend"),
    }
}

/// Everything worth saying about the files of a checkout, worst first.
fn check(root: &Path) -> Result<Vec<Finding>> {
    let names = file_names(root)?;
    let mut findings = rules::readmes(&names, &|name| std::fs::read_to_string(root.join(name)).ok());
    let mut kernel_lines = 0;
    for name in &names {
        let Ok(bytes) = std::fs::read(root.join(name)) else {
            continue;
        };
        // Pictures and the like are no text.
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        findings.extend(rules::file(name, &text));
        if name.starts_with("crates/kernel/src/") {
            kernel_lines += text.lines().count();
        }
    }
    findings.extend(rules::kernel_size(kernel_lines));
    findings.sort_by(|left, right| {
        (left.level, &left.file, left.line).cmp(&(right.level, &right.file, right.line))
    });
    Ok(findings)
}

/// Tracked files and new ones that are not ignored, as they are in the working tree.
fn file_names(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.arg("-C")
        .arg(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = crate::output_of(&mut git)?;
    let mut names: Vec<String> = String::from_utf8_lossy(&listed)
        .split('\0')
        .filter(|name| !name.is_empty() && root.join(name).is_file())
        .map(String::from)
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Checkout(tempfile::TempDir);

    impl Checkout {
        fn new(files: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let git = Command::new("git")
                .arg("-C")
                .arg(dir.path())
                .args(["init", "-q"])
                .status()
                .unwrap();
            assert!(git.success());
            for (name, text) in files {
                let path = dir.path().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            Checkout(dir)
        }

        fn findings(&self) -> Vec<String> {
            check(self.0.path())
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect()
        }
    }

    #[test]
    fn a_clean_tree_has_no_findings_and_ignored_files_do_not_count() {
        let marker = format!("{} later", concat!("TO", "DO"));
        let tree = Checkout::new(&[
            (".gitignore", "/target\n"),
            ("crates/a/Cargo.toml", "[package]\nname = \"a\"\n"),
            ("crates/a/README.md", "# a\n"),
            ("crates/a/src/lib.rs", "//! Owns a.\n"),
            ("target/out.rs", &marker),
            ("picture.bin", "\u{0}"),
        ]);
        std::fs::write(tree.0.path().join("picture.bin"), [0xff, 0xfe, 0x00]).unwrap();
        assert_eq!(tree.findings(), Vec::<String>::new());
    }

    #[test]
    fn each_breach_is_told_with_its_place() {
        let marker = format!("//! Owns b.\n// {}: more\n", concat!("FIX", "ME"));
        let tree = Checkout::new(&[
            ("crates/b/Cargo.toml", "[package]\nname = \"b\"\n"),
            ("crates/b/src/lib.rs", "pub fn b() {}\n"),
            ("crates/b/src/marked.rs", &marker),
            ("ui/src/long.ts", &"x\n".repeat(801)),
            ("ui/src/longish.ts", &"x\n".repeat(401)),
            ("ui/src/api/schema.d.ts", &"x\n".repeat(5000)),
            ("crates/kernel/src/all.txt", &"x\n".repeat(6001)),
        ]);
        let findings = tree.findings();
        let starts: Vec<&str> = findings
            .iter()
            .map(|text| text.split(": ").next().unwrap())
            .collect();
        let expected = [
            "crates/b/Cargo.toml",
            "crates/b/src/lib.rs:1",
            "crates/b/src/marked.rs:2",
            "crates/kernel",
            "ui/src/long.ts",
            "note",
        ];
        assert_eq!(starts, expected, "{findings:#?}");
        assert!(run(tree.0.path()).unwrap_err().to_string().contains("5 to mend"));
    }
}
