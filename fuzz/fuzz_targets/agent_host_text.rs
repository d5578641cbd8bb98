//! Fuzzes one parser of outside bytes: agent host text.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::agent_host_text(data));
