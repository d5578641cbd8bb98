//! Fuzzes one parser of outside bytes: template.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::template(data));
