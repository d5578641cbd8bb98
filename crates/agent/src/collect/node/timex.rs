//! `node_timex_*`: how well the kernel's clock is synchronised, by `adjtimex(2)`.

use crate::collect::{CollectError, Collector, Every, Sink};

pub(crate) struct Timex;

impl Collector for Timex {
    fn name(&self) -> &'static str {
        "timex"
    }

    fn every(&self) -> Every {
        Every::Millis(5_000)
    }

    fn collect(&mut self, out: &mut Sink) -> Result<(), CollectError> {
        match timex::read() {
            Ok(read) => put(&read, out),
            // Some containers forbid the call: the host's own agent tells.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(CollectError::Absent);
            }
            Err(error) => return Err(CollectError::read(std::path::Path::new("adjtimex"), error)),
        }
        Ok(())
    }
}

fn put(timex: &timex::Timex, out: &mut Sink) {
    let pps = &timex.pps;
    for (name, value) in [
        ("sync_status", f64::from(u8::from(timex.is_synchronized))),
        ("offset_seconds", timex.offset_s),
        ("frequency_adjustment_ratio", timex.frequency_ratio),
        ("maxerror_seconds", timex.max_error_s),
        ("estimated_error_seconds", timex.estimated_error_s),
        ("status", f64::from(timex.status)),
        ("loop_time_constant", timex.loop_constant),
        ("tick_seconds", timex.tick_s),
        ("tai_offset_seconds", timex.tai_offset_s),
        ("pps_frequency_hertz", pps.frequency_hz),
        ("pps_jitter_seconds", pps.jitter_s),
        ("pps_shift_seconds", pps.shift),
        ("pps_stability_hertz", pps.stability_hz),
        ("pps_jitter_total", pps.jitter_exceeded),
        ("pps_calibration_total", pps.calibrations),
        ("pps_error_total", pps.errors),
        ("pps_stability_exceeded_total", pps.stability_exceeded),
    ] {
        out.put_parts(&["node_timex_", name], &[], value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_this_kernel_is_described() {
        let mut sink = Sink::new(crate::collect::series::Series::default());
        match Timex.collect(&mut sink) {
            Ok(()) => {}
            Err(CollectError::Absent) => return,
            Err(error) => panic!("{error}"),
        }
        let named = sink.drain_named();
        let value = |name: &str| {
            let is_it = |labels: &protocol::Labels| labels.iter().any(|(_, text)| text == name);
            named
                .iter()
                .find(|(labels, _)| is_it(labels))
                .map(|(_, value)| *value)
        };
        assert_eq!(named.len(), 17);
        assert!(value("node_timex_sync_status").is_some_and(|status| status == 0.0 || status == 1.0));
        assert!(value("node_timex_maxerror_seconds").is_some_and(|error| error >= 0.0));
    }
}
