//! Findings as Kubernetes Events on the pods and the Service that they are about; must not know sources, nor how the API is reached.
//!
//! One incident is one Event for each object, however often it fails, and whichever agents see it: see `about` for its name,
//! `announcer` for when it is told, `poster::exchange` for what becomes of the counts. It needs the right to `create` and `patch` `events` in
//! `events.k8s.io`, and no other.

mod about;
pub mod announcement;
pub mod announcer;
mod note;
mod pace;
pub mod poster;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use std::{io, time::Duration};

use tokio::runtime::Handle;

use crate::{
    event::time::Time,
    sink::{
        Accounting, Sink,
        kube_events::{
            announcer::{Announcer, Settings},
            poster::{
                Poster,
                state::{Outcome, PosterState},
            },
        },
    },
    update::Update,
};

/// Tells the cluster what was found.
#[derive(Debug)]
pub struct KubeEvents {
    announcer: Announcer,
    poster: Poster,
}

impl KubeEvents {
    /// Nothing was found yet. Events are posted on that runtime.
    pub fn start(settings: Settings, client: kube::Client, runtime: &Handle) -> Self {
        let poster = Poster::start(client, runtime, &settings.node);
        Self { announcer: Announcer::new(settings), poster }
    }

    /// Hands on what may go out now. Never blocks; to be called again and again. `step_ns` is how far the calendar was stepped
    /// since the time of updates began: the cluster's time is that of calendars.
    pub fn pump(&mut self, now: Time, step_ns: i64) {
        while self.poster.has_room() {
            let Some(announcement) = self.announcer.next(now) else { break };
            self.poster.post(announcement.moved(step_ns));
        }
    }

    /// What came of announcements so far.
    pub fn state(&self) -> PosterState {
        self.poster.state().with(Outcome::Dropped, self.announcer.dropped())
    }

    /// Posts the last counts, for as long as the patience lasts. It blocks: not to be called by the thread that runs the
    /// runtime on which Events are posted.
    pub fn finish(self, now: Time, step_ns: i64, patience: Duration) -> PosterState {
        let Self { mut announcer, poster } = self;
        announcer.hurry(now);
        let last = std::iter::from_fn(|| announcer.next(now)).map(|announcement| announcement.moved(step_ns));
        let state = poster.finish(last, patience);
        state.with(Outcome::Dropped, announcer.dropped() + announcer.waiting())
    }
}

impl Sink for KubeEvents {
    fn update(&mut self, update: &Update) -> io::Result<()> {
        self.announcer.update(update);
        Ok(())
    }

    fn account(&mut self, _: &Accounting) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
