//! The kernel on real databases.

mod event_log;
mod http;
