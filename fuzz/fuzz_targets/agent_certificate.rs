//! Fuzzes one parser of outside bytes: agent certificate.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::agent_certificate(data));
