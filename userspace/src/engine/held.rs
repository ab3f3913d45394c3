//! Failed attempts that are held until what they need to know of the cluster was looked up, and those that were told
//! without it; must not know how they are judged. Pure, bounded.

use std::collections::BTreeMap;

use crate::{
    attempt::Leg,
    engine::{Trial, incident::Key},
    event::{
        cluster::Lookup,
        time::{SECOND_NS, Time},
    },
    flow::Flow,
    update::{Behaviour, Outcome},
    verdict::case::PassedOn,
};

/// How long a finding waits for what is looked up; then it is said with what is known.
pub(super) const HOLD_NS: u64 = SECOND_NS;

/// How long it is completed afterwards.
const COMPLETED_NS: u64 = 600 * SECOND_NS;

/// Most that are held at a time; the oldest is said first.
const MAX_HELD: usize = 1024;

/// An attempt, with all that is gone when its connections are.
#[derive(Debug)]
pub(super) struct Held {
    flow: Flow,
    outcome: Outcome,
    behaviour: Behaviour,
    time: Time,
    is_incomplete: bool,
    leg: Option<Leg>,
    passed_on: PassedOn,
    /// What it waits for.
    pub(super) lookups: Vec<Lookup>,
    /// Where it was said already, without that.
    pub(super) said: Option<Key>,
}

impl Held {
    /// Holds an attempt.
    pub(super) fn new(trial: &Trial<'_>, lookups: Vec<Lookup>) -> Self {
        Self {
            flow: trial.flow.clone(),
            outcome: trial.outcome.clone(),
            behaviour: trial.behaviour,
            time: trial.time,
            is_incomplete: trial.is_incomplete,
            leg: trial.leg.cloned(),
            passed_on: trial.passed_on,
            lookups,
            said: None,
        }
    }

    /// The attempt, to be judged again.
    pub(super) fn trial(&self) -> Trial<'_> {
        Trial {
            flow: &self.flow,
            outcome: &self.outcome,
            behaviour: self.behaviour,
            time: self.time,
            is_incomplete: self.is_incomplete,
            leg: self.leg.as_ref(),
            passed_on: self.passed_on,
        }
    }

    /// The connecting socket is one of a mesh proxy, as became known.
    pub(super) fn is_of_proxy(&mut self, is_proxy: impl FnOnce(&Flow) -> bool) {
        self.flow.is_of_proxy = self.flow.is_of_proxy || is_proxy(&self.flow);
    }

    /// It has waited long enough to be said.
    pub(super) fn is_due(&self, now: Time) -> bool {
        now.since_ns(self.time) >= HOLD_NS
    }

    /// Nobody waits for it any more.
    fn is_over(&self, now: Time) -> bool {
        now.since_ns(self.time) >= COMPLETED_NS
    }
}

/// All that are held.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// In the order of their coming. Boxed, because the tree has room for twice as many as are in it.
    held: BTreeMap<u64, Box<Held>>,
}

impl Waiting {
    /// Holds one more. Gives the oldest, where there are too many.
    pub(super) fn push(&mut self, held: Held) -> Option<Held> {
        // Of what was said one attempt is enough to complete it.
        if let Some(said) = &held.said {
            self.forget(said);
        }
        let turn = self.held.last_key_value().map_or(0, |(last, _)| last + 1);
        self.held.insert(turn, Box::new(held));
        if self.held.len() > MAX_HELD { self.held.pop_first().map(|(_, oldest)| *oldest) } else { None }
    }

    /// Forgets those that were said so: another attempt stands for them.
    pub(super) fn forget(&mut self, said: &Key) {
        self.held.retain(|_, held| held.said.as_ref() != Some(said));
    }

    /// Takes those that are ready, oldest first, and forgets those that are over.
    pub(super) fn take_ready(&mut self, now: Time, is_ready: impl Fn(&Held) -> bool) -> Vec<Held> {
        let is_taken = |held: &Held| held.is_over(now) || is_ready(held);
        let taken = self.held.extract_if(.., |_, held| is_taken(held)).map(|(_, held)| *held);
        taken.filter(|held| !held.is_over(now)).collect()
    }

    /// There is one that was not said yet and has waited long enough.
    pub(super) fn has_due(&self, now: Time) -> bool {
        self.held.values().any(|held| held.said.is_none() && held.is_due(now))
    }

    /// What those that were said without it still want to know.
    pub(super) fn missing(&self) -> impl Iterator<Item = &Lookup> {
        self.held.values().filter(|held| held.said.is_some()).flat_map(|held| &held.lookups)
    }
}
