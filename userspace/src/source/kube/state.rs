//! How the API is: what each watch has told of and when, what was asked for and what came back; for metrics and readiness.
//! Knows no object.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use crate::{
    event::cluster::LookupFailure,
    source::kube::{
        kind::{Entries, Kind as _, Pods, Policies, Rules, Services, Slices, Workloads},
        request::Request,
    },
};

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Watch {
    Pods,
    Services,
    Slices,
    Rules,
    Policies,
    Entries,
    Workloads,
}

impl Watch {
    pub(super) const ALL: [Self; 7] = [
        Self::Pods,
        Self::Services,
        Self::Slices,
        Self::Rules,
        Self::Policies,
        Self::Entries,
        Self::Workloads,
    ];

    /// Of Istio's own objects, which not every cluster has.
    pub(super) const ISTIO: [Self; 4] = [Self::Rules, Self::Policies, Self::Entries, Self::Workloads];

    /// The name of its kind in paths.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Pods => Pods::PLURAL,
            Self::Services => Services::PLURAL,
            Self::Slices => Slices::PLURAL,
            Self::Rules => Rules::PLURAL,
            Self::Policies => Policies::PLURAL,
            Self::Entries => Entries::PLURAL,
            Self::Workloads => Workloads::PLURAL,
        }
    }

    fn of(plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|watch| watch.plural() == plural)
    }
}

/// How the API is at a moment.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Each watch.
    pub watches: Vec<WatchState>,
    /// Requests that were answered, and those that failed.
    pub requests: Vec<RequestCount>,
    /// Bytes of answers, without headers and TLS.
    pub received_bytes: u64,
    /// What became of lookups, by result.
    pub lookups: Vec<(LookupResult, u64)>,
    /// Objects that are kept because something was looked up.
    pub kept: usize,
}

impl State {
    /// Everything was listed once, or cannot be.
    pub fn is_ready(&self) -> bool {
        self.watches.iter().all(|watch| {
            watch.was_listed || matches!(watch.condition, Condition::Absent | Condition::Forbidden)
        })
    }
}

/// How a watch is.
#[derive(Clone, Debug)]
pub struct WatchState {
    /// The kind as paths have it: `endpointslices`.
    pub kind: &'static str,
    /// How it is.
    pub condition: Condition,
    /// All of its objects were listed once.
    pub was_listed: bool,
    /// Since something was last heard of it, be it that nothing has changed; none before.
    pub age: Option<Duration>,
    /// Objects that it has told of.
    pub objects: usize,
    /// Objects that were left out: they could not be read, or were too many.
    pub left_out: u64,
    /// What failed last, for people; none while nothing fails.
    pub error: Option<Box<str>>,
}

/// How a watch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Its objects are still to be listed.
    #[default]
    Listing,
    /// Its objects were listed, and changes are told of.
    Listed,
    /// The cluster has no objects of this kind.
    Absent,
    /// The API server does not allow it (RBAC).
    Forbidden,
    /// It does not work at the moment: what is known may be old.
    Failing,
}

impl Condition {
    /// Every condition.
    pub const ALL: [Self; 5] = [Self::Listing, Self::Listed, Self::Absent, Self::Forbidden, Self::Failing];

    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Listed => "listed",
            Self::Absent => "absent",
            Self::Forbidden => "forbidden",
            Self::Failing => "failing",
        }
    }
}

/// How often a request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestCount {
    /// `get`, `list`, `watch`, `create`, `patch` …
    pub verb: &'static str,
    /// The kind as paths have it; `apis` for what the server tells of itself.
    pub resource: &'static str,
    /// HTTP status; 0 where none came.
    pub code: u16,
    /// How often.
    pub count: u64,
}

/// What became of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookupResult {
    /// Something was found.
    Found,
    /// There is nothing.
    Nothing,
    /// It was looked up not long before.
    Known,
    /// It failed.
    Failed(LookupFailure),
}

impl LookupResult {
    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Nothing => "nothing",
            Self::Known => "known",
            Self::Failed(LookupFailure::Unreachable) => "unreachable",
            Self::Failed(LookupFailure::Forbidden) => "forbidden",
            Self::Failed(LookupFailure::Refused) => "refused",
            Self::Failed(LookupFailure::RateLimited) => "rate_limited",
        }
    }
}

/// Where all of it is written down, from several threads.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<Written>);

#[derive(Debug, Default)]
struct Written {
    watches: FxHashMap<Watch, WatchWritten>,
    requests: FxHashMap<(Request, u16), u64>,
    received_bytes: u64,
    lookups: FxHashMap<LookupResult, u64>,
    kept: usize,
}

#[derive(Debug, Default)]
struct WatchWritten {
    condition: Condition,
    was_listed: bool,
    heard: Option<Instant>,
    objects: usize,
    refused: u64,
    unreadable: u64,
    error: Option<Box<str>>,
}

impl Board {
    /// Nothing panics while it holds the lock, and the numbers would still be of use if something did.
    fn written(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All objects of the watch were listed.
    pub(super) fn listed(&self, watch: Watch) {
        let mut written = self.written();
        let of = written.watches.entry(watch).or_default();
        (of.condition, of.was_listed, of.error) = (Condition::Listed, true, None);
        of.heard = Some(Instant::now());
    }

    /// The watch does not work, and why.
    pub(super) fn failed(&self, watch: Watch, condition: Condition, error: Option<Box<str>>) {
        let mut written = self.written();
        let of = written.watches.entry(watch).or_default();
        (of.condition, of.error) = (condition, error);
    }

    /// An object of the watch could not be read.
    pub(super) fn unreadable(&self, watch: Watch) {
        self.written().watches.entry(watch).or_default().unreadable += 1;
    }

    /// So many objects of the watch are known, and so many were too many.
    pub(super) fn objects(&self, watch: Watch, known: usize, refused: u64) {
        let mut written = self.written();
        let of = written.watches.entry(watch).or_default();
        (of.objects, of.refused) = (known, refused);
    }

    /// A request was answered with this status; 0 for none.
    pub(super) fn answered(&self, request: Request, code: u16) {
        let mut written = self.written();
        *written.requests.entry((request, code)).or_default() += 1;
        if let Some(watch) = request.watched().and_then(Watch::of)
            && code == 200
        {
            // One that failed goes on from here, and need not have anything to tell.
            let of = written.watches.entry(watch).or_default();
            if of.was_listed && of.condition == Condition::Failing {
                (of.condition, of.error) = (Condition::Listed, None);
            }
            of.heard = Some(Instant::now());
        }
    }

    /// A part of an answer came.
    pub(super) fn received(&self, request: Request, bytes: usize) {
        let mut written = self.written();
        written.received_bytes += u64::try_from(bytes).unwrap_or_default();
        if let Some(watch) = request.watched().and_then(Watch::of) {
            written.watches.entry(watch).or_default().heard = Some(Instant::now());
        }
    }

    /// A lookup is over.
    pub(super) fn looked_up(&self, result: LookupResult) {
        *self.written().lookups.entry(result).or_default() += 1;
    }

    /// So many objects are kept because something was looked up.
    pub(super) fn kept(&self, objects: usize) {
        self.written().kept = objects;
    }

    /// How it is now.
    pub(super) fn state(&self) -> State {
        let written = self.written();
        let absent = WatchWritten::default();
        let watches = Watch::ALL.map(|watch| {
            let of = written.watches.get(&watch).unwrap_or(&absent);
            WatchState {
                kind: watch.plural(),
                condition: of.condition,
                was_listed: of.was_listed,
                age: of.heard.map(|heard| heard.elapsed()),
                objects: of.objects,
                left_out: of.refused + of.unreadable,
                error: of.error.clone(),
            }
        });
        let requests = written.requests.iter().map(|((request, code), count)| RequestCount {
            verb: request.verb,
            resource: request.resource,
            code: *code,
            count: *count,
        });
        let mut requests: Vec<RequestCount> = requests.collect();
        let mut lookups: Vec<_> = written.lookups.iter().map(|(result, count)| (*result, *count)).collect();
        requests.sort_by_key(|one| (one.resource, one.verb, one.code));
        lookups.sort_by_key(|(result, _)| result.name());
        State {
            watches: watches.into(),
            requests,
            received_bytes: written.received_bytes,
            lookups,
            kept: written.kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Board, Condition, Watch};
    use crate::source::kube::request::Request;

    const WATCHED: Request = Request { verb: "watch", resource: "pods" };

    fn condition(board: &Board) -> Condition {
        board.state().watches.iter().find(|watch| watch.kind == "pods").unwrap().condition
    }

    #[test]
    fn it_is_ready_when_every_watch_was_listed_or_cannot_be() {
        let board = Board::default();
        for watch in Watch::ALL {
            assert!(!board.state().is_ready(), "before {watch:?}");
            match watch {
                Watch::Rules => board.failed(watch, Condition::Absent, None),
                Watch::Policies => board.failed(watch, Condition::Forbidden, Some("RBAC".into())),
                _ => board.listed(watch),
            }
        }
        assert!(board.state().is_ready());
        board.failed(Watch::Pods, Condition::Failing, Some("gone".into()));
        assert!(board.state().is_ready(), "what was listed once stays of use");
    }

    #[test]
    fn a_watch_that_is_answered_again_fails_no_more() {
        let board = Board::default();
        board.failed(Watch::Pods, Condition::Failing, Some("down".into()));
        board.answered(WATCHED, 200);
        assert_eq!(condition(&board), Condition::Failing, "nothing was listed yet");
        board.listed(Watch::Pods);
        board.failed(Watch::Pods, Condition::Failing, Some("down".into()));
        board.answered(WATCHED, 503);
        assert_eq!(condition(&board), Condition::Failing);
        board.answered(WATCHED, 200);
        assert_eq!(condition(&board), Condition::Listed);
    }

    #[test]
    fn every_byte_of_a_watch_is_news() {
        let board = Board::default();
        board.received(Request { verb: "list", resource: "pods" }, 7);
        assert!(board.state().watches.iter().all(|watch| watch.age.is_none()), "lookups list pods too");
        board.received(WATCHED, 5);
        let state = board.state();
        let heard: Vec<&str> =
            state.watches.iter().filter(|watch| watch.age.is_some()).map(|watch| watch.kind).collect();
        assert_eq!((heard, state.received_bytes), (vec!["pods"], 12));
    }
}
