//! Fuzzes one parser of outside bytes: agent netlink.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainstay_fuzz::agent_netlink(data));
