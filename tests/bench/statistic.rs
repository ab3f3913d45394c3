//! A middle value and how sure it is, of measurements among which some are far off; it must not know of what.

/// What is told of a number of measurements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// The median.
    pub(crate) value: f64,
    /// Its standard error, from the median absolute deviation.
    pub(crate) error: f64,
}

/// A normal distribution's standard deviation is this many median absolute deviations.
const DEVIATION_OF_MAD: f64 = 1.4826;
/// The standard error of a median is this many times the one of a mean: the square root of π/2.
const ERROR_OF_MEDIAN: f64 = 1.2533;

impl Estimate {
    /// `None` of nothing.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let value = median(values)?;
        let deviations: Vec<f64> = values.iter().map(|one| (one - value).abs()).collect();
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
        let count = values.len() as f64;
        let error = ERROR_OF_MEDIAN * DEVIATION_OF_MAD * median(&deviations)? / count.sqrt();
        Some(Self { value, error })
    }
}

/// The middle value; of an even number, the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// The value that so many percent of all do not exceed.
pub(crate) fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}
