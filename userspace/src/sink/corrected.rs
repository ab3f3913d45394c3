//! Times as the node's calendar has them now: events go on through its steps, and people compare what is said with other logs. It
//! must not know where updates go.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use crate::{
    event::time::Time,
    sink::{Accounting, Sink},
    update::Update,
};

/// Corrects times before they are written.
pub struct Corrected<S> {
    sink: S,
    step_ns: Arc<AtomicI64>,
}

impl<S: Sink> Corrected<S> {
    /// `step_ns` is how far the calendar was stepped since the time of events began.
    pub fn new(sink: S, step_ns: Arc<AtomicI64>) -> Self {
        Self { sink, step_ns }
    }

    fn step_ns(&self) -> Option<i64> {
        Some(self.step_ns.load(Ordering::Relaxed)).filter(|step| *step != 0)
    }
}

impl<S: Sink> Sink for Corrected<S> {
    fn update(&mut self, update: &Update) -> io::Result<()> {
        match self.step_ns() {
            None => self.sink.update(update),
            Some(step_ns) => self.sink.update(&corrected(update, step_ns)),
        }
    }

    fn account(&mut self, accounting: &Accounting) -> io::Result<()> {
        let time = moved(accounting.time, self.step_ns().unwrap_or(0));
        self.sink.account(&Accounting { time, ..accounting.clone() })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

fn moved(time: Time, step_ns: i64) -> Time {
    Time(time.0.saturating_add_signed(step_ns))
}

fn corrected(update: &Update, step_ns: i64) -> Update {
    let mut update = update.clone();
    let correct = |time: &mut Time| *time = moved(*time, step_ns);
    match &mut update {
        Update::Connection(connection) => {
            correct(&mut connection.time);
            connection.opened.iter_mut().for_each(correct);
        }
        Update::Finding(finding) => {
            [&mut finding.time, &mut finding.first_seen, &mut finding.last_seen]
                .into_iter()
                .for_each(correct);
        }
        Update::Resolved(resolved) => {
            [&mut resolved.time, &mut resolved.first_seen, &mut resolved.last_seen]
                .into_iter()
                .for_each(correct);
        }
    }
    update
}

#[cfg(test)]
mod tests {
    use super::corrected;
    use crate::{
        event::time::{SECOND_NS, Time},
        sink::samples,
        update::Update,
    };

    #[test]
    fn all_times_move_alike_and_durations_stay() {
        let hour_ns = 3600 * SECOND_NS.cast_signed();
        for step_ns in [hour_ns, -hour_ns] {
            let moved = |time: Time| Time(time.0.saturating_add_signed(step_ns));
            let (before, Update::Finding(after)) =
                (samples::finding(), corrected(&Update::Finding(Box::new(samples::finding())), step_ns))
            else {
                panic!("it is another update now")
            };
            assert_eq!(
                (after.time, after.first_seen, after.last_seen),
                (moved(before.time), moved(before.first_seen), moved(before.last_seen))
            );
            assert_eq!(after.outcome, before.outcome);
            let (before, Update::Connection(after)) = (
                samples::connection(),
                corrected(&Update::Connection(Box::new(samples::connection())), step_ns),
            ) else {
                panic!("it is another update now")
            };
            assert_eq!((after.time, after.opened), (moved(before.time), before.opened.map(moved)));
        }
    }
}
