//! Posts announcements as Kubernetes Events, one after the other, on a runtime that is given; must not know findings. Never
//! blocks who hands them over.

mod exchange;
mod failure;
mod object;
pub mod state;

use std::{
    sync::{Arc, mpsc as blocking},
    time::Duration,
};

use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    notice,
    sink::kube_events::{
        announcement::Announcement,
        poster::{
            exchange::{Answer, Ask, Exchange, Next, Posted},
            failure::Failure,
            state::{Outcome, PosterState, Tally},
        },
    },
};

/// Announcements that wait to be posted. The others stay with who announces, where newer ones take their place.
const QUEUE: usize = 4;

/// As many may wait when no more are to come.
const LAST_QUEUE: usize = 64;

/// An API server that has not answered after this long is asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The pause before it is asked again; the next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// No own pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An announcement is tried this often: for two minutes at least.
const TRIES: u32 = 9;

/// Posts Events.
#[derive(Debug)]
pub struct Poster {
    queue: mpsc::Sender<Announcement>,
    tally: Arc<Tally>,
    task: JoinHandle<()>,
    /// Nothing is ever sent: it ends with the task.
    over: blocking::Receiver<()>,
    taken: u64,
}

impl Poster {
    /// Posts as the agent of this node.
    pub fn start(client: Client, runtime: &Handle, node: &str) -> Self {
        let (queue, waiting) = mpsc::channel(LAST_QUEUE);
        let (ends, over) = blocking::channel();
        let tally = Arc::new(Tally::default());
        let writer = Writer { client, node: node.into(), tally: Arc::clone(&tally), has_failed: false };
        let task = runtime.spawn(async move {
            writer.write(waiting).await;
            drop(ends);
        });
        Self { queue, tally, task, over, taken: 0 }
    }

    /// Another announcement is taken now.
    pub fn has_room(&self) -> bool {
        self.queue.max_capacity() - self.queue.capacity() < QUEUE
    }

    /// Takes an announcement to post; one for which there is no room is dropped and counted.
    pub fn post(&mut self, announcement: Announcement) {
        match self.queue.try_send(announcement) {
            Ok(()) => self.taken += 1,
            Err(_) => self.tally.count(Outcome::Dropped),
        }
    }

    /// What came of announcements so far.
    pub fn state(&self) -> PosterState {
        self.tally.state()
    }

    /// Posts what it has taken and the last ones, for as long as the patience lasts. What is left then is dropped and counted.
    ///
    /// It blocks: not to be called by the thread that runs the runtime.
    pub fn finish(mut self, last: impl IntoIterator<Item = Announcement>, patience: Duration) -> PosterState {
        last.into_iter().for_each(|announcement| self.post(announcement));
        let Self { queue, tally, task, over, taken } = self;
        drop(queue);
        if let Err(blocking::RecvTimeoutError::Timeout) = over.recv_timeout(patience) {
            task.abort();
        }
        let state = tally.state();
        let is_told = |outcome: &Outcome| *outcome != Outcome::Dropped;
        let told: u64 = Outcome::ALL.into_iter().filter(is_told).map(|outcome| state.of(outcome)).sum();
        state.with(Outcome::Dropped, taken.saturating_sub(told))
    }
}

/// The other end of the queue.
struct Writer {
    client: Client,
    node: Box<str>,
    tally: Arc<Tally>,
    /// The last announcement came to nothing, which was said.
    has_failed: bool,
}

impl Writer {
    async fn write(mut self, mut waiting: mpsc::Receiver<Announcement>) {
        while let Some(announcement) = waiting.recv().await {
            let outcome = self.announce(&announcement).await;
            self.tally.count(outcome);
        }
    }

    async fn announce(&mut self, announcement: &Announcement) -> Outcome {
        let (mut exchange, mut ask) = Exchange::begin(announcement);
        loop {
            let answer = match self.answer(announcement, &ask).await {
                Ok(answer) => answer,
                Err(failure) => return self.failed(announcement, &failure),
            };
            match exchange.answered(&ask, &answer) {
                Next::Ask(next) => ask = next,
                Next::Over(posted) => return self.posted(posted),
            }
        }
    }

    /// Asks until there is an answer that says something, within bounds.
    async fn answer(&self, announcement: &Announcement, ask: &Ask) -> Result<Answer, Failure> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            match self.asked(announcement, ask).await {
                Err(Failure::NotNow { pause: asked, .. }) if tries < TRIES => {
                    sleep(pause.max(asked)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    tries += 1;
                }
                told => return told,
            }
        }
    }

    async fn asked(&self, announcement: &Announcement, ask: &Ask) -> Result<Answer, Failure> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &announcement.regarding.namespace);
        let (name, parameters) = (&announcement.name, PatchParams::default());
        let answered = timeout(ANSWER_WITHIN, async {
            match ask {
                Ask::Create => {
                    events.create(&PostParams::default(), &object::event(announcement, &self.node)).await
                }
                Ask::Read => events.patch(name, &parameters, &Patch::Merge(object::nothing())).await,
                Ask::Renew { version, series } => {
                    let patch = Patch::Merge(object::renewal(version, *series));
                    events.patch(name, &parameters, &patch).await
                }
            }
        });
        match answered.await {
            Ok(Ok(event)) => Ok(Answer::Done(object::standing(&event))),
            Ok(Err(error)) => failure::meaning(&error),
            Err(_) => Err(Failure::timeout()),
        }
    }

    fn posted(&mut self, posted: Posted) -> Outcome {
        if std::mem::take(&mut self.has_failed) {
            notice::say("Kubernetes Events are posted again");
        }
        match posted {
            Posted::Created => Outcome::Created,
            Posted::Renewed => Outcome::Renewed,
            Posted::Unchanged => Outcome::Unchanged,
        }
    }

    /// Says the first of several failures; they are all counted.
    fn failed(&mut self, announcement: &Announcement, failure: &Failure) -> Outcome {
        let is_first = !std::mem::replace(&mut self.has_failed, true);
        let namespace = &announcement.regarding.namespace;
        let (outcome, why, mend) = match failure {
            Failure::Forbidden(why) => (
                Outcome::Forbidden,
                why,
                "allow `create` and `patch` of `events` in `events.k8s.io`, or turn Events off",
            ),
            Failure::Refused(why) => {
                (Outcome::Refused, why, "nothing is to be done if the namespace is being deleted")
            }
            Failure::NotNow { why, .. } => {
                (Outcome::Unanswered, why, "look whether the API server is reached from this node")
            }
        };
        if is_first {
            notice::warn(format_args!(
                "cannot post a Kubernetes Event in namespace {namespace}: {why}; {mend}. Findings are still written, and further \
                 failures are counted in mtlsnoop_announcements_total"
            ));
        }
        outcome
    }
}
