//! The built-in rule packs, and loading everything that is in force.

use kernel::{DbError, Kernel};

use super::engine::RuleEngine;
use super::model::{Group, RuleSet};
use super::{file, store};

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
        name: "platform",
        title: "Mainstay itself",
        text: include_str!("../../packs/platform.yaml"),
    },
];

/// Reads packs and files and puts them in force. A stored file that no longer reads is left out with a warning.
pub(crate) async fn load(kernel: &Kernel, engine: &RuleEngine) -> Result<(), DbError> {
    let mut reader = kernel.db.read().await?;
    let off = store::packs_off(&mut reader).await?;
    let files = store::list(&mut reader).await?;
    drop(reader);
    let mut groups: Vec<Group> = Vec::new();
    for pack in PACKS
        .iter()
        .filter(|pack| !off.iter().any(|name| name == pack.name))
    {
        match file::parse(pack.name, pack.text) {
            Ok(mut found) => groups.append(&mut found),
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

#[cfg(test)]
mod tests {
    use super::*;

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
