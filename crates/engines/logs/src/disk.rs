//! A seam for tests in front of the file operations of the store.
use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};

use crate::error::{IoContext, Result};

type Hook = dyn Fn(&'static str) -> io::Result<()> + Send + Sync;

/// Asked before each change on disk with the name of the step: `create log`, `write log`, `sync log`,
/// `write segment`, `remove file`. Tests use it to refuse the step as a failing or full disk does.
#[derive(Clone, Default)]
pub struct FaultHook(Option<Arc<Hook>>);

impl FaultHook {
    /// A hook that asks `f` before each step.
    pub fn new(f: impl Fn(&'static str) -> io::Result<()> + Send + Sync + 'static) -> Self {
        FaultHook(Some(Arc::new(f)))
    }

    pub(crate) fn at(&self, step: &'static str, path: &Path) -> Result<()> {
        match &self.0 {
            Some(hook) => hook(step).at(step, path),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for FaultHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "FaultHook(set)"
        } else {
            "FaultHook(none)"
        })
    }
}
