//! Fuzz targets: every parser of bytes that come from outside, as plain functions.
//!
//! A target takes any bytes and must return: a panic, an abort, a hang or memory without bound is the finding. Where
//! a parser has an inverse, or an answer that is known, the target checks that too. `fuzz_targets/` hands the functions
//! to libFuzzer; `tests/smoke.rs` runs them on the stable toolchain over [`Target::seeds`] and mutations of them.
#![forbid(unsafe_code)]

mod documents;
mod host;
mod lines;
mod metrics;
pub mod mutate;
mod queries;
mod scratch;
mod wire;

pub use documents::{rules, runbook, template, yaml};
pub use host::{
    agent_certificate, agent_command_journal, agent_glob, agent_host_text, agent_journal_entry,
    agent_log_line, agent_netlink, agent_token,
};
pub use lines::{logs_query, logs_segment, logs_wal};
pub use metrics::{tsdb_block, tsdb_chunk, tsdb_wal};
pub use queries::{promql, promql_selector, selector};
pub use wire::protocol;

/// A target with what its corpus starts from.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Pieces that mutations put in.
    pub words: &'static [&'static str],
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "promql",
        run: promql,
        seeds: queries::promql_seeds,
        words: queries::PROMQL_WORDS,
    },
    Target {
        name: "promql_selector",
        run: promql_selector,
        seeds: queries::promql_seeds,
        words: queries::PROMQL_WORDS,
    },
    Target {
        name: "selector",
        run: selector,
        seeds: queries::selector_seeds,
        words: queries::SELECTOR_WORDS,
    },
    Target {
        name: "yaml",
        run: yaml,
        seeds: documents::yaml_seeds,
        words: documents::YAML_WORDS,
    },
    Target {
        name: "runbook",
        run: runbook,
        seeds: documents::runbook_seeds,
        words: documents::YAML_WORDS,
    },
    Target {
        name: "rules",
        run: rules,
        seeds: documents::rule_seeds,
        words: documents::YAML_WORDS,
    },
    Target {
        name: "template",
        run: template,
        seeds: documents::template_seeds,
        words: documents::TEMPLATE_WORDS,
    },
    Target {
        name: "protocol",
        run: protocol,
        seeds: wire::seeds,
        words: &[],
    },
    Target {
        name: "tsdb_chunk",
        run: tsdb_chunk,
        seeds: metrics::chunk_seeds,
        words: &[],
    },
    Target {
        name: "tsdb_wal",
        run: tsdb_wal,
        seeds: metrics::wal_seeds,
        words: &[],
    },
    Target {
        name: "tsdb_block",
        run: tsdb_block,
        seeds: metrics::block_seeds,
        words: &[],
    },
    Target {
        name: "logs_query",
        run: logs_query,
        seeds: lines::query_seeds,
        words: lines::QUERY_WORDS,
    },
    Target {
        name: "logs_wal",
        run: logs_wal,
        seeds: lines::wal_seeds,
        words: &[],
    },
    Target {
        name: "logs_segment",
        run: logs_segment,
        seeds: lines::segment_seeds,
        words: &[],
    },
    Target {
        name: "agent_log_line",
        run: agent_log_line,
        seeds: host::log_line_seeds,
        words: host::LINE_WORDS,
    },
    Target {
        name: "agent_journal_entry",
        run: agent_journal_entry,
        seeds: host::journal_seeds,
        words: &[],
    },
    Target {
        name: "agent_glob",
        run: agent_glob,
        seeds: host::glob_seeds,
        words: &[],
    },
    Target {
        name: "agent_host_text",
        run: agent_host_text,
        seeds: host::host_text_seeds,
        words: host::TEXT_WORDS,
    },
    Target {
        name: "agent_token",
        run: agent_token,
        seeds: host::token_seeds,
        words: &[],
    },
    Target {
        name: "agent_certificate",
        run: agent_certificate,
        seeds: host::certificate_seeds,
        words: &[],
    },
    Target {
        name: "agent_netlink",
        run: agent_netlink,
        seeds: host::netlink_seeds,
        words: &[],
    },
    Target {
        name: "agent_command_journal",
        run: agent_command_journal,
        seeds: host::command_journal_seeds,
        words: &[],
    },
];
