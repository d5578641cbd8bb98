//! The package set of a host: one item with a digest, the list in its own table, one event per change.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Actor, DbError, NewEvent, Tx};
use protocol::PackageFact;
use serde_json::{Value, json};

use super::clean;
use crate::events::{PACKAGE_LIST, PackageChanged};
use crate::model::{ItemId, Observation};
use crate::observe;
use crate::store::{self, Package};

/// Most packages that are taken from one host.
const MOST: usize = 20_000;

pub async fn take(
    tx: &mut Tx,
    actor: &Actor,
    (host, host_name): (&ItemId, &str),
    source: &str,
    facts: &[PackageFact],
) -> Result<(), DbError> {
    if facts.is_empty() {
        return Ok(());
    }
    let after: BTreeSet<Package> = facts.iter().take(MOST).map(package).collect();
    let digest = digest(&after);
    let known = store::by_key(tx, "package_set", Some(host), "packages").await?;
    let set = match known {
        Some(item) if item.text("digest") == Some(&digest) && item.is_active() => return Ok(()),
        Some(mut item) => {
            let now = tx.now();
            for (name, value) in attributes(&digest, after.len()) {
                item.attributes.set(&name, &value, source, now);
            }
            item.state = crate::model::State::Active;
            item.retired_at = None;
            store::save(tx, &mut item, now).await?;
            item.id
        }
        None => {
            let seen = Observation {
                kind: "package_set".into(),
                key: "packages".into(),
                parent: Some(host.clone()),
                name: "packages".into(),
                attributes: attributes(&digest, after.len()),
                source: source.into(),
                ..Observation::default()
            };
            observe::create(tx, actor, &seen, false).await?.id
        }
    };
    let before: BTreeSet<Package> = store::packages(tx, &set).await?.into_iter().collect();
    let removed: Vec<&Package> = before.difference(&after).collect();
    let added: Vec<&Package> = after.difference(&before).collect();
    store::delete_packages(tx, &set, &removed).await?;
    store::insert_packages(tx, &set, &added).await?;
    if !before.is_empty() {
        let data = difference(host_name, &added, &removed);
        tx.append(actor, NewEvent::new("package.changed", host, &data))
            .await?;
    }
    Ok(())
}

fn attributes(digest: &str, count: usize) -> BTreeMap<String, Value> {
    BTreeMap::from([
        ("digest".to_owned(), json!(digest)),
        ("count".to_owned(), json!(count)),
    ])
}

fn package(fact: &PackageFact) -> Package {
    Package {
        name: clean(&fact.name),
        architecture: clean(&fact.architecture),
        version: clean(&fact.version),
    }
}

fn digest(list: &BTreeSet<Package>) -> String {
    let mut text = String::new();
    for package in list {
        for part in [&package.name, &package.architecture, &package.version] {
            text.push_str(part);
            text.push('\n');
        }
    }
    kernel::secret::sha256_hex(text.as_bytes())
}

/// One added and one removed version of the same name are an update.
fn difference(host: &str, added: &[&Package], removed: &[&Package]) -> PackageChanged {
    let mut old: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for package in removed {
        old.entry((&package.name, &package.architecture))
            .or_default()
            .push(&package.version);
    }
    let mut data = PackageChanged {
        host: host.into(),
        ..PackageChanged::default()
    };
    for package in added {
        match old
            .get_mut(&(package.name.as_str(), package.architecture.as_str()))
            .and_then(Vec::pop)
        {
            Some(before) => data
                .updated
                .push(format!("{} {before} → {}", package.name, package.version)),
            None => data.added.push(format!("{} {}", package.name, package.version)),
        }
    }
    for ((name, _), versions) in old {
        data.removed
            .extend(versions.into_iter().map(|version| format!("{name} {version}")));
    }
    data.added_count = data.added.len();
    data.removed_count = data.removed.len();
    data.updated_count = data.updated.len();
    for list in [&mut data.added, &mut data.removed, &mut data.updated] {
        list.truncate(PACKAGE_LIST);
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_version_is_an_update() {
        let package = |name: &str, version: &str| Package {
            name: name.into(),
            architecture: "amd64".into(),
            version: version.into(),
        };
        let added = [package("nginx", "1.1"), package("vim", "9")];
        let removed = [package("nginx", "1.0"), package("nano", "7")];
        let data = difference(
            "web",
            &added.iter().collect::<Vec<_>>(),
            &removed.iter().collect::<Vec<_>>(),
        );
        assert_eq!(data.updated, ["nginx 1.0 → 1.1"]);
        assert_eq!(data.added, ["vim 9"]);
        assert_eq!(data.removed, ["nano 7"]);
    }
}
