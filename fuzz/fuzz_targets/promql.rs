//! Fuzzes one parser of outside bytes: promql.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::promql(data));
