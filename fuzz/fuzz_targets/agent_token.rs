//! Fuzzes one parser of outside bytes: agent token.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::agent_token(data));
