//! Fuzzes one parser of outside bytes: selector.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::selector(data));
