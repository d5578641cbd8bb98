//! Fuzzes one parser of outside bytes: agent journal entry.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::agent_journal_entry(data));
