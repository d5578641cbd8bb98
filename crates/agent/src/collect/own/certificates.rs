//! `mainstay_certificate_not_after_seconds`: when the certificates on this host end.

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
        for fact in find(&paths) {
            let labels = [("path", fact.path.as_str()), ("subject", &fact.subject)];
            out.put(
                "mainstay_certificate_not_after_seconds",
                &labels,
                fact.not_after_ms as f64 / 1000.0,
            );
        }
        Ok(())
    }
}
