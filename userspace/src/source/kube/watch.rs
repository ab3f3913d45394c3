//! Watches one kind for as long as the agent runs: lists, follows, and begins anew where it must, whatever the server does.
//! Knows no fact.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use futures::{Stream, StreamExt as _};
use kube::{
    Api, Client, Error as ClientError,
    api::ApiResource,
    core::Status,
    runtime::{
        utils::Backoff as _,
        watcher::{self, Config, DefaultBackoff, Error, Event, InitialListStrategy},
    },
};
use tokio::{
    sync::mpsc::Sender,
    time::{sleep, timeout},
};

use crate::source::kube::{
    book::Mesh,
    kind::{Arrived, Fact, Key, Kind},
    state::{Board, Condition, Watch},
};

/// A list is given up when nothing of it comes for so long: as long as a server takes for a request at most
/// (`--request-timeout` of kube-apiserver). One before 1.27 tells all objects of a list that is asked for as a watch, and not its end.
const LIST_PATIENCE: Duration = Duration::from_mins(1);

/// A list that comes as a watch and is cut short more often is asked for in pages, which are kept.
const MOST_CUT_SHORT: u32 = 3;

/// What a watch tells.
#[derive(Debug)]
pub(super) enum News {
    /// A list begins.
    Began,
    /// An object is there.
    Is { key: Key, version: Box<str>, fact: Option<Box<Fact>> },
    /// An object is gone.
    Gone(Key),
    /// The list is complete.
    Listed,
    /// The cluster has no such kind any more, nor objects of it.
    Absent,
    /// The cluster has the kind after all.
    Present,
}

/// What is watched, and who is told.
pub(super) struct Watched {
    pub(super) watch: Watch,
    pub(super) resource: ApiResource,
    pub(super) config: Config,
    pub(super) client: Client,
    pub(super) board: Arc<Board>,
    pub(super) news: Sender<Heard>,
    /// What is forbidden is asked for again after so long: RBAC changes rarely, and every node asks.
    pub(super) forbidden_pause: Duration,
}

/// What is told by whoever asks the API on its own.
#[derive(Debug)]
pub(super) enum Heard {
    /// By a watch.
    Watch(Watch, News),
    /// By who looks at the mesh.
    Mesh(Mesh),
}

/// How a watch goes on after an error.
#[derive(Debug, PartialEq, Eq)]
enum After {
    /// Where it was, after a pause.
    Resume,
    /// From a new list, after a pause.
    Relist,
    /// The same, but not from one that comes as a watch.
    Page,
    /// From a new list, after a long pause.
    Wait,
    /// Not at all: there is no such kind.
    End,
}

impl Watched {
    /// Returns when the kind is gone, or nobody wants to know any more.
    pub(super) async fn run<K: Kind>(&self) {
        let mut backoff = DefaultBackoff::default();
        // A list that comes as a watch, object by object, costs the server least (it has them in its cache) and us too: no
        // answer is large.
        let mut config = self.config.clone().streaming_lists();
        loop {
            match self.follow::<K>(&config, &mut backoff).await {
                After::Relist => self.pause(&mut backoff).await,
                After::Page => {
                    self.pause(&mut backoff).await;
                    config = self.config.clone();
                }
                After::Wait => sleep(self.forbidden_pause).await,
                After::Resume | After::End => break,
            }
        }
        self.tell(News::Absent).await;
    }

    /// Lists and follows until it must begin anew.
    async fn follow<K: Kind>(&self, config: &Config, backoff: &mut DefaultBackoff) -> After {
        let api = Api::<Arrived<K>>::all_with(self.client.clone(), &self.resource);
        let mut stream = pin!(watcher::watcher(api, config.clone()));
        let is_streaming = config.initial_list_strategy == InitialListStrategy::StreamingList;
        let mut is_listing = true;
        // Lists that were begun since one was complete.
        let mut begun = 0;
        loop {
            let event = match self.next(stream.as_mut(), is_listing).await {
                Ok(event) => event,
                Err(After::Resume) => {
                    self.pause(backoff).await;
                    continue;
                }
                Err(after) => return after,
            };
            is_listing = match &event {
                Event::Init => {
                    begun += 1;
                    true
                }
                Event::InitApply(_) => true,
                Event::InitDone | Event::Apply(_) | Event::Delete(_) => false,
            };
            // The library's own way of pausing begins anew with each `Init`, which comes before each list that fails.
            if !is_listing {
                backoff.reset();
                begun = 0;
            }
            // It has no pause at all for a list that is cut short as a watch.
            if is_streaming && begun > 1 && matches!(event, Event::Init) {
                if begun > MOST_CUT_SHORT {
                    return After::Page;
                }
                self.pause(backoff).await;
            }
            if !self.tell(self.news(event)).await {
                return After::End;
            }
        }
    }

    /// The next event, or how to go on without.
    async fn next<K>(
        &self,
        mut stream: Pin<&mut impl Stream<Item = Result<Event<Arrived<K>>, Error>>>,
        is_listing: bool,
    ) -> Result<Event<Arrived<K>>, After> {
        let patience = if is_listing { LIST_PATIENCE } else { Duration::MAX };
        match timeout(patience, stream.next()).await {
            Ok(Some(Ok(event))) => Ok(event),
            Ok(Some(Err(error))) => Err(self.fail(&error)),
            Ok(None) => Err(After::Relist),
            Err(_elapsed) => {
                let silence = format!("no answer within {} s", patience.as_secs());
                self.board.failed(self.watch, Condition::Failing, Some(silence.into()));
                Err(After::Page)
            }
        }
    }

    async fn pause(&self, backoff: &mut DefaultBackoff) {
        sleep(backoff.next().unwrap_or(self.forbidden_pause)).await;
    }

    fn news<K>(&self, event: Event<Arrived<K>>) -> News {
        match event {
            Event::Init => News::Began,
            Event::InitDone => {
                self.board.listed(self.watch);
                News::Listed
            }
            Event::Delete(arrived) => News::Gone(arrived.key()),
            Event::Apply(arrived) | Event::InitApply(arrived) => {
                let (key, version) = (arrived.key(), arrived.version().into());
                if arrived.fact.is_err() {
                    self.board.unreadable(self.watch);
                }
                News::Is { key, version, fact: arrived.fact.ok().map(Box::new) }
            }
        }
    }

    /// False when nobody wants to know any more.
    async fn tell(&self, news: News) -> bool {
        self.news.send(Heard::Watch(self.watch, news)).await.is_ok()
    }

    /// Says what failed, and how to go on.
    fn fail(&self, error: &Error) -> After {
        let after = after(error);
        let condition = match after {
            After::Resume | After::Relist | After::Page => Condition::Failing,
            After::Wait => Condition::Forbidden,
            After::End => Condition::Absent,
        };
        self.board.failed(self.watch, condition, Some(describe(error).into()));
        after
    }
}

fn after(error: &Error) -> After {
    match status(error) {
        Some(status) if status.is_forbidden() => After::Wait,
        // The library lists again by itself after an expired version within a watch, and is stuck with one instead of a watch.
        Some(Status { code: 410, .. }) => After::Relist,
        Some(Status { code: 404, .. }) => After::End,
        // Servers without the feature gate WatchList.
        Some(Status { code: 400 | 422, .. }) => After::Page,
        _ => After::Resume,
    }
}

fn status(error: &Error) -> Option<&Status> {
    match error {
        Error::InitialListFailed(ClientError::Api(status))
        | Error::WatchStartFailed(ClientError::Api(status))
        | Error::WatchFailed(ClientError::Api(status))
        | Error::WatchError(status) => Some(status),
        _ => None,
    }
}

/// What failed: the first cause says it, what is around it does not.
pub(super) fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use kube::{Error as ClientError, core::Status, runtime::watcher::Error};

    use super::{After, after, describe};

    fn refusal(code: u16, reason: &str) -> Box<Status> {
        Status::failure("because", reason).with_code(code).boxed()
    }

    #[test]
    fn errors_say_how_to_go_on() {
        for (code, reason, expected) in [
            (401, "Unauthorized", After::Resume),
            (403, "Forbidden", After::Wait),
            (400, "BadRequest", After::Page),
            (404, "NotFound", After::End),
            (404, "Failed to parse error data", After::End),
            (410, "Expired", After::Relist),
            (422, "Invalid", After::Page),
            (429, "TooManyRequests", After::Resume),
            (500, "InternalError", After::Resume),
            (504, "Timeout", After::Resume),
        ] {
            let listing = Error::InitialListFailed(ClientError::Api(refusal(code, reason)));
            assert_eq!(after(&listing), expected, "list {code}");
            let starting = Error::WatchStartFailed(ClientError::Api(refusal(code, reason)));
            assert_eq!(after(&starting), expected, "watch {code}");
            assert_eq!(after(&Error::WatchError(refusal(code, reason))), expected, "event {code}");
        }
        assert_eq!(after(&Error::NoResourceVersion), After::Resume);
    }

    #[test]
    fn the_first_cause_is_told() {
        let error = Error::InitialListFailed(ClientError::Service("connection refused".into()));
        assert_eq!(describe(&error), "connection refused");
    }
}
