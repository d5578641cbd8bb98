//! Services: who keeps the host's programs running, and whether they run.
//!
//! [`systemd`] hears of changes over D-Bus; where there is no systemd, [`init`] reads init scripts and their pid files
//! and [`listeners`] takes programs that listen. The main process of each service is watched by pidfd ([`death`]), so
//! its end is known within milliseconds. [`table`] decides what changed; [`watch`] ties it together.

mod death;
pub(crate) mod init;
mod listeners;
pub(crate) mod systemd;
pub(crate) mod table;
pub(crate) mod watch;

pub(crate) use table::{Service, Services};
pub(crate) use watch::Watch;
