//! What to ask the API for next, so that one announcement becomes one Event whoever else tells of the same; must not know how it
//! is asked. Pure.
//!
//! The agents of both ends, and one that was restarted, have the same Event. What counts is not added up, because both ends
//! see the same attempts: it is the most that one of them saw, or one more than the Event has, where an attempt is later than
//! the Event's last. So the number is never higher than what happened. An Event is read by a patch that changes nothing, so that no
//! right is needed but to create and to patch; it is written only as it was read (`resourceVersion`), else read again.

use crate::{
    event::time::{MILLISECOND_NS, SECOND_NS, Time},
    sink::kube_events::announcement::Announcement,
};

/// Clocks of two nodes, and two views of one attempt, may be apart so far.
const SAME_MOMENT_NS: u64 = 500 * MILLISECOND_NS;

/// An Event that somebody renewed so short a time ago is left as it is: it will be renewed again.
const FRESH_NS: u64 = 30 * SECOND_NS;

/// One announcement never takes more requests than this, but for those that were not answered.
const MOST_ASKED: u32 = 6;

/// A request about the Event of an announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Make it.
    Create,
    /// What does it say?
    Read,
    /// Let it say this.
    Renew { version: Box<str>, series: Series },
}

/// How often, and when for the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Series {
    pub(super) count: u64,
    pub(super) last_seen: Time,
}

/// What the Event says as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) version: Box<str>,
    pub(super) series: Series,
}

/// An answer that decides what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was done, and this is what the Event says now.
    Done(Standing),
    /// It is there already.
    Exists,
    /// It is not there.
    Absent,
    /// It is not any more what it was when it was read.
    Conflict,
}

/// What came of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Posted {
    /// There is a new Event.
    Created,
    /// The Event says more than before.
    Renewed,
    /// The Event says as much already.
    Unchanged,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This request.
    Ask(Ask),
    /// Nothing: it is over.
    Over(Posted),
}

/// The requests for one announcement.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    announcement: &'a Announcement,
    asked: u32,
}

impl<'a> Exchange<'a> {
    /// With its first request.
    pub(super) fn begin(announcement: &'a Announcement) -> (Self, Ask) {
        let ask = if announcement.is_new { Ask::Create } else { Ask::Read };
        (Self { announcement, asked: 1 }, ask)
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, ask: &Ask, answer: &Answer) -> Next {
        let ask = match (ask, answer) {
            (Ask::Create, Answer::Done(_)) => return Next::Over(Posted::Created),
            (Ask::Renew { .. }, Answer::Done(_)) => return Next::Over(Posted::Renewed),
            (Ask::Read, Answer::Done(standing)) => match renewal(self.announcement, standing) {
                Some(series) => Ask::Renew { version: standing.version.clone(), series },
                None => return Next::Over(Posted::Unchanged),
            },
            (_, Answer::Exists | Answer::Conflict) => Ask::Read,
            (_, Answer::Absent) => Ask::Create,
        };
        if self.asked == MOST_ASKED {
            // Others write it all the time: it is fresh.
            return Next::Over(Posted::Unchanged);
        }
        self.asked += 1;
        Next::Ask(ask)
    }
}

/// What an Event is to say that says this; none when it need not say more.
fn renewal(announcement: &Announcement, standing: &Standing) -> Option<Series> {
    /// The API takes no series of less (`validateV1EventSeries` in Kubernetes `pkg/apis/core/validation/events.go`).
    const LEAST_COUNT: u64 = 2;

    let Announcement { count, last_seen, is_final, .. } = *announcement;
    let before = standing.series;
    let ahead_ns = last_seen.since_ns(before.last_seen);
    let with_later = before.count.saturating_add(u64::from(ahead_ns > SAME_MOMENT_NS));
    let series = Series { count: count.max(with_later), last_seen: last_seen.max(before.last_seen) };
    let is_worth_it = ahead_ns >= FRESH_NS || (is_final && series.count > before.count);
    (is_worth_it && series.count >= LEAST_COUNT).then_some(series)
}

#[cfg(test)]
mod tests {
    use super::{Answer, Ask, Exchange, MOST_ASKED, Next, Posted, Series, Standing, renewal};
    use crate::{
        event::time::SECOND_NS,
        sink::kube_events::{announcement::Announcement, samples::BEGIN, samples::announcement},
    };

    fn said(count: u64, seconds: u64) -> Announcement {
        Announcement { count, last_seen: BEGIN + seconds * SECOND_NS, is_new: false, ..announcement() }
    }

    fn series(count: u64, seconds: u64) -> Series {
        Series { count, last_seen: BEGIN + seconds * SECOND_NS }
    }

    fn standing(count: u64, seconds: u64) -> Standing {
        Standing { version: "7".into(), series: series(count, seconds) }
    }

    fn renew(count: u64, seconds: u64) -> Ask {
        Ask::Renew { version: "7".into(), series: series(count, seconds) }
    }

    /// Plays the answers, and gives what was asked and what came of it.
    fn played(announcement: &Announcement, answers: Vec<Answer>) -> (Vec<Ask>, Option<Posted>) {
        let (mut exchange, mut ask) = Exchange::begin(announcement);
        let mut asked = vec![ask.clone()];
        for answer in answers {
            match exchange.answered(&ask, &answer) {
                Next::Over(posted) => return (asked, Some(posted)),
                Next::Ask(next) => {
                    asked.push(next.clone());
                    ask = next;
                }
            }
        }
        (asked, None)
    }

    #[test]
    fn each_story_has_its_requests_and_its_end() {
        let done = || Answer::Done(standing(1, 0));
        let new = Announcement { is_new: true, ..said(1, 0) };
        let restarted = Announcement { is_new: true, ..said(1, 300) };
        let later = said(37, 60);
        for (announcement, answers, asked, posted) in [
            (&new, vec![done()], vec![Ask::Create], Posted::Created),
            (&new, vec![Answer::Exists, done()], vec![Ask::Create, Ask::Read], Posted::Unchanged),
            (&later, vec![done(), done()], vec![Ask::Read, renew(37, 60)], Posted::Renewed),
            (&later, vec![Answer::Done(standing(40, 59))], vec![Ask::Read], Posted::Unchanged),
            (&later, vec![Answer::Absent, done()], vec![Ask::Read, Ask::Create], Posted::Created),
            (
                &later,
                vec![done(), Answer::Conflict, Answer::Done(standing(37, 60))],
                vec![Ask::Read, renew(37, 60), Ask::Read],
                Posted::Unchanged,
            ),
            (
                &later,
                vec![done(), Answer::Absent, Answer::Exists, Answer::Done(standing(37, 61))],
                vec![Ask::Read, renew(37, 60), Ask::Create, Ask::Read],
                Posted::Unchanged,
            ),
            (
                &restarted,
                vec![Answer::Exists, Answer::Done(standing(5000, 200)), done()],
                vec![Ask::Create, Ask::Read, renew(5001, 300)],
                Posted::Renewed,
            ),
        ] {
            assert_eq!(played(announcement, answers), (asked, Some(posted)), "{announcement:?}");
        }
    }

    #[test]
    fn who_always_comes_second_gives_up() {
        let answers = vec![vec![Answer::Done(standing(1, 0)), Answer::Conflict]; 10].concat();
        let (asked, posted) = played(&said(37, 60), answers);
        assert_eq!((asked.len(), posted), (usize::try_from(MOST_ASKED).unwrap(), Some(Posted::Unchanged)));
    }

    #[test]
    fn the_count_is_the_most_that_one_saw_and_never_too_high() {
        for (own, theirs, expected) in [
            // The other end saw the same.
            ((37, 60), (37, 60), None),
            ((37, 60), (1, 0), Some((37, 60))),
            // Later attempts than the Event's last: one more at least.
            ((1, 60), (5000, 0), Some((5001, 60))),
            ((1, 60), (1, 0), Some((2, 60))),
            // Renewed a moment ago.
            ((37, 60), (10, 40), None),
            ((37, 60), (10, 90), None),
            ((u64::MAX, 60), (u64::MAX, 0), Some((u64::MAX, 60))),
        ] {
            let found = renewal(&said(own.0, own.1), &standing(theirs.0, theirs.1));
            assert_eq!(found, expected.map(|(count, seconds)| series(count, seconds)), "{own:?} {theirs:?}");
        }
    }

    #[test]
    fn the_last_word_is_said_also_when_the_event_is_fresh() {
        let last = |count, seconds| Announcement { is_final: true, ..said(count, seconds) };
        for (own, theirs, expected) in [
            (last(37, 60), standing(30, 55), Some(series(37, 60))),
            (last(37, 60), standing(30, 65), Some(series(37, 65))),
            (last(37, 60), standing(37, 60), None),
            (last(1, 0), standing(1, 0), None),
        ] {
            assert_eq!(renewal(&own, &theirs), expected, "{own:?}");
        }
    }
}
