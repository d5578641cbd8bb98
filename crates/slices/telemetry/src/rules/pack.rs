//! The built-in rule packs, and loading everything that is in force.

use std::sync::Arc;

use kernel::{DbError, Kernel};

use super::engine::RuleEngine;
use super::model::{Group, Rule, RuleSet};
use super::{file, store, tuning};

/// A pack that comes with the program.
pub(crate) struct Pack {
    pub name: &'static str,
    pub title: &'static str,
    pub text: &'static str,
}

pub(crate) const PACKS: &[Pack] = &[
    Pack {
        name: "host",
        title: "Hosts, services, disks and certificates",
        text: include_str!("../../packs/host.yaml"),
    },
    Pack {
        name: "fleet",
        title: "Agents: identity, clocks and limits",
        text: include_str!("../../packs/fleet.yaml"),
    },
    Pack {
        name: "platform",
        title: "Mainstay itself",
        text: include_str!("../../packs/platform.yaml"),
    },
    Pack {
        name: "stores",
        title: "Metrics, logs and rules: what was dropped, refused or failed",
        text: include_str!("../../packs/stores.yaml"),
    },
];

/// Reads packs and files and puts them in force. A stored file that no longer reads is left out with a warning.
pub(crate) async fn load(kernel: &Kernel, engine: &RuleEngine) -> Result<(), DbError> {
    let mut reader = kernel.db.read().await?;
    let off = store::packs_off(&mut reader).await?;
    let files = store::list(&mut reader).await?;
    let tunings = tuning::store::list(&mut reader).await?;
    let coverages = tuning::apply::coverages(&mut reader, &tunings).await?;
    drop(reader);
    engine.set_tuned(coverages.clone());
    let tunings: Vec<_> = tunings.into_iter().zip(coverages).collect();
    let mut groups: Vec<Group> = Vec::new();
    for pack in PACKS
        .iter()
        .filter(|pack| !off.iter().any(|name| name == pack.name))
    {
        match file::parse(pack.name, pack.text) {
            Ok(mut found) => {
                tuning::apply::apply(&mut found, &tunings);
                groups.append(&mut found);
            }
            Err(errors) => tracing::error!(pack = pack.name, ?errors, "a built-in rule pack does not read"),
        }
    }
    for stored in files.iter().filter(|file| file.is_enabled) {
        match file::parse(&stored.name, &stored.text) {
            Ok(mut found) => groups.append(&mut found),
            Err(errors) => tracing::warn!(
                file = stored.name,
                ?errors,
                "a stored rule file does not read; it is left out"
            ),
        }
    }
    engine.install(RuleSet::new(groups));
    Ok(())
}

/// Every alert of the packs, as it is without tunings, with its pack.
pub(crate) fn alerts() -> Vec<(&'static str, Arc<Rule>)> {
    let mut found = Vec::new();
    for pack in PACKS {
        let groups = file::parse(pack.name, pack.text).unwrap_or_default();
        let rules = groups.into_iter().flat_map(|group| group.rules);
        found.extend(rules.filter(|rule| rule.is_alert()).map(|rule| (pack.name, rule)));
    }
    found
}

/// Loads the rules again when a tuning means other hosts than when they were loaded: tags and names change.
pub(crate) async fn follow_hosts(kernel: &Kernel, engine: &RuleEngine) -> Result<(), DbError> {
    let mut reader = kernel.db.read().await?;
    let tunings = tuning::store::list(&mut reader).await?;
    let coverages = tuning::apply::coverages(&mut reader, &tunings).await?;
    drop(reader);
    if engine.is_tuned(&coverages) {
        return Ok(());
    }
    load(kernel, engine).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_looks_at_everything_that_is_dropped_or_fails() {
        for (name, text) in crate::own_metrics::LOSSES {
            assert!(!text.is_empty());
            let is_read = PACKS.iter().any(|pack| pack.text.contains(name));
            assert!(is_read, "no built-in rule reads {name}");
        }
    }

    #[test]
    fn the_packs_read_and_the_urgent_rules_are_evaluated_on_ingest() {
        let mut local = Vec::new();
        for pack in PACKS {
            let groups = file::parse(pack.name, pack.text).unwrap();
            for rule in groups
                .iter()
                .flat_map(|group| &group.rules)
                .filter(|rule| rule.locality.is_some())
            {
                local.push(rule.name.clone());
            }
        }
        for name in [
            "ServiceDown",
            "UnitFailed",
            "DiskFull",
            "MemoryShort",
            "CertificateExpired",
        ] {
            assert!(
                local.iter().any(|known| known == name),
                "{name} waits for its interval: {local:?}"
            );
        }
    }
}
