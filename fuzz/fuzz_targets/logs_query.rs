//! Fuzzes one parser of outside bytes: logs query.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::logs_query(data));
