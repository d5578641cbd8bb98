//! `mainstay_certificate_not_after_seconds`: when the certificates on this host end.

use std::collections::BTreeMap;
use std::path::PathBuf;

use protocol::AgentConfig;
use tokio::sync::watch;

use crate::collect::{CollectError, Collector, Every, Roots, Sink};
use crate::facts::certificates::find;

pub(crate) struct Certificates {
    roots: Roots,
    config: watch::Receiver<AgentConfig>,
}

impl Certificates {
    pub(crate) fn new(roots: &Roots, config: watch::Receiver<AgentConfig>) -> Self {
        Self {
            roots: roots.clone(),
            config,
        }
    }
}

/// The configured paths under the root.
pub(crate) fn paths(roots: &Roots, config: &AgentConfig) -> Vec<PathBuf> {
    config
        .certificate_paths
        .iter()
        .map(|path| roots.root(path))
        .collect()
}

impl Collector for Certificates {
    fn name(&self) -> &'static str {
        "certificates"
    }

    fn every(&self) -> Every {
        Every::Millis(60_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        let paths = paths(&self.roots, &self.config.borrow());
        // Two of one subject in one file (the old one and the new): the one that ends first is what matters.
        let mut ends: BTreeMap<(String, String), i64> = BTreeMap::new();
        let found = find(&self.roots.rootfs, &paths);
        out.left_out(
            "certificates",
            usize::try_from(found.left_out).unwrap_or(usize::MAX),
        );
        for fact in found.certificates {
            let ends_ms = ends.entry((fact.path, fact.subject)).or_insert(i64::MAX);
            *ends_ms = fact.not_after_ms.min(*ends_ms);
        }
        for ((path, subject), ends_ms) in &ends {
            let labels = [("path", path.as_str()), ("subject", subject)];
            out.put(
                "mainstay_certificate_not_after_seconds",
                &labels,
                *ends_ms as f64 / 1000.0,
            );
        }
        Ok(())
    }
}
