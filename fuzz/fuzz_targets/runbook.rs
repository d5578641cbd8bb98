//! Fuzzes one parser of outside bytes: runbook.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::runbook(data));
