//! Connecting ends that recordings tell of: captures of them show less, and are not told again; must not know captures.

use std::{net::SocketAddr, path::PathBuf};

use rustc_hash::FxHashMap;

use crate::{
    event::{
        Event,
        socket::State,
        time::{SECOND_NS, Time},
    },
    source::input::{Format, Input},
};

/// Recorded and captured on one node, a connect has the same time but for what its answer takes.
const SAME_NS: u64 = 5 * SECOND_NS;

/// Connecting ends by their own address: where they connected to, and when.
#[derive(Debug, Default)]
pub(super) struct Recorded(FxHashMap<SocketAddr, Vec<(SocketAddr, Time)>>);

impl Recorded {
    /// Reads all recordings among these files, if there are captures among them too.
    pub(super) fn of(paths: &[PathBuf], is_mixed: bool) -> Self {
        let mut recorded = Self::default();
        for path in if is_mixed { paths } else { &[] } {
            // What cannot be read is said when it is read for its events.
            let Ok(mut input) = Input::open(path) else { continue };
            if matches!(input.format(), Format::Recording(_)) {
                while let Ok(Some(event)) = input.next_event() {
                    recorded.add(&event);
                }
            }
        }
        recorded
    }

    pub(super) fn add(&mut self, event: &Event) {
        let (local, remote, time) = match event {
            Event::Established(established) => (established.local, established.remote, established.time),
            Event::Ended(ended) if ended.state == State::SynSent => (ended.local, ended.remote, ended.time),
            _ => return,
        };
        self.0.entry(local).or_insert_with(|| Vec::with_capacity(1)).push((remote, time));
    }

    /// A recording tells of this connecting end. What a sidecar took over was captured where it was sent to.
    pub(super) fn has(&self, local: SocketAddr, remote: SocketAddr, time: Time) -> bool {
        let is_same = |&(wanted, known): &(SocketAddr, Time)| {
            let apart_ns = known.since_ns(time).max(time.since_ns(known));
            apart_ns < SAME_NS && (wanted == remote || remote.ip().is_loopback())
        };
        self.0.get(&local).is_some_and(|all| all.iter().any(is_same))
    }
}
