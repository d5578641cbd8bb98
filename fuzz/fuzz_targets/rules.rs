//! Fuzzes one parser of outside bytes: rules.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::rules(data));
