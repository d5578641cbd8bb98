//! Curves of load over days and weeks, as closed formulas: history and live samples meet without a step, and counters
//! are their exact integrals.

use std::f64::consts::TAU;

const DAY: f64 = 86_400.0;
const WEEK: f64 = 7.0 * DAY;

/// Share of the mean that the day, the week and the noise add or take; together below one, so a rate is never negative.
const DAILY: f64 = 0.42;
const WEEKLY: f64 = 0.14;
const NOISE: [(f64, f64); 5] = [
    (0.10, 41.0),
    (0.08, 173.0),
    (0.08, 739.0),
    (0.07, 2_903.0),
    (0.06, 11_003.0),
];

/// The busiest hour is 14:00 UTC, the busiest day Wednesday; the epoch began on a Thursday at midnight.
const PEAK_OF_DAY: f64 = 14.0 * 3600.0;
const PEAK_OF_WEEK: f64 = 6.0 * DAY + PEAK_OF_DAY;

/// Something whose rate follows the hours of work.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Mean value.
    mean: f64,
    phases: [f64; NOISE.len()],
}

impl Curve {
    pub fn new(mean: f64, random: &mut Random) -> Self {
        Self {
            mean,
            phases: std::array::from_fn(|_| random.unit() * TAU),
        }
    }

    /// The value at a time in Unix seconds.
    pub fn at(&self, t: f64) -> f64 {
        let mut sum = 1.0
            + DAILY * (TAU * (t - PEAK_OF_DAY) / DAY).cos()
            + WEEKLY * (TAU * (t - PEAK_OF_WEEK) / WEEK).cos();
        for ((share, period), phase) in NOISE.iter().zip(&self.phases) {
            sum += share * (TAU * t / period + phase).cos();
        }
        self.mean * sum
    }

    /// The integral from `since` to `t`: what a counter shows that began at `since`.
    pub fn sum(&self, since: f64, t: f64) -> f64 {
        self.antiderivative(t) - self.antiderivative(since)
    }

    fn antiderivative(&self, t: f64) -> f64 {
        let wave = |share: f64, period: f64, angle: f64| share * period / TAU * angle.sin();
        let mut sum = t
            + wave(DAILY, DAY, TAU * (t - PEAK_OF_DAY) / DAY)
            + wave(WEEKLY, WEEK, TAU * (t - PEAK_OF_WEEK) / WEEK);
        for ((share, period), phase) in NOISE.iter().zip(&self.phases) {
            sum += wave(*share, *period, TAU * t / period + phase);
        }
        self.mean * sum
    }
}

/// Repeatable numbers (xorshift64*): the same seed makes the same fleet.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.unit() * limit as f64) as usize
    }

    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_rises_by_the_rate() {
        let curve = Curve::new(0.3, &mut Random::new(7));
        let start = 1_700_000_000.0;
        let mut before = 0.0;
        for step in 1..5_000 {
            let t = start + f64::from(step) * 60.0;
            let (sum, rate) = (curve.sum(start, t), curve.at(t - 30.0));
            assert!(sum > before && rate > 0.0);
            assert!(
                ((sum - before) / 60.0 - rate).abs() < 0.12,
                "{} {rate}",
                (sum - before) / 60.0
            );
            before = sum;
        }
    }

    #[test]
    fn afternoons_are_busier_than_nights() {
        let curve = Curve::new(1.0, &mut Random::new(1));
        let day = 20_000.0 * DAY;
        let mean = |hour: f64| {
            (0..60)
                .map(|m| curve.at(day + hour * 3600.0 + f64::from(m) * 60.0))
                .sum::<f64>()
                / 60.0
        };
        assert!(mean(14.0) > mean(2.0) * 1.5);
    }
}
