//! Numbers as people read them, to the digit as Prometheus writes them.

use super::format::four_digits;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const LARGE_1024: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// `1.235k`, `12.3m`.
pub(super) fn decimal(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    if value.abs() >= 1.0 {
        scaled(value, 1000.0, &LARGE)
    } else {
        small(value)
    }
}

/// `1.5Gi`.
pub(super) fn binary(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four_digits(value);
    }
    scaled(value, 1024.0, &LARGE_1024)
}

/// `98.77%` of a ratio.
pub(super) fn percentage(ratio: f64) -> String {
    four_digits(ratio * 100.0) + "%"
}

/// `1d 2h 3m 4s`, and milliseconds and less below a second.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return four_digits(seconds);
    }
    if seconds == 0.0 {
        return "0s".into();
    }
    if seconds.abs() < 1.0 {
        return small(seconds) + "s";
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let whole = seconds.abs() as u64;
    let (d, h, m, s) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{sign}{}s", four_digits(seconds.abs())),
        (0, 0, _) => format!("{sign}{m}m {s}s"),
        (0, ..) => format!("{sign}{h}h {m}m {s}s"),
        _ => format!("{sign}{d}d {h}h {m}m {s}s"),
    }
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    let (mut value, mut unit) = (value, "");
    for next in units {
        if value.abs() < base {
            break;
        }
        (value, unit) = (value / base, next);
    }
    four_digits(value) + unit
}

fn small(value: f64) -> String {
    let (mut value, mut unit) = (value, "");
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        (value, unit) = (value * 1000.0, next);
    }
    four_digits(value) + unit
}
