//! Whether something grows: a straight line through samples, and how sure its slope is. It must not know what grows.

use crate::statistic::Estimate;

/// Something measured at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    pub(crate) value: f64,
}

/// How much it grows a second, and the standard error of that: least squares through the means of so many stretches of
/// the same length. Samples in a row are alike, so that their number means little; means of long stretches are less so.
/// `None` of fewer than three.
pub(crate) fn slope(samples: &[Sample], stretches: usize) -> Option<Estimate> {
    let points = means(samples, stretches);
    #[expect(clippy::cast_precision_loss, reason = "a few stretches")]
    let count = points.len() as f64;
    if points.len() < 3 {
        return None;
    }
    let mean = |of: fn(&Sample) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (middle, level) = (mean(|point| point.seconds), mean(|point| point.value));
    let spread: f64 = points.iter().map(|point| (point.seconds - middle).powi(2)).sum();
    let product: f64 = points.iter().map(|point| (point.seconds - middle) * (point.value - level)).sum();
    let value = product / spread;
    let misses = points.iter().map(|point| point.value - level - value * (point.seconds - middle));
    let squares: f64 = misses.map(|miss| miss * miss).sum();
    Some(Estimate { value, error: (squares / (count - 2.0) / spread).sqrt() })
}

/// The means of stretches of the same length in time.
fn means(samples: &[Sample], stretches: usize) -> Vec<Sample> {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Vec::new() };
    #[expect(clippy::cast_precision_loss, reason = "a few stretches")]
    let length = (last.seconds - first.seconds) / stretches as f64;
    let of_stretch = |nth: usize| {
        #[expect(clippy::cast_precision_loss, reason = "a few stretches")]
        let begin = first.seconds + nth as f64 * length;
        let within = |sample: &&Sample| sample.seconds >= begin && sample.seconds < begin + length;
        let chosen: Vec<&Sample> = samples.iter().filter(within).collect();
        #[expect(clippy::cast_precision_loss, reason = "samples of minutes")]
        let count = chosen.len() as f64;
        let mean = |of: fn(&Sample) -> f64| chosen.iter().map(|sample| of(sample)).sum::<f64>() / count;
        (!chosen.is_empty())
            .then(|| Sample { seconds: mean(|sample| sample.seconds), value: mean(|sample| sample.value) })
    };
    (0..stretches).filter_map(of_stretch).collect()
}
