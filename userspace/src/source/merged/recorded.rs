//! Connecting ends that recordings tell of: captures of them show less, and are not told again; must not know captures.

use std::{net::SocketAddr, path::PathBuf};

use rustc_hash::FxHashMap;

use crate::{
    event::{
        Event,
        socket::State,
        time::{SECOND_NS, Time},
    },
    source::input::Input,
};

/// Recorded and captured on one node, a connect has the same time but for what its answer takes.
const SAME_NS: u64 = 5 * SECOND_NS;

/// Connecting ends by their two addresses, and when they were connected.
#[derive(Debug, Default)]
pub(super) struct Recorded(FxHashMap<(SocketAddr, SocketAddr), Vec<Time>>);

impl Recorded {
    /// Reads all recordings among these files, if there are captures among them too.
    pub(super) fn of(paths: &[PathBuf], is_mixed: bool) -> Self {
        let mut recorded = Self::default();
        for path in if is_mixed { paths } else { &[] } {
            // What cannot be read is said when it is read for its events.
            if let Ok(Input::Recording(mut replay)) = Input::open(path) {
                while let Ok(Some(event)) = replay.next_event() {
                    recorded.add(&event);
                }
            }
        }
        recorded
    }

    fn add(&mut self, event: &Event) {
        let (local, remote, time) = match event {
            Event::Established(established) => (established.local, established.remote, established.time),
            Event::Ended(ended) if ended.state == State::SynSent => (ended.local, ended.remote, ended.time),
            _ => return,
        };
        self.0.entry((local, remote)).or_insert_with(|| Vec::with_capacity(1)).push(time);
    }

    /// A recording tells of this connecting end.
    pub(super) fn has(&self, local: SocketAddr, remote: SocketAddr, time: Time) -> bool {
        let times = self.0.get(&(local, remote));
        times.is_some_and(|times| {
            times.iter().any(|known| known.since_ns(time).max(time.since_ns(*known)) < SAME_NS)
        })
    }
}
