//! Events in the order of their time, though they become known in another: each waits until nothing earlier can come.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::event::{Event, time::Time};

/// Most events that wait; with more the earliest goes on before its time.
const WAITING_MAX: usize = 1 << 18;

/// Events that wait.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// Of the same time, what was known first goes first.
    count: u64,
}

#[derive(Debug)]
struct Waiting {
    time: Time,
    number: u64,
    event: Event,
}

impl Ordered {
    /// An event is known.
    pub(super) fn push(&mut self, event: Event) {
        self.waiting.push(Reverse(Waiting { time: event.time(), number: self.count, event }));
        self.count += 1;
    }

    /// The next event up to this time.
    pub(super) fn next_until(&mut self, until: Time) -> Option<Event> {
        let first = self.waiting.peek()?;
        if first.0.time > until && self.waiting.len() <= WAITING_MAX {
            return None;
        }
        self.waiting.pop().map(|Reverse(waiting)| waiting.event)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time, self.number).cmp(&(other.time, other.number))
    }
}

#[cfg(test)]
mod tests {
    use super::{Ordered, WAITING_MAX};
    use crate::event::{Event, time::Time};

    #[test]
    fn events_leave_in_the_order_of_time_and_not_before_it() {
        let mut ordered = Ordered::default();
        for time in [5, 3, 9, 3] {
            ordered.push(Event::Tick(Time(time)));
        }
        let mut until = |time| std::iter::from_fn(|| ordered.next_until(Time(time))).count();
        assert_eq!((until(2), until(3), until(8), until(9)), (0, 2, 1, 1));
    }

    #[test]
    fn memory_is_bounded() {
        let mut ordered = Ordered::default();
        for time in 0..2 * WAITING_MAX as u64 {
            ordered.push(Event::Tick(Time(time + 1)));
            while ordered.next_until(Time(0)).is_some() {}
        }
        assert_eq!(ordered.waiting.len(), WAITING_MAX);
    }
}
