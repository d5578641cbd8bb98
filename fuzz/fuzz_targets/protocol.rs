//! Fuzzes one parser of outside bytes: protocol.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::protocol(data));
