//! Which of several things is measured next: the one whose error is furthest above its aim. It must not know what they are.

/// How far one thing is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// How often it was measured.
    pub(crate) count: usize,
    /// How often it has to be measured in any case.
    pub(crate) least: usize,
    /// Its error by now.
    pub(crate) error: f64,
    /// What the error is to be.
    pub(crate) aim: f64,
    /// It comes before those for which this is false.
    pub(crate) is_urgent: bool,
}

impl Progress {
    fn is_sure(&self) -> bool {
        self.error <= self.aim
    }
}

/// Which one is next; `None` when all errors are small enough, or when the time is over and all were measured often enough.
/// `previous` is not chosen again while there is another, so that what disturbs for a moment disturbs not only one.
pub(crate) fn next(all: &[Progress], previous: Option<usize>, is_time_over: bool) -> Option<usize> {
    let behind = all.iter().enumerate().filter(|(_, one)| one.count < one.least);
    if let Some((index, _)) = behind.min_by_key(|(_, one)| one.count) {
        return Some(index);
    }
    let unsure = || {
        all.iter()
            .enumerate()
            .filter(|(_, one)| !is_time_over && !one.is_sure())
            .max_by(|(_, a), (_, b)| {
                let urgency = a.is_urgent.cmp(&b.is_urgent);
                urgency.then((a.error / a.aim).total_cmp(&(b.error / b.aim)))
            })
            .map(|(index, _)| index)
    };
    let first = unsure()?;
    if Some(first) != previous {
        return Some(first);
    }
    let another = all.iter().enumerate().filter(|(index, one)| *index != first && !one.is_sure());
    another
        .filter(|(_, one)| one.is_urgent == all[first].is_urgent)
        .max_by(|(_, a), (_, b)| (a.error / a.aim).total_cmp(&(b.error / b.aim)))
        .map_or(Some(first), |(index, _)| Some(index))
}
