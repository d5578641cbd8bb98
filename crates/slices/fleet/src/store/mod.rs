//! All SQL of the slice: free functions over a connection.

mod agent;
mod authority;
mod command;
mod output;
mod request;
mod token;

pub(crate) use agent::{
    absent, insert_agent, save_certificate, save_clock_offset, save_config, save_hello, save_presence,
    save_progress, save_refused_items, save_state,
};
pub use agent::{agent, agent_of_item, agents};
pub(crate) use authority::{authority, insert_authority};
pub(crate) use command::DELETE_OLD as DELETE_OLD_COMMANDS;
pub use command::{command, commands_of_order};
pub(crate) use command::{
    count_open_commands, hold_command, insert_command, mark_sent, open_of_agent, overdue, save_command,
    unsent,
};
pub use output::{OutputChunk, output};
pub(crate) use output::{delete_output_before, end_of_stream, insert_output};
pub(crate) use request::DELETE_OLD as DELETE_OLD_REQUESTS;
pub(crate) use request::{count_pending_requests, insert_request, request_of_claim, save_request};
pub use request::{join_request, join_requests, pending_by_item};
pub(crate) use token::{good_token, insert_token, revoke_token, use_token};
pub use token::{join_token, join_tokens};
