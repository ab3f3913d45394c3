//! For whom the microscope is armed, and until when; it decides, and others do it. Pure, bounded.
#![deny(clippy::disallowed_methods)]

use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::{event::time::Time, suspicion::Sign, update::suspicion::Suspicion};

/// How long the microscope stays armed at first without anything new: longer than the five minutes that are the longest
/// pause of a container that is started again and again (`MaxContainerBackOff`, kubernetes pkg/kubelet/kubelet.go).
pub const FIRST_PERIOD: Duration = Duration::from_secs(330);

/// A period is never longer than so many first ones.
const LONGEST_PERIOD: u64 = 8;

/// How many periods long a rest is.
const REST: u64 = 3;

/// Most groups that are remembered after they were disarmed.
const MAX_REMEMBERED: usize = 4096;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Watch this group of processes closely.
    Arm(Box<str>),
    /// Watch it no longer.
    Disarm(Box<str>),
}

/// What is known of one group.
#[derive(Debug)]
struct Watch {
    /// Armed until then; none when it is not.
    until: Option<Time>,
    /// Not armed again before for what it was armed for in vain.
    rest_until: Time,
    /// What it was armed for since a hello was seen to fail.
    tried: Vec<Suspicion>,
    /// Length of the last period.
    period_ns: u64,
    /// A mesh hello was suspect in this period.
    was_fruitful: bool,
}

/// For which groups (a pod's control group, named by its path) the microscope is armed.
///
/// A period that shows no failing mesh hello is followed by a rest of three times its length, and the next one is twice as
/// long: clients that retry seldom are caught in the end, and those that fail for other reasons are watched a quarter of
/// the time. Something suspect of another kind than before does not wait for that.
#[derive(Debug)]
pub struct Arming {
    groups: FxHashMap<Box<str>, Watch>,
    armed: usize,
    limit: usize,
    first_period_ns: u64,
    passed_over: u64,
}

impl Arming {
    /// Armed for at most `limit` groups at a time, and for `first_period` at first.
    pub fn new(limit: usize, first_period: Duration) -> Self {
        let first_period_ns = u64::try_from(first_period.as_nanos()).unwrap_or(u64::MAX);
        Self { groups: FxHashMap::default(), armed: 0, limit, first_period_ns, passed_over: 0 }
    }

    /// How many groups are watched now.
    pub fn armed(&self) -> usize {
        self.armed
    }

    /// How often a suspect was not watched because too many others were.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// A connection end of the group was suspect.
    pub fn suspect(&mut self, group: &str, now: Time, sign: Sign) -> Option<Change> {
        let known = self.groups.get_mut(group);
        let suspicion = match sign {
            Sign::Numbers(suspicion) => suspicion,
            Sign::Hello => {
                known?.bore_fruit(now);
                return None;
            }
        };
        if known.is_some_and(|watch| watch.until.is_some() || watch.rests(suspicion, now)) {
            return None;
        }
        if self.armed >= self.limit {
            self.passed_over += 1;
            return None;
        }
        self.forget_some(now);
        let first_ns = self.first_period_ns;
        let mut watch = self.groups.remove(group).unwrap_or_else(|| Watch::new(first_ns));
        watch.arm(suspicion, now, first_ns);
        self.groups.insert(group.into(), watch);
        self.armed += 1;
        Some(Change::Arm(group.into()))
    }

    /// The group cannot be watched, or is gone; it is not tried again soon.
    pub fn failed(&mut self, group: &str, now: Time) {
        if let Some(watch) = self.groups.get_mut(group)
            && watch.until.take().is_some()
        {
            watch.rest_until = now + REST * watch.period_ns;
            watch.tried = Suspicion::ALL.into();
            self.armed -= 1;
        }
    }

    /// Time passed: gives the groups that were quiet for long enough.
    pub fn quiet(&mut self, now: Time) -> Vec<Change> {
        if self.armed == 0 {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for (group, watch) in &mut self.groups {
            if let Some(until) = watch.until.take_if(|until| now >= *until) {
                watch.rest_until = if watch.was_fruitful { until } else { until + REST * watch.period_ns };
                self.armed -= 1;
                changes.push(Change::Disarm(group.clone()));
            }
        }
        changes
    }

    /// Makes room by forgetting those whose rest is over; all that rest, if that is not enough.
    fn forget_some(&mut self, now: Time) {
        if self.groups.len() >= MAX_REMEMBERED {
            self.groups.retain(|_, watch| watch.until.is_some() || now < watch.rest_until);
        }
        if self.groups.len() >= MAX_REMEMBERED {
            self.groups.retain(|_, watch| watch.until.is_some());
        }
    }
}

impl Watch {
    /// Not armed yet.
    fn new(first_ns: u64) -> Self {
        Self {
            until: None,
            rest_until: Time::default(),
            tried: Vec::new(),
            period_ns: first_ns,
            was_fruitful: true,
        }
    }

    fn rests(&self, suspicion: Suspicion, now: Time) -> bool {
        now < self.rest_until && self.tried.contains(&suspicion)
    }

    /// What failed with a hello was caught in time; for anything else it takes longer, each time that it comes again.
    fn arm(&mut self, suspicion: Suspicion, now: Time, first_ns: u64) {
        if self.was_fruitful {
            self.tried.clear();
        }
        if !self.tried.contains(&suspicion) {
            self.tried.push(suspicion);
        } else if !self.was_fruitful {
            self.period_ns = self.period_ns.saturating_mul(2).min(first_ns.saturating_mul(LONGEST_PERIOD));
        }
        self.until = Some(now + self.period_ns);
        self.was_fruitful = false;
    }

    /// A mesh hello failed; that counts as long as the group is watched.
    fn bore_fruit(&mut self, now: Time) {
        if let Some(until) = &mut self.until {
            self.was_fruitful = true;
            *until = now + self.period_ns;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Arming, Change, FIRST_PERIOD, LONGEST_PERIOD, MAX_REMEMBERED, REST};
    use crate::{
        event::time::{SECOND_NS, Time},
        suspicion::Sign,
        update::suspicion::Suspicion,
    };

    const POD: &str = "/kubepods/pod1";
    const UNANSWERED: Sign = Sign::Numbers(Suspicion::Unanswered);
    const MINUTE: Duration = Duration::from_mins(1);

    fn at(seconds: u64) -> Time {
        Time(seconds * SECOND_NS)
    }

    fn is_armed_now(arming: &mut Arming, now: u64) -> bool {
        match arming.suspect(POD, at(now), UNANSWERED) {
            Some(Change::Arm(group)) => &*group == POD,
            _ => false,
        }
    }

    fn disarm() -> Vec<Change> {
        vec![Change::Disarm(POD.into())]
    }

    #[test]
    fn a_suspect_is_watched_until_it_was_quiet_for_a_period() {
        let mut arming = Arming::new(8, MINUTE);
        assert!(is_armed_now(&mut arming, 0));
        assert_eq!(arming.suspect(POD, at(10), Sign::Hello), None, "it is watched already");
        assert_eq!(arming.quiet(at(69)), []);
        assert_eq!(arming.quiet(at(70)), disarm(), "a minute after the last failing hello");
        assert_eq!(arming.armed(), 0);
        assert!(is_armed_now(&mut arming, 71), "a fruitful period needs no rest");
        assert_eq!(arming.quiet(at(131)), disarm(), "and the next one is no longer");
    }

    #[test]
    fn what_shows_no_hello_rests_and_is_watched_longer_the_next_time() {
        let mut arming = Arming::new(8, MINUTE);
        let (mut now, mut period) = (0, 60);
        for _ in 0..6 {
            assert!(is_armed_now(&mut arming, now));
            assert!(!is_armed_now(&mut arming, now + period - 1), "watched already");
            assert_eq!(arming.quiet(at(now + period - 1)), []);
            assert_eq!(
                arming.quiet(at(now + period)),
                disarm(),
                "nothing was seen whole: no reason to go on"
            );
            assert!(!is_armed_now(&mut arming, now + (1 + REST) * period - 1), "it rests");
            now += (1 + REST) * period;
            period = (2 * period).min(LONGEST_PERIOD * 60);
        }
        assert_eq!(period, LONGEST_PERIOD * 60);
    }

    #[test]
    fn a_container_that_is_started_every_five_minutes_is_caught_at_its_second_attempt() {
        let mut arming = Arming::new(8, FIRST_PERIOD);
        assert!(is_armed_now(&mut arming, 0));
        assert_eq!(arming.quiet(at(300)), [], "still armed for it");
    }

    #[test]
    fn what_was_watched_in_vain_does_not_hide_something_else() {
        let mut arming = Arming::new(8, MINUTE);
        let cut_short = Sign::Numbers(Suspicion::CutShort);
        let is_armed = |arming: &mut Arming, sign, now| arming.suspect(POD, at(now), sign).is_some();
        assert!(is_armed(&mut arming, cut_short, 0));
        assert_eq!(arming.quiet(at(60)), disarm());
        assert!(!is_armed(&mut arming, cut_short, 70), "it rests");
        assert!(is_armed(&mut arming, UNANSWERED, 80), "something else");
        assert_eq!(arming.quiet(at(139)), []);
        assert_eq!(arming.quiet(at(140)), disarm(), "for as long as the first time");
        for sign in [cut_short, UNANSWERED] {
            assert!(!is_armed(&mut arming, sign, 140 + REST * 60 - 1), "both rest");
        }
        assert!(is_armed(&mut arming, cut_short, 140 + REST * 60));
    }

    #[test]
    fn what_fails_more_seldom_is_caught_in_the_end() {
        let mut arming = Arming::new(8, MINUTE);
        let mut was_armed = false;
        let caught = (0..20).find(|attempt| {
            was_armed &= arming.quiet(at(attempt * 300)).is_empty();
            let is_caught = was_armed;
            was_armed |= is_armed_now(&mut arming, attempt * 300);
            is_caught
        });
        assert!(caught.is_some_and(|attempt| attempt <= 8), "{caught:?}");
    }

    #[test]
    fn no_more_than_the_limit_are_watched_and_those_passed_over_are_counted() {
        let mut arming = Arming::new(2, MINUTE);
        assert!(arming.suspect("/a", at(0), UNANSWERED).is_some());
        assert!(arming.suspect("/b", at(0), UNANSWERED).is_some());
        assert_eq!(arming.suspect("/c", at(0), UNANSWERED), None);
        assert_eq!((arming.armed(), arming.passed_over()), (2, 1));
        arming.failed("/a", at(1));
        assert!(arming.suspect("/c", at(1), UNANSWERED).is_some());
        assert_eq!(arming.suspect("/a", at(2), UNANSWERED), None, "it could not be watched just now");
    }

    #[test]
    fn memory_is_bounded() {
        let mut arming = Arming::new(1, MINUTE);
        for number in 0..3 * MAX_REMEMBERED as u64 {
            arming.suspect(&format!("/{number}"), at(number), UNANSWERED);
            arming.failed(&format!("/{number}"), at(number));
        }
        assert!(arming.groups.len() <= MAX_REMEMBERED);
        assert_eq!(arming.armed(), 0);
    }
}
