//! What the core wants to know of the cluster: asked once in a while, answered or not; must not know findings. Pure, bounded.

use rustc_hash::FxHashMap;

use crate::event::{
    cluster::{LookedUp, Lookup, LookupFailure},
    time::{SECOND_NS, Time},
};

/// What was found holds for this long; what changes meanwhile is told as a change, or found by the next lookup.
const FRESH_NS: u64 = 60 * SECOND_NS;

/// What was not found out is asked for again after this.
const RETRY_NS: u64 = 5 * SECOND_NS;

/// Most lookups that are remembered at a time.
const MAX_ASKED: usize = 4096;

/// Most lookups that wait for somebody who takes them.
const MAX_WANTED: usize = 1024;

/// How far a lookup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nobody has answered yet.
    Awaited,
    /// All that there is was found.
    Known,
    /// It could not be found out.
    Failed(LookupFailure),
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Time,
    answer: Answer,
}

/// Lookups, by what they ask for.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    asked: FxHashMap<Lookup, Asked>,
    wanted: Vec<Lookup>,
}

impl Lookups {
    /// Asks, unless it was asked lately. Tells how far it is.
    pub(super) fn ask(&mut self, lookup: &Lookup, now: Time) -> Answer {
        if let Some(Asked { at, answer }) = self.asked.get(lookup).copied() {
            let holds_ns = if answer == Answer::Known { FRESH_NS } else { RETRY_NS };
            if now.since_ns(at) < holds_ns {
                return answer;
            }
        }
        if self.wanted.len() >= MAX_WANTED {
            return Answer::Failed(LookupFailure::RateLimited);
        }
        self.make_room(now);
        self.asked.insert(lookup.clone(), Asked { at: now, answer: Answer::Awaited });
        self.wanted.push(lookup.clone());
        Answer::Awaited
    }

    /// Asks for one of these that it is time for: whoever looks up is not to be kept busy with what failed before.
    pub(super) fn ask_again<'a>(&mut self, lookups: impl Iterator<Item = &'a Lookup>, now: Time) {
        let is_due = |lookup: &&Lookup| match self.asked.get(*lookup) {
            Some(Asked { answer: Answer::Known, .. }) => false,
            Some(Asked { at, .. }) => now.since_ns(*at) >= RETRY_NS,
            None => true,
        };
        let due = lookups.into_iter().find(is_due);
        if let Some(lookup) = due {
            self.ask(lookup, now);
        }
    }

    /// How far it is, without asking.
    pub(super) fn answer(&self, lookup: &Lookup) -> Answer {
        self.asked.get(lookup).map_or(Answer::Awaited, |asked| asked.answer)
    }

    /// Somebody answered.
    pub(super) fn answered(&mut self, looked_up: &LookedUp, now: Time) {
        let LookedUp { lookup, failure } = looked_up;
        let answer = failure.map_or(Answer::Known, Answer::Failed);
        self.asked.insert(lookup.clone(), Asked { at: now, answer });
    }

    /// What was asked for since the last call.
    pub(super) fn take(&mut self) -> Vec<Lookup> {
        std::mem::take(&mut self.wanted)
    }

    fn make_room(&mut self, now: Time) {
        if self.asked.len() < MAX_ASKED {
            return;
        }
        self.asked.retain(|_, asked| now.since_ns(asked.at) < RETRY_NS);
        if self.asked.len() >= MAX_ASKED {
            self.asked.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, FRESH_NS, Lookups, MAX_ASKED, MAX_WANTED, RETRY_NS};
    use crate::event::{
        cluster::{LookedUp, Lookup, LookupFailure},
        time::Time,
    };

    fn lookup(number: u32) -> Lookup {
        Lookup { address: number.to_be_bytes().into(), service: None }
    }

    #[test]
    fn it_is_asked_once_in_a_while() {
        let unreachable = LookupFailure::Unreachable;
        for (answer, holds_ns, expected) in [
            (None, RETRY_NS, Answer::Awaited),
            (Some(None), FRESH_NS, Answer::Known),
            (Some(Some(unreachable)), RETRY_NS, Answer::Failed(unreachable)),
        ] {
            let mut lookups = Lookups::default();
            assert_eq!(lookups.ask(&lookup(1), Time(0)), Answer::Awaited);
            if let Some(failure) = answer {
                lookups.answered(&LookedUp { lookup: lookup(1), failure }, Time(0));
            }
            assert_eq!(lookups.ask(&lookup(1), Time(holds_ns - 1)), expected);
            assert_eq!(lookups.take(), [lookup(1)]);
            assert_eq!(lookups.ask(&lookup(1), Time(holds_ns)), Answer::Awaited);
            assert_eq!(lookups.take(), [lookup(1)], "again");
        }
    }

    #[test]
    fn what_is_asked_and_remembered_is_bounded() {
        let mut lookups = Lookups::default();
        let limited = Answer::Failed(LookupFailure::RateLimited);
        for number in 0..u32::try_from(MAX_WANTED).unwrap() {
            assert_eq!(lookups.ask(&lookup(number), Time(0)), Answer::Awaited);
        }
        assert_eq!(lookups.ask(&lookup(u32::MAX), Time(0)), limited, "nobody takes them");
        for number in 0..u32::try_from(3 * MAX_ASKED).unwrap() {
            lookups.ask(&lookup(number), Time(1));
            lookups.take();
        }
        assert!(lookups.asked.len() <= MAX_ASKED, "{}", lookups.asked.len());
    }
}
