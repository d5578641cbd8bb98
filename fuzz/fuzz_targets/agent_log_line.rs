//! Fuzzes one parser of outside bytes: agent log line.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::agent_log_line(data));
