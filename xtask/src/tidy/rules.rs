//! The rules of `tidy`, each a function from names and texts to findings.
use std::fmt;

/// Files above this many lines fail.
const MAX_LINES: usize = 800;
/// Files above this many lines are named, so that somebody looks.
const AIM_LINES: usize = 400;
const MAX_KERNEL_LINES: usize = 6000;

/// Written in two halves, so that this file does not break its own rule.
const MARKERS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ho", "me/")];

const CODE: [&str; 16] = [
    "rs", "ts", "tsx", "js", "mjs", "css", "html", "sql", "toml", "yml", "yaml", "sh", "py", "json",
    "service", "",
];
const SOURCE: [&str; 6] = ["rs", "ts", "tsx", "js", "mjs", "css"];
const GENERATED: [&str; 4] = [
    "ui/src/api/schema.d.ts",
    "ui/openapi.json",
    "Cargo.lock",
    "package-lock.json",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Fails,
    Notes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    pub file: String,
    pub line: Option<usize>,
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.level == Level::Notes {
            f.write_str("note: ")?;
        }
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

fn fails(file: &str, line: Option<usize>, message: impl Into<String>) -> Finding {
    Finding {
        level: Level::Fails,
        file: file.to_string(),
        line,
        message: message.into(),
    }
}

/// All rules that look at one file.
pub fn file(name: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let extension = extension(name);
    let generated = GENERATED
        .iter()
        .any(|known| name == *known || name.ends_with(&format!("/{known}")));
    if SOURCE.contains(&extension) && !generated {
        findings.extend(size(name, text));
    }
    if extension == "rs" {
        findings.extend(opening(name, text));
    }
    if CODE.contains(&extension) && !generated {
        findings.extend(markers(name, text));
    }
    findings.extend(machine_paths(name, text));
    findings.extend(registries(name, text));
    findings
}

/// The text after the last dot of the file's own name; empty without one.
fn extension(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.trim_start_matches('.')
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension)
}

fn size(name: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    if lines > MAX_LINES {
        return Some(fails(
            name,
            None,
            format!("{lines} lines, at most {MAX_LINES}; make it a folder of the same name"),
        ));
    }
    let message = format!("{lines} lines, aim at {AIM_LINES}");
    (lines > AIM_LINES).then(|| Finding {
        level: Level::Notes,
        ..fails(name, None, message)
    })
}

fn opening(name: &str, text: &str) -> Option<Finding> {
    let opens = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .is_some_and(|line| line.starts_with("//!"));
    (!opens).then(|| {
        fails(
            name,
            Some(1),
            "the module does not open with `//!`; say what it owns",
        )
    })
}

fn markers(name: &str, text: &str) -> Vec<Finding> {
    let hit = |line: &str| MARKERS.into_iter().find(|marker| has_word(line, marker));
    let marked = text
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, hit(line)?)));
    marked
        .map(|(line, marker)| fails(name, Some(line), format!("{marker}: do it, or open an issue")))
        .collect()
}

/// True when the word stands there by itself.
fn has_word(line: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !before.ends_with(is_letter) && !after.starts_with(is_letter)
    })
}

fn machine_paths(name: &str, text: &str) -> Vec<Finding> {
    // The path begins here: it is not the tail of a longer one or of an address.
    let begins = |line: &str, at: usize| {
        !line[..at]
            .ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '}' | ')' | '*'))
    };
    let hit = |line: &str| {
        MACHINE_PATHS
            .into_iter()
            .find(|path| line.match_indices(path).any(|(at, _)| begins(line, at)))
    };
    let lines = text
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, hit(line)?)));
    let message = |path| format!("{path}… is a path of one machine; make it relative or configurable");
    lines
        .map(|(line, path)| fails(name, Some(line), message(path)))
        .collect()
}

/// Lock files and package manager settings must name the public registries only.
fn registries(name: &str, text: &str) -> Vec<Finding> {
    let foreign: fn(&str) -> bool = match name.rsplit('/').next().unwrap_or(name) {
        "Cargo.lock" => |line| {
            let crates_io = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
            line.starts_with("source = ") && line != crates_io
        },
        "package-lock.json" => |line| {
            let npm = "\"resolved\": \"https://registry.npmjs.org/";
            line.starts_with("\"resolved\": ") && !line.starts_with(npm)
        },
        ".npmrc" | ".yarnrc" | ".yarnrc.yml" | "pip.conf" => {
            |line| line.contains("registry") || line.contains("index-url")
        }
        "config.toml" if name.contains(".cargo/") => |line| {
            line.starts_with("[source") || line.starts_with("[registr") || line.starts_with("replace-with")
        },
        _ => return Vec::new(),
    };
    let lines = text.lines().enumerate().filter(|(_, line)| foreign(line.trim()));
    let message = "a registry other than the public one; packages come from crates.io and registry.npmjs.org";
    lines
        .map(|(index, _)| fails(name, Some(index + 1), message))
        .collect()
}

/// Every crate has its page.
pub fn readmes(names: &[String], read: &dyn Fn(&str) -> Option<String>) -> Vec<Finding> {
    let manifests = names
        .iter()
        .filter(|name| *name == "Cargo.toml" || name.ends_with("/Cargo.toml"));
    let is_crate =
        |name: &&String| read(name).is_some_and(|text| text.lines().any(|line| line.trim() == "[package]"));
    let lacks = |name: &&String| {
        let readme = format!("{}README.md", name.trim_end_matches("Cargo.toml"));
        !names.contains(&readme)
    };
    let lacking = manifests.filter(is_crate).filter(lacks);
    lacking
        .map(|name| {
            fails(
                name,
                None,
                "the crate has no README.md beside it; one page: what it owns, flow, invariants",
            )
        })
        .collect()
}

pub fn kernel_size(lines: usize) -> Option<Finding> {
    let message =
        format!("{lines} lines, at most {MAX_KERNEL_LINES}; move what knows a domain into a slice or engine");
    (lines > MAX_KERNEL_LINES).then(|| fails("crates/kernel", None, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(name: &str, text: &str) -> Vec<String> {
        file(name, text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn markers_count_as_words_in_code_only() {
        let [first, _, third] = MARKERS;
        assert_eq!(messages("a.sh", &format!("x # {first}: y")).len(), 1);
        assert_eq!(messages("Makefile", &format!("# {first}")).len(), 1);
        assert_eq!(
            messages("a.sh", &format!("mktemp a.{third}{third} {first}S my_{first}")),
            Vec::<String>::new()
        );
        assert_eq!(
            messages("a.md", &format!("write no {first}")),
            Vec::<String>::new()
        );
    }

    #[test]
    fn paths_of_a_machine_are_found_and_look_alikes_are_not() {
        let [first, second] = MACHINE_PATHS;
        assert_eq!(
            messages("a.md", &format!("see {first}main\n\n\"{second}ann\"")).len(),
            2
        );
        let fine = format!("https://example.org{first}x ..{first}y a{second}z {{root}}{first}");
        assert_eq!(messages("a.md", &fine), Vec::<String>::new());
    }

    #[test]
    fn foreign_registries_are_found() {
        let npm = "  \"resolved\": \"https://registry.npmjs.org/a.tgz\",\n  \"resolved\": \"https://mirror.example/b.tgz\",\n";
        assert!(messages("ui/package-lock.json", npm)[0].starts_with("ui/package-lock.json:2"));
        let cargo = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\nsource = \"git+https://x\"\n";
        assert!(messages("Cargo.lock", cargo)[0].starts_with("Cargo.lock:2"));
        assert_eq!(
            messages(".cargo/config.toml", "[alias]\nx = \"y\"\n[source.crates-io]\n").len(),
            1
        );
        assert_eq!(
            messages("ui/.npmrc", "registry=https://mirror.example\n").len(),
            1
        );
        assert_eq!(messages("config.toml", "[source.crates-io]\n").len(), 0);
    }

    #[test]
    fn a_module_opens_with_its_purpose() {
        assert_eq!(messages("a.rs", "\n//! Owns a.\n"), Vec::<String>::new());
        assert_eq!(messages("a.rs", "// Owns a.\n").len(), 1);
        assert_eq!(messages("a.rs", "").len(), 1);
        assert_eq!(messages("a.rs.txt", "x").len(), 0);
    }

    #[test]
    fn extensions_are_those_of_the_file_itself() {
        for (name, expected) in [
            ("a/b.rs", "rs"),
            ("a.b/Makefile", ""),
            (".gitignore", ""),
            ("x.d.ts", "ts"),
        ] {
            assert_eq!(extension(name), expected, "{name}");
        }
    }
}
