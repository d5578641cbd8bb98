//! Every target over its seeds and 20,000 mutations of them, the same on every machine.
//!
//! `MAINSTAY_FUZZ_ROUNDS` sets another number, `MAINSTAY_FUZZ_SEED` another sequence.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use mainstay_fuzz::mutate::{Random, mutate};
use mainstay_fuzz::{TARGETS, Target};

/// Longer inputs find little more and take long.
const MOST_BYTES: usize = 4096;

/// One input that takes longer than this is a finding.
const SLOWEST: Duration = Duration::from_secs(5);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn check(target: &Target, input: &[u8]) {
    let started = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = started.elapsed();
    let shown = input.escape_ascii();
    assert!(outcome.is_ok(), "{} panics on b\"{shown}\"", target.name);
    assert!(took < SLOWEST, "{} takes {took:?} for b\"{shown}\"", target.name);
}

fn smoke(name: &str) {
    let target = TARGETS
        .iter()
        .find(|target| target.name == name)
        .expect("a known target");
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{name} has no seeds");
    for seed in &seeds {
        check(target, seed);
    }
    check(target, b"");
    let mut random = Random::new(number("MAINSTAY_FUZZ_SEED", 1));
    for _ in 0..number("MAINSTAY_FUZZ_ROUNDS", 20_000) {
        check(target, &mutate(&mut random, &seeds, target.words, MOST_BYTES));
    }
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { smoke(stringify!($name)); })*

        #[test]
        fn every_target_is_here() {
            let here = [$(stringify!($name)),*];
            for target in TARGETS {
                assert!(here.contains(&target.name), "{} is not tested", target.name);
                let file = format!("{}/fuzz_targets/{}.rs", env!("CARGO_MANIFEST_DIR"), target.name);
                assert!(std::path::Path::new(&file).exists(), "{file} is missing");
            }
        }
    };
}

targets!(
    promql,
    promql_selector,
    selector,
    yaml,
    runbook,
    rules,
    template,
    protocol,
    tsdb_chunk,
    tsdb_wal,
    tsdb_block,
    logs_query,
    logs_wal,
    logs_segment,
    agent_log_line,
    agent_journal_entry,
    agent_glob,
    agent_host_text,
    agent_token,
    agent_certificate,
    agent_netlink,
    agent_command_journal,
);
