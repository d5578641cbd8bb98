//! Windows over a series that only ever move forward, so that a step costs what enters and leaves.

use crate::eval::Sample;
use crate::eval::dense::ABSENT;

/// The samples of one step: those after `left`, up to and including `right`.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    /// All samples of the series.
    pub all: &'a [Sample],
    /// The window is `all[lo..hi]`.
    pub lo: usize,
    pub hi: usize,
    pub left: i64,
    pub right: i64,
    /// The number of the step.
    pub step: usize,
}

impl<'a> Window<'a> {
    pub fn samples(&self) -> &'a [Sample] {
        &self.all[self.lo..self.hi]
    }

    pub fn values(&self) -> impl DoubleEndedIterator<Item = f64> + 'a {
        self.samples().iter().map(|s| s.1)
    }

    pub fn range_seconds(&self) -> f64 {
        (self.right - self.left) as f64 / 1000.0
    }
}

/// Calls `f` with the window of every step. Large windows cost time: `spend` is told how much, and once it says no
/// the rest stays absent. Invariant: `rights` does not descend.
pub(crate) fn slide(
    samples: &[Sample],
    rights: &[i64],
    range_ms: i64,
    spend: &dyn Fn(usize) -> bool,
    mut f: impl FnMut(Window) -> f64,
) -> Vec<f64> {
    let (mut lo, mut hi) = (0, 0);
    let step = |(step, right): (usize, &i64)| {
        let left = right - range_ms;
        while hi < samples.len() && samples[hi].0 <= *right {
            hi += 1;
        }
        while lo < hi && samples[lo].0 <= left {
            lo += 1;
        }
        if !spend(hi - lo) {
            return ABSENT;
        }
        f(Window {
            all: samples,
            lo,
            hi,
            left,
            right: *right,
            step,
        })
    };
    rights.iter().enumerate().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_left_open() {
        let samples: Vec<Sample> = (0..10).map(|i| (i * 10, i as f64)).collect();
        let counts = slide(&samples, &[0, 30, 35, 200], 20, &|_| true, |w| {
            w.samples().len() as f64
        });
        assert_eq!(counts, [1.0, 2.0, 2.0, 0.0]);
    }
}
