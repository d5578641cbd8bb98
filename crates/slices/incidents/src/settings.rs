//! What an operator may set in `mainstay.toml`, section `incidents`.

use serde::Deserialize;

use crate::decide::group::Limits;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How close in time alerts on one host, or on things that need each other, must be to belong together.
    pub window_s: u32,
    /// How close in time the same alert on the same service of several hosts must be to belong together.
    pub kin_window_s: u32,
    /// How long before a host was found to be gone an alert on it may have come to be its symptom.
    pub look_back_s: u32,
    /// How long an incident waits after its last alert has ended before it resolves.
    pub resolve_hold_s: u32,
    /// An alert that comes back within this time opens its incident again instead of a new one.
    pub reopen_within_s: u32,
    /// When people are paged again about an incident of severity 1 or 2 that nobody has acknowledged; 0: never.
    pub remind_after_s: u32,
    /// How long alerts that join an incident are gathered before people are notified of them.
    pub growth_wait_s: u32,
    /// People are notified of alerts that join one incident at most once in this time; of critical ones once a minute.
    pub growth_interval_s: u32,
    /// Days that the story of an incident is kept after its end; 0: for ever. The events themselves go with the timeline.
    pub timeline_days: u32,
    /// Days that an incident and the list of its alerts are kept after its end; 0: for ever.
    pub history_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window_s: 600,
            kin_window_s: 120,
            look_back_s: 120,
            resolve_hold_s: 0,
            reopen_within_s: 600,
            remind_after_s: 900,
            growth_wait_s: 10,
            growth_interval_s: 300,
            timeline_days: 400,
            history_days: 1100,
        }
    }
}

impl Settings {
    pub fn limits(&self) -> Limits {
        Limits {
            window_us: i64::from(self.window_s) * 1_000_000,
            kin_window_us: i64::from(self.kin_window_s) * 1_000_000,
            look_back_us: i64::from(self.look_back_s) * 1_000_000,
        }
    }
}
