//! Fuzzes one parser of outside bytes: tsdb block.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::tsdb_block(data));
