//! Commands: taken durably, sent when the agent is there, again until accepted, followed to their end.
//!
//! Flow: [`dispatch`] stores → after commit the connection is woken ([`crate::session`]) → the agent's reports come in through
//! [`report`] → `command.finished`. What nobody reports on in time is given up by [`give_up`].

mod dispatch;
mod output;
mod progress;

pub use dispatch::{Order, Target};
pub(crate) use dispatch::{cancel, dispatch};
pub(crate) use output::{Outputs, delete_old_output};
pub(crate) use progress::{give_up, reconcile, report, to_send, wake_unsent};
