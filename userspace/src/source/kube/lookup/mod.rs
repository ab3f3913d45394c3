//! What is to be looked up, each thing once and not too much at a time, and who waits for it. Knows no request and no object.

mod bucket;
pub(super) mod fetch;
pub(super) mod kept;

use std::{
    collections::VecDeque,
    net::IpAddr,
    time::{Duration, Instant},
};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    event::cluster::{LookedUp, Lookup, LookupFailure},
    source::kube::{kind::Key, limits::Limits, lookup::bucket::Bucket, state::LookupResult},
};

/// One thing to look up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Question {
    /// Whose the address is.
    Holder(IpAddr),
    /// The Service, and what is behind it.
    Service(Key),
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) is_found: bool,
    pub(super) failure: Option<LookupFailure>,
}

/// A lookup that is over.
pub(super) type Over = (LookedUp, LookupResult);

/// Lookups that are under way.
#[derive(Debug)]
pub(super) struct Lookups {
    limits: Limits,
    bucket: Bucket,
    queue: VecDeque<Question>,
    running: FxHashSet<Question>,
    remembered: FxHashMap<Question, (Instant, Outcome)>,
    waiting: Vec<Waiting>,
}

/// A lookup whose questions are not all answered.
#[derive(Debug)]
struct Waiting {
    lookup: Lookup,
    open: Vec<Question>,
    sum: Outcome,
}

impl Lookups {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            bucket: Bucket::new(limits.lookups_per_second, limits.lookup_burst),
            queue: VecDeque::new(),
            running: FxHashSet::default(),
            remembered: FxHashMap::default(),
            waiting: Vec::new(),
        }
    }

    /// Asks for something; it is over at once where all of it is known or too much is asked for. `is_held` says that a watch
    /// tells whose the address is.
    pub(super) fn ask(&mut self, lookup: Lookup, is_held: bool, now: Instant) -> Option<Over> {
        let mut sum = Outcome { is_found: is_held, failure: None };
        let mut open = Vec::new();
        let holder = (!is_held).then_some(Question::Holder(lookup.address));
        let service = lookup.service.clone().map(Question::Service);
        for question in holder.into_iter().chain(service) {
            if let Some(outcome) = self.remembered(&question, now) {
                sum = sum.and(outcome);
            } else if self.running.contains(&question) || self.queue.contains(&question) {
                open.push(question);
            } else if self.queue.len() < self.limits.most_waiting {
                self.queue.push_back(question.clone());
                open.push(question);
            } else {
                sum.failure = Some(LookupFailure::RateLimited);
            }
        }
        if open.is_empty() {
            let is_known = sum.failure.is_none();
            let result = if is_known { LookupResult::Known } else { sum.result() };
            return Some((LookedUp { lookup, failure: sum.failure }, result));
        }
        if self.waiting.len() >= self.limits.most_waiting {
            let failure = LookupFailure::RateLimited;
            return Some((LookedUp { lookup, failure: Some(failure) }, LookupResult::Failed(failure)));
        }
        self.waiting.push(Waiting { lookup, open, sum });
        None
    }

    /// The next question that may be asked of the API now.
    pub(super) fn next(&mut self, now: Instant) -> Option<Question> {
        let may_run = !self.queue.is_empty() && self.running.len() < self.limits.most_running;
        if !may_run || !self.bucket.take(now) {
            return None;
        }
        let question = self.queue.pop_front()?;
        self.running.insert(question.clone());
        Some(question)
    }

    /// When there may be a next one; none before something else happens.
    pub(super) fn ready_at(&self, now: Instant) -> Option<Instant> {
        let may_run = !self.queue.is_empty() && self.running.len() < self.limits.most_running;
        may_run.then(|| self.bucket.ready_at(now))
    }

    /// A question was answered: the lookups that are over by it.
    pub(super) fn answered(&mut self, question: &Question, outcome: Outcome, now: Instant) -> Vec<Over> {
        self.running.remove(question);
        if self.remembered.len() < self.limits.most_kept {
            self.remembered.insert(question.clone(), (now, outcome));
        }
        for waiting in &mut self.waiting {
            let before = waiting.open.len();
            waiting.open.retain(|open| open != question);
            if waiting.open.len() < before {
                waiting.sum = waiting.sum.and(outcome);
            }
        }
        let over = self.waiting.extract_if(.., |waiting| waiting.open.is_empty());
        over.map(|Waiting { lookup, sum, .. }| (LookedUp { lookup, failure: sum.failure }, sum.result()))
            .collect()
    }

    /// Forgets answers that are too old to be given again.
    pub(super) fn forget(&mut self, now: Instant) {
        let limits = self.limits;
        self.remembered.retain(|_, (since, outcome)| now < *since + outcome.is_good_for(&limits));
    }

    fn remembered(&self, question: &Question, now: Instant) -> Option<Outcome> {
        let (since, outcome) = self.remembered.get(question)?;
        (now < *since + outcome.is_good_for(&self.limits)).then_some(*outcome)
    }
}

impl Outcome {
    /// Of two questions.
    fn and(self, other: Self) -> Self {
        Self { is_found: self.is_found || other.is_found, failure: self.failure.or(other.failure) }
    }

    fn result(self) -> LookupResult {
        match self {
            Self { failure: Some(failure), .. } => LookupResult::Failed(failure),
            Self { is_found: true, failure: None } => LookupResult::Found,
            Self { is_found: false, failure: None } => LookupResult::Nothing,
        }
    }

    /// For how long it is not asked again.
    fn is_good_for(self, limits: &Limits) -> Duration {
        match self {
            Self { failure: Some(LookupFailure::Forbidden), .. } => limits.forbidden_pause,
            Self { is_found: true, failure: None } => limits.found_for,
            Self { .. } => limits.missing_for,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Limits, Lookups, Outcome, Question};
    use crate::{
        event::cluster::{Lookup, LookupFailure},
        source::kube::state::LookupResult,
    };

    const FOUND: Outcome = Outcome { is_found: true, failure: None };
    const NOTHING: Outcome = Outcome { is_found: false, failure: None };
    const SECOND: Duration = Duration::from_secs(1);

    fn lookup(last: u8, service: Option<&str>) -> Lookup {
        let service = service.map(|name| ("n".into(), name.into()));
        Lookup { address: [10, 0, 0, last].into(), service }
    }

    fn holder(last: u8) -> Question {
        Question::Holder([10, 0, 0, last].into())
    }

    fn service(name: &str) -> Question {
        Question::Service(("n".into(), name.into()))
    }

    #[test]
    fn the_same_is_asked_for_once_and_all_who_wait_are_told() {
        let now = Instant::now();
        let mut lookups = Lookups::new(Limits::default());
        for _ in 0..3 {
            assert_eq!(lookups.ask(lookup(1, None), false, now), None);
        }
        assert_eq!(lookups.ask(lookup(1, Some("s")), false, now), None);
        assert_eq!(lookups.next(now), Some(holder(1)));
        assert_eq!(lookups.next(now), Some(service("s")));
        assert_eq!(lookups.next(now), None);
        assert_eq!(lookups.ask(lookup(1, None), false, now), None, "it is under way");
        assert_eq!(lookups.next(now), None);
        let over = lookups.answered(&holder(1), FOUND, now);
        assert_eq!(over.len(), 4);
        assert!(over.iter().all(|(looked_up, result)| {
            looked_up.lookup == lookup(1, None)
                && looked_up.failure.is_none()
                && *result == LookupResult::Found
        }));
        assert_eq!(lookups.answered(&service("s"), NOTHING, now).len(), 1);
    }

    #[test]
    fn an_answer_is_remembered_for_a_while() {
        let limits = Limits::default();
        for (outcome, remembered) in [
            (FOUND, limits.found_for),
            (NOTHING, limits.missing_for),
            (Outcome { is_found: false, failure: Some(LookupFailure::Unreachable) }, limits.missing_for),
            (Outcome { is_found: false, failure: Some(LookupFailure::Forbidden) }, limits.forbidden_pause),
        ] {
            let start = Instant::now();
            let mut lookups = Lookups::new(limits);
            lookups.ask(lookup(1, None), false, start);
            lookups.next(start);
            assert_eq!(lookups.answered(&holder(1), outcome, start).len(), 1);
            let again = lookups.ask(lookup(1, None), false, start + remembered.saturating_sub(SECOND));
            let (looked_up, result) = again.unwrap();
            assert_eq!(looked_up.failure, outcome.failure, "{outcome:?}");
            assert_eq!(result == LookupResult::Known, outcome.failure.is_none(), "{outcome:?}");
            assert_eq!(lookups.ask(lookup(1, None), false, start + remembered), None, "{outcome:?}");
            lookups.forget(start + remembered);
            assert!(lookups.remembered.is_empty());
        }
    }

    #[test]
    fn too_much_at_a_time_waits_and_then_is_refused() {
        let limits = Limits { most_waiting: 3, lookup_burst: 2, ..Limits::default() };
        let now = Instant::now();
        let mut lookups = Lookups::new(limits);
        for last in 1..=3 {
            assert_eq!(lookups.ask(lookup(last, None), false, now), None);
        }
        let (looked_up, result) = lookups.ask(lookup(4, None), false, now).unwrap();
        assert_eq!(looked_up.failure, Some(LookupFailure::RateLimited));
        assert_eq!(result, LookupResult::Failed(LookupFailure::RateLimited));
        assert!(lookups.next(now).is_some() && lookups.next(now).is_some());
        assert_eq!(lookups.next(now), None, "the burst is over");
        let ready = lookups.ready_at(now).unwrap();
        assert!(ready > now && lookups.next(ready) == Some(holder(3)));
        assert_eq!(lookups.ready_at(ready), None, "nothing is left to ask");
    }

    #[test]
    fn only_so_many_run_at_the_same_time() {
        let now = Instant::now();
        let mut lookups = Lookups::new(Limits { most_running: 1, ..Limits::default() });
        lookups.ask(lookup(1, None), false, now);
        lookups.ask(lookup(2, None), false, now);
        assert_eq!(lookups.next(now), Some(holder(1)));
        assert_eq!((lookups.next(now), lookups.ready_at(now)), (None, None));
        lookups.answered(&holder(1), FOUND, now);
        assert_eq!(lookups.next(now), Some(holder(2)));
    }

    #[test]
    fn what_a_watch_tells_is_not_looked_up() {
        let now = Instant::now();
        let mut lookups = Lookups::new(Limits::default());
        let (looked_up, result) = lookups.ask(lookup(1, None), true, now).unwrap();
        assert_eq!((looked_up.failure, result), (None, LookupResult::Known));
        assert_eq!(lookups.ask(lookup(1, Some("s")), true, now), None);
        assert_eq!((lookups.next(now), lookups.next(now)), (Some(service("s")), None));
    }
}
