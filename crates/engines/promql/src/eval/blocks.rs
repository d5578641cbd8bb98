//! Sums and extremes of long windows without looking at every sample again at each step.
//!
//! Samples are summarised in blocks once; a window then is a few samples at both ends and whole blocks between.

use crate::eval::Sample;
use crate::eval::stats::{Mean, Sum};
use crate::eval::window::Window;

const BLOCK: usize = 64;
/// Shorter series and fewer steps do not repay the summaries.
const MIN_SAMPLES: usize = 1024;
const MIN_STEPS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Sum,
    Avg,
    Min,
    Max,
}

impl What {
    pub fn of(function: &str) -> Option<What> {
        match function {
            "sum_over_time" => Some(What::Sum),
            "avg_over_time" => Some(What::Avg),
            "min_over_time" => Some(What::Min),
            "max_over_time" => Some(What::Max),
            _ => None,
        }
    }
}

/// The summaries of one series.
pub(crate) struct Blocks {
    what: What,
    sums: Vec<Sum>,
    extremes: Vec<f64>,
}

impl Blocks {
    /// None where looking at every sample is cheaper.
    pub fn of(what: What, samples: &[Sample], steps: usize) -> Option<Blocks> {
        if samples.len() < MIN_SAMPLES || steps < MIN_STEPS {
            return None;
        }
        let chunks = || samples.chunks(BLOCK);
        let (mut sums, mut extremes) = (Vec::new(), Vec::new());
        match what {
            What::Sum | What::Avg => sums.extend(chunks().map(sum)),
            What::Min | What::Max => extremes.extend(chunks().map(|c| what.extreme(f64::NAN, c))),
        }
        Some(Blocks { what, sums, extremes })
    }

    /// The value of a window that is not empty.
    pub fn value(&self, w: Window) -> f64 {
        let (first, last) = (w.lo.div_ceil(BLOCK), w.hi / BLOCK);
        let (head, tail) = if first < last {
            (w.lo..first * BLOCK, last * BLOCK..w.hi)
        } else {
            (w.lo..w.hi, w.hi..w.hi)
        };
        let blocks = first..last.max(first);
        match self.what {
            What::Min | What::Max => {
                let start = self.what.extreme(f64::NAN, &w.all[head]);
                let middle = self.extremes[blocks]
                    .iter()
                    .fold(start, |best, v| self.what.better(best, *v));
                self.what.extreme(middle, &w.all[tail])
            }
            What::Sum | What::Avg => {
                let mut total = sum(&w.all[head]);
                self.sums[blocks].iter().for_each(|s| total.join(*s));
                total.join(sum(&w.all[tail]));
                let whole = w.samples();
                // Overflow depends on the order of addition, so such windows go the plain way.
                match (self.what, total.value().is_finite()) {
                    (What::Avg, true) => total.over(whole.len() as f64),
                    (What::Avg, false) => mean(whole),
                    (_, true) => total.value(),
                    (_, false) => sum(whole).value(),
                }
            }
        }
    }
}

fn sum(samples: &[Sample]) -> Sum {
    let mut sum = Sum::default();
    samples.iter().for_each(|s| sum.add(s.1));
    sum
}

fn mean(samples: &[Sample]) -> f64 {
    let mut mean = Mean::default();
    samples.iter().for_each(|s| mean.add(s.1));
    mean.value()
}

impl What {
    fn extreme(self, start: f64, samples: &[Sample]) -> f64 {
        samples.iter().fold(start, |best, s| self.better(best, s.1))
    }

    /// The smaller or larger value; NaN loses against any number.
    fn better(self, a: f64, b: f64) -> f64 {
        if self == What::Min { a.min(b) } else { a.max(b) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_agree_with_every_sample() {
        let samples: Vec<Sample> = (0..3000)
            .map(|i| {
                (
                    i,
                    if i % 97 == 0 {
                        f64::NAN
                    } else {
                        ((i * 37) % 101) as f64 - 50.0
                    },
                )
            })
            .collect();
        let finite: Vec<Sample> = samples
            .iter()
            .map(|s| (s.0, if s.1.is_nan() { 0.5 } else { s.1 }))
            .collect();
        for (lo, hi) in [
            (0, 3000),
            (1, 64),
            (63, 65),
            (64, 128),
            (100, 2999),
            (2990, 2991),
            (97, 98),
        ] {
            let window = |all| Window {
                all,
                lo,
                hi,
                left: 0,
                right: 0,
                step: 0,
            };
            let blocks = |what, all| Blocks::of(what, all, 100).unwrap().value(window(all));
            let values = || samples[lo..hi].iter().map(|s| s.1);
            let same = |a: f64, b: f64| assert!(a == b || (a.is_nan() && b.is_nan()), "{lo}..{hi}: {a} {b}");
            same(blocks(What::Min, &samples), values().fold(f64::NAN, f64::min));
            same(blocks(What::Max, &samples), values().fold(f64::NAN, f64::max));
            same(
                blocks(What::Sum, &finite),
                finite[lo..hi].iter().map(|s| s.1).sum(),
            );
            same(blocks(What::Avg, &finite), mean(&finite[lo..hi]));
        }
        let huge = vec![(0, f64::MAX / 1.5); 2000];
        let w = Window {
            all: &huge,
            lo: 0,
            hi: 2000,
            left: 0,
            right: 0,
            step: 0,
        };
        let avg = Blocks::of(What::Avg, &huge, 100).unwrap().value(w);
        assert!((avg / (f64::MAX / 1.5) - 1.0).abs() < 1e-12);
    }
}
