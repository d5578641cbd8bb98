//! Commands.

use protocol::{Command, ToServer};
use tokio::sync::mpsc;

#[derive(Clone)]
pub(crate) struct Commander;

impl Commander {
    pub(crate) fn connected(&self, _: mpsc::Sender<ToServer>) {}
    pub(crate) fn disconnected(&self) {}
    pub(crate) fn dispatch(&self, _: Command) {}
    pub(crate) fn cancel(&self, _: &str) {}
    pub(crate) fn acknowledged(&self, _: &str) {}
    pub(crate) fn unfinished(&self) -> Vec<String> {
        Vec::new()
    }
}
