//! The state of the kernel's clock, by `adjtimex(2)`, read only.
//!
//! One call and its translation into plain numbers; no metric, no policy. Linux only. Source: `adjtimex(2)` and `linux/timex.h`.

use std::io;

/// `STA_NANO`: offset and jitter are nanoseconds instead of microseconds.
const NANO: i32 = 0x2000;
/// `TIME_ERROR`: the clock is not synchronised.
const ERROR: i32 = 5;
/// A frequency of one part in a million, as the kernel scales it.
const PPM: f64 = 65_536.0;

/// What the kernel says of its clock. Times in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timex {
    pub is_synchronized: bool,
    pub offset_s: f64,
    /// 1 is the nominal frequency.
    pub frequency_ratio: f64,
    pub max_error_s: f64,
    pub estimated_error_s: f64,
    /// The status bits (`STA_*`).
    pub status: i32,
    pub loop_constant: f64,
    pub tick_s: f64,
    pub tai_offset_s: f64,
    pub pps: Pps,
}

/// Of a pulse-per-second signal, where there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pps {
    pub frequency_hz: f64,
    pub jitter_s: f64,
    /// Interval of the calibration, as a power of two seconds.
    pub shift: f64,
    pub stability_hz: f64,
    pub jitter_exceeded: f64,
    pub calibrations: f64,
    pub errors: f64,
    pub stability_exceeded: f64,
}

/// Asks the kernel; changes nothing.
#[expect(unsafe_code, reason = "no safe interface to adjtimex(2) exists")]
pub fn read() -> io::Result<Timex> {
    // Safety: `timex` is plain numbers, for which all zeros are a value. With `modes` 0 the call reads the clock and writes nothing
    // but this structure, which lives until it returns.
    let (state, raw) = unsafe {
        let mut raw: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut raw), raw)
    };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(translate(state, &raw))
}

fn translate(state: i32, raw: &libc::timex) -> Timex {
    let fraction = if raw.status & NANO == 0 { 1e-6 } else { 1e-9 };
    Timex {
        is_synchronized: state != ERROR,
        offset_s: raw.offset as f64 * fraction,
        frequency_ratio: 1.0 + raw.freq as f64 / PPM / 1e6,
        max_error_s: raw.maxerror as f64 * 1e-6,
        estimated_error_s: raw.esterror as f64 * 1e-6,
        status: raw.status,
        loop_constant: raw.constant as f64,
        tick_s: raw.tick as f64 * 1e-6,
        tai_offset_s: f64::from(raw.tai),
        pps: Pps {
            frequency_hz: raw.ppsfreq as f64 / PPM / 1e6,
            jitter_s: raw.jitter as f64 * fraction,
            shift: f64::from(raw.shift),
            stability_hz: raw.stabil as f64 / PPM / 1e6,
            jitter_exceeded: raw.jitcnt as f64,
            calibrations: raw.calcnt as f64,
            errors: raw.errcnt as f64,
            stability_exceeded: raw.stbcnt as f64,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_answers() {
        let timex = read().unwrap();
        assert!(timex.tick_s > 0.0 && timex.tick_s < 1.0, "{timex:?}");
        assert!((timex.frequency_ratio - 1.0).abs() < 0.01, "{timex:?}");
        assert!(timex.max_error_s >= 0.0, "{timex:?}");
    }
}
