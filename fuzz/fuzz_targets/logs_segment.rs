//! Fuzzes one parser of outside bytes: logs segment.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::logs_segment(data));
