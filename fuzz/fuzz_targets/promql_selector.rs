//! Fuzzes one parser of outside bytes: promql selector.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::promql_selector(data));
