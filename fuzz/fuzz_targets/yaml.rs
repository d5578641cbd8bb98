//! Fuzzes one parser of outside bytes: yaml.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::yaml(data));
