//! Fuzzes one parser of outside bytes: agent command journal.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::agent_command_journal(data));
