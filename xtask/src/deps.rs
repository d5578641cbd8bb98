//! `deps`: who imports whom. Reads `cargo metadata` and the tier table in `ARCHITECTURE.md`, and names every
//! arrow that the house does not allow.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: String,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// None for a normal dependency, "dev" or "build".
    kind: Option<String>,
    /// Set for crates of this workspace.
    path: Option<String>,
}

/// Where a crate lives, which decides what it may import.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Room {
    Kernel,
    Protocol,
    Engine,
    Slice { tier: u32 },
    Agent,
    Server,
    Testkit,
    Xtask,
}

type Tiers = BTreeMap<String, u32>;

pub fn run(root: &Path) -> Result<()> {
    let page = root.join("ARCHITECTURE.md");
    let text = std::fs::read_to_string(&page)
        .with_context(|| format!("{} cannot be read; `deps` needs its tier table", page.display()))?;
    let tiers = tiers(&text)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args(["metadata", "--no-deps", "--format-version", "1"]);
    let listed = crate::output_of(&mut command)?;
    let metadata: Metadata =
        serde_json::from_slice(&listed).context("cargo metadata is not what was expected")?;
    let mut breaches = check(&metadata, &tiers);
    breaches.extend(crate::licences::breaches(root)?);
    for breach in &breaches {
        crate::say(breach);
    }
    if breaches.is_empty() {
        Ok(())
    } else {
        bail!("deps: {} to mend", breaches.len())
    }
}

/// Reads the table under the heading row `| tier | slices |`.
fn tiers(page: &str) -> Result<Tiers> {
    let cells = |line: &str| -> Vec<String> {
        line.trim()
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_lowercase())
            .collect()
    };
    let mut lines = page.lines().skip_while(|line| cells(line) != ["tier", "slices"]);
    if lines.next().is_none() {
        bail!(
            "ARCHITECTURE.md has no table with the heading `| tier | slices |`; write it, one row per tier"
        );
    }
    let mut tiers = Tiers::new();
    for line in lines
        .skip(1)
        .take_while(|line| line.trim_start().starts_with('|'))
    {
        let row = cells(line);
        let [tier, slices] = row.as_slice() else {
            bail!("ARCHITECTURE.md: `{line}` is not a row `| tier | slices |`")
        };
        let tier: u32 = tier
            .parse()
            .with_context(|| format!("ARCHITECTURE.md: \"{tier}\" is not the number of a tier"))?;
        for slice in slices
            .split(',')
            .map(|name| name.trim().trim_matches('`'))
            .filter(|name| !name.is_empty())
        {
            if tiers.insert(slice.to_string(), tier).is_some() {
                bail!("ARCHITECTURE.md: the slice {slice} stands in two rows of the tier table");
            }
        }
    }
    if tiers.is_empty() {
        bail!("ARCHITECTURE.md: the tier table has no rows");
    }
    Ok(tiers)
}

/// Every arrow that is not allowed, as a sentence.
fn check(metadata: &Metadata, tiers: &Tiers) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut rooms: BTreeMap<&str, Room> = BTreeMap::new();
    for package in &metadata.packages {
        match room(package, &metadata.workspace_root, tiers) {
            Ok(room) => {
                rooms.insert(&package.name, room);
            }
            Err(breach) => breaches.push(breach),
        }
    }
    for package in &metadata.packages {
        let Some(from) = rooms.get(package.name.as_str()) else {
            continue;
        };
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| dependency.path.is_some())
        {
            let Some(to) = rooms.get(dependency.name.as_str()) else {
                continue;
            };
            let is_dev = dependency.kind.as_deref() == Some("dev");
            let is_allowed = may_import(from, to) || (is_dev && matches!(to, Room::Testkit | Room::Agent));
            if !is_allowed {
                let why = rule(from);
                breaches.push(format!("{} imports {}, but {why}", package.name, dependency.name));
            }
        }
    }
    breaches.sort();
    breaches
}

fn room(package: &Package, root: &str, tiers: &Tiers) -> Result<Room, String> {
    let manifest = package
        .manifest_path
        .strip_prefix(root)
        .unwrap_or(&package.manifest_path);
    let folders: Vec<&str> = manifest.trim_start_matches('/').split('/').collect();
    Ok(match folders.as_slice() {
        ["crates", "kernel", _] => Room::Kernel,
        ["crates", "protocol", _] => Room::Protocol,
        ["crates", "engines", _, _] => Room::Engine,
        ["crates", "agent", _] => Room::Agent,
        ["crates", "server", _] => Room::Server,
        ["crates", "testkit", _] => Room::Testkit,
        ["xtask", _] => Room::Xtask,
        ["crates", "slices", folder, _] => match tiers.get(*folder) {
            Some(tier) => Room::Slice { tier: *tier },
            None => {
                return Err(format!(
                    "the slice {folder} has no tier; add it to the table in ARCHITECTURE.md"
                ));
            }
        },
        _ => {
            return Err(format!(
                "{} lies in {manifest}, which is no room of the house",
                package.name
            ));
        }
    })
}

fn may_import(from: &Room, to: &Room) -> bool {
    use Room::{Agent, Engine, Kernel, Protocol, Server, Slice, Testkit, Xtask};
    match (from, to) {
        (Engine, Engine) => true,
        (Agent, Protocol | Engine) => true,
        (Slice { .. }, Kernel | Protocol | Engine) => true,
        (Slice { tier: upper }, Slice { tier: lower }) => lower < upper,
        (Testkit, Kernel | Protocol | Engine | Agent) => true,
        (Server, Kernel | Protocol | Engine | Agent | Slice { .. }) => true,
        (Kernel | Protocol | Engine | Agent | Slice { .. } | Testkit | Server | Xtask, _) => false,
    }
}

fn rule(room: &Room) -> String {
    match room {
        Room::Kernel | Room::Protocol | Room::Xtask => "it may import nothing of ours".to_string(),
        Room::Engine => "an engine may import engines only".to_string(),
        Room::Agent => "the agent may import protocol and engines only".to_string(),
        Room::Testkit => "testkit may import kernel, protocol, engines and agent only".to_string(),
        Room::Server => "the server may not import testkit or xtask outside of tests".to_string(),
        Room::Slice { tier } => {
            format!(
                "a slice of tier {tier} may import kernel, protocol, engines and slices of a lower tier only"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "# A\n\n| tier | slices |\n|---|---|\n| 1 | access, `inventory` |\n| 2 | fleet |\n\n| x | y |\n";

    fn breaches(arrows: &[(&str, &str, Option<&str>)]) -> Vec<String> {
        let folders = [
            "crates/kernel",
            "crates/protocol",
            "crates/agent",
            "crates/server",
            "crates/testkit",
            "xtask",
            "crates/engines/tsdb",
            "crates/engines/promql",
            "crates/slices/access",
            "crates/slices/inventory",
            "crates/slices/fleet",
        ];
        let packages = folders.iter().map(|folder| {
            let name = folder.rsplit('/').next().unwrap();
            let own = arrows.iter().filter(|(from, _, _)| *from == name);
            let dependencies = own.map(|(_, to, kind)| Dependency {
                name: to.to_string(),
                kind: kind.map(String::from),
                path: (*to != "serde").then(String::new),
            });
            Package {
                name: name.to_string(),
                manifest_path: format!("/r/{folder}/Cargo.toml"),
                dependencies: dependencies.collect(),
            }
        });
        let metadata = Metadata {
            packages: packages.collect(),
            workspace_root: "/r".to_string(),
        };
        check(&metadata, &tiers(PAGE).unwrap())
    }

    #[test]
    fn arrows_that_point_down_are_allowed() {
        let fine = [
            ("kernel", "serde", None),
            ("promql", "tsdb", None),
            ("agent", "protocol", None),
            ("agent", "tsdb", None),
            ("fleet", "kernel", None),
            ("fleet", "access", None),
            ("fleet", "protocol", None),
            ("fleet", "tsdb", None),
            ("fleet", "testkit", Some("dev")),
            ("kernel", "testkit", Some("dev")),
            ("server", "fleet", None),
            ("server", "agent", None),
            ("testkit", "kernel", None),
            ("server", "testkit", Some("dev")),
        ];
        assert_eq!(breaches(&fine), Vec::<String>::new());
    }

    #[test]
    fn arrows_that_point_up_or_aside_are_named() {
        let wrong = [
            ("kernel", "protocol", None),
            ("protocol", "kernel", None),
            ("tsdb", "kernel", None),
            ("agent", "kernel", None),
            ("access", "inventory", None),
            ("access", "fleet", None),
            ("access", "fleet", Some("dev")),
            ("fleet", "server", None),
            ("fleet", "testkit", None),
            ("fleet", "agent", None),
            ("xtask", "kernel", None),
            ("testkit", "server", None),
            ("server", "testkit", Some("build")),
        ];
        for arrow in wrong {
            let found = breaches(&[arrow]);
            assert!(
                found.len() == 1 && found[0].starts_with(&format!("{} imports {}", arrow.0, arrow.1)),
                "{found:?}"
            );
        }
    }

    #[test]
    fn the_tier_table_is_read_and_must_be_whole() {
        assert_eq!(
            tiers(PAGE).unwrap(),
            Tiers::from([("access".into(), 1), ("inventory".into(), 1), ("fleet".into(), 2)])
        );
        let cases = [
            ("# no table", "no table"),
            ("| tier | slices |\n|---|---|\n", "no rows"),
            ("| Tier | Slices |\n|-|-|\n| one | a |", "number of a tier"),
            ("|tier|slices|\n|-|-|\n|1|a|\n|2|a|", "two rows"),
            ("|tier|slices|\n|-|-|\n|1|a|b|", "not a row"),
        ];
        for (page, part) in cases {
            let error = format!("{:#}", tiers(page).unwrap_err());
            assert!(error.contains(part), "{page}: {error}");
        }
    }

    #[test]
    fn a_crate_outside_of_the_house_and_a_slice_without_a_tier_are_named() {
        let package = |folder: &str| Package {
            name: "odd".to_string(),
            manifest_path: format!("/r/{folder}/Cargo.toml"),
            dependencies: Vec::new(),
        };
        let packages = vec![package("crates/slices/odd"), package("tools/odd")];
        let found = check(
            &Metadata {
                packages,
                workspace_root: "/r".to_string(),
            },
            &tiers(PAGE).unwrap(),
        );
        assert!(
            found[0].contains("no room") && found[1].contains("has no tier"),
            "{found:?}"
        );
    }
}
