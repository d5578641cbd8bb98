//! Access over HTTP, on both databases.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod accounts;
mod attempts;
mod grants;
mod house;
mod sign_in;
mod streams;
mod tokens;
