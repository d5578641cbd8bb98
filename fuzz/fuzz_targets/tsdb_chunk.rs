//! Fuzzes one parser of outside bytes: tsdb chunk.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::tsdb_chunk(data));
