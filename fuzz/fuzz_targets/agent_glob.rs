//! Fuzzes one parser of outside bytes: agent glob.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::agent_glob(data));
