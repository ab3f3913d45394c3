//! Counts as a file of a recording has them: from its own beginning on, and without what happened while nothing was recorded. The source
//! counts before it gives what it counted: one file alone is off by that, all files together are not. It must not know what is counted.

use crate::event::loss::{Counters, Loss};

/// Totals of the source, and what of them is in the file.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// The last that the source told.
    total: Counters,
    /// The same, as the file has it.
    told: Counters,
    /// What the file does not have: the difference of these.
    before: Counters,
}

impl Counted {
    /// The totals of the source as the file has them.
    pub(super) fn of_file(&mut self, total: &Counters) -> Counters {
        self.total.clone_from(total);
        minus(total, &self.before)
    }

    /// These were recorded.
    pub(super) fn recorded(&mut self, told: &Counters) {
        self.told.clone_from(told);
    }

    /// A file begins.
    pub(super) fn begin(&mut self) {
        self.told = Counters::default();
        self.go_on();
    }

    /// What happened since the last that was recorded is not in the file.
    pub(super) fn go_on(&mut self) {
        self.before = minus(&self.total, &self.told);
    }
}

fn minus(total: &Counters, less: &Counters) -> Counters {
    let of = |lost: &[(Loss, u64)], wanted: Loss| {
        lost.iter().find(|(loss, _)| *loss == wanted).map_or(0, |(_, count)| *count)
    };
    let lost = total.lost.iter().map(|(loss, count)| (*loss, count.saturating_sub(of(&less.lost, *loss))));
    Counters {
        time: total.time,
        seen: total.seen.saturating_sub(less.seen),
        own: total.own.saturating_sub(less.own),
        lost: lost.filter(|(_, count)| *count > 0).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::Counted;
    use crate::event::{
        loss::{Counters, Loss},
        time::Time,
    };

    fn counters(seen: u64, own: u64, hellos: u64) -> Counters {
        let lost = [(Loss::Hello, hellos)].into_iter().filter(|(_, count)| *count > 0).collect();
        Counters { time: Time(1), seen, own, lost }
    }

    #[test]
    fn a_file_counts_from_its_own_beginning_and_leaves_out_pauses() {
        let mut counted = Counted::default();
        for (total, of_file, then) in [
            (counters(10, 1, 0), counters(10, 1, 0), Counted::go_on as fn(&mut Counted)),
            (counters(20, 1, 2), counters(20, 1, 2), Counted::begin),
            (counters(25, 2, 2), counters(5, 1, 0), |_| {}),
            (counters(30, 2, 5), counters(10, 1, 3), Counted::go_on),
        ] {
            let told = counted.of_file(&total);
            assert_eq!(told, of_file, "{total:?}");
            counted.recorded(&told);
            then(&mut counted);
        }
        // Nothing is recorded for a while.
        counted.of_file(&counters(90, 9, 9));
        counted.go_on();
        assert_eq!(counted.of_file(&counters(91, 9, 9)), counters(11, 1, 3));
    }
}
