//! Notify on real databases, with sinks that play mail server and web receiver.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod channels;
mod crash;
mod email;
mod house;
mod http_sink;
mod outbox;
mod smtp_sink;
mod web;
