//! Sums, means, deviations and quantiles that stay exact where naive ones lose digits or overflow.

use std::cmp::Ordering;

/// A compensated sum (Neumaier).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub fn add(&mut self, x: f64) {
        let next = self.sum + x;
        if next.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= x.abs() {
            self.lost += (self.sum - next) + x;
        } else {
            self.lost += (x - next) + self.sum;
        }
        self.sum = next;
    }

    /// Adds another sum with what it had lost.
    pub fn join(&mut self, other: Sum) {
        self.add(other.sum);
        self.lost += other.lost;
    }

    /// The sum divided by `n`, keeping the digits lost.
    pub fn over(&self, n: f64) -> f64 {
        self.sum / n + self.lost / n
    }

    pub fn value(&self) -> f64 {
        if self.sum.is_infinite() {
            self.sum
        } else {
            self.sum + self.lost
        }
    }
}

/// A mean: sum over count, until the sum would overflow; then a running mean.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean {
    n: f64,
    acc: Sum,
    running: bool,
}

impl Mean {
    pub fn add(&mut self, x: f64) {
        self.n += 1.0;
        if !self.running {
            let mut next = self.acc;
            next.add(x);
            if !next.sum.is_infinite() || self.n == 1.0 {
                self.acc = next;
                return;
            }
            self.running = true;
            let before = self.n - 1.0;
            self.acc = Sum {
                sum: self.acc.sum / before,
                lost: self.acc.lost / before,
            };
        }
        let share = (self.n - 1.0) / self.n;
        self.acc = Sum {
            sum: self.acc.sum * share,
            lost: self.acc.lost * share,
        };
        self.acc.add(x / self.n);
    }

    pub fn value(&self) -> f64 {
        if self.running {
            return self.acc.value();
        }
        if self.acc.sum.is_infinite() {
            return self.acc.sum;
        }
        self.acc.over(self.n)
    }
}

/// Mean and squared deviations (Welford), compensated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deviation {
    n: f64,
    mean: Sum,
    squares: Sum,
}

impl Deviation {
    pub fn add(&mut self, x: f64) {
        self.n += 1.0;
        let delta = x - self.mean.value();
        self.mean.add(delta / self.n);
        self.squares.add(delta * (x - self.mean.value()));
    }

    pub fn variance(&self) -> f64 {
        self.squares.value() / self.n
    }
}

/// Orders values with NaN below everything.
pub(crate) fn nan_first(a: &f64, b: &f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
    }
}

/// The φ-quantile, interpolated between neighbours; reorders `values`.
pub(crate) fn quantile(phi: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(nan_first);
    let last = values.len() - 1;
    let rank = phi * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Slope per second and the value at `zero_ms` of the least-squares line.
pub(crate) fn regression(samples: &[(i64, f64)], zero_ms: i64) -> (f64, f64) {
    let first = samples[0].1;
    if samples.iter().all(|s| s.1 == first) {
        return if first.is_infinite() {
            (f64::NAN, f64::NAN)
        } else {
            (0.0, first)
        };
    }
    let (mut xs, mut ys, mut xys, mut x2s) = (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    for (t, y) in samples {
        let x = (t - zero_ms) as f64 / 1000.0;
        xs.add(x);
        ys.add(*y);
        xys.add(x * y);
        x2s.add(x * x);
    }
    let n = samples.len() as f64;
    let (x, y) = (xs.value(), ys.value());
    let covariance = xys.value() - x * y / n;
    let variance = x2s.value() - x * x / n;
    let slope = covariance / variance;
    (slope, y / n - slope * x / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_compensated() {
        let mut s = Sum::default();
        [2.0, 8.0, 1e100, -1e100].into_iter().for_each(|x| s.add(x));
        assert_eq!(s.value(), 10.0);
    }

    #[test]
    fn means_survive_overflow() {
        let mut m = Mean::default();
        (0..4).for_each(|_| m.add(f64::MAX / 1.5));
        assert_eq!(m.value(), f64::MAX / 1.5);
        let mut m = Mean::default();
        [f64::INFINITY, 0.0, f64::INFINITY]
            .into_iter()
            .for_each(|x| m.add(x));
        assert_eq!(m.value(), f64::INFINITY);
    }

    #[test]
    fn quantiles() {
        assert_eq!(quantile(0.8, &mut [4.0, 0.0, 1.0]), 2.8000000000000003);
        assert_eq!(quantile(-1.0, &mut [1.0]), f64::NEG_INFINITY);
        assert!(quantile(0.5, &mut []).is_nan());
    }
}
