//! Which file tells of a connection end that is in several: the first that told of its beginning; must not know files.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::{
    event::{
        Event,
        socket::SocketId,
        time::{SECOND_NS, Time},
    },
    source::{
        capture::{CAPTURED, other_end},
        merged::recorded::Recorded,
    },
};

/// Beginnings further apart than this are of two connections, whatever their number: clocks of nodes differ by less, and the
/// same node may have been started again.
const SAME_NS: u64 = 60 * SECOND_NS;

/// Most connection ends that are remembered; the oldest is forgotten first.
const KNOWN_MAX: usize = 1 << 20;

#[derive(Clone, Copy, Debug)]
struct Known {
    /// None for one that a recording tells of under another number.
    file: Option<usize>,
    began: Time,
    is_ended: bool,
}

/// Connection ends, and who tells of them.
#[derive(Debug)]
pub(super) struct Once {
    known: FxHashMap<SocketId, Known>,
    order: VecDeque<SocketId>,
    repeated: Vec<u64>,
    recorded: Recorded,
}

impl Once {
    /// For so many files.
    pub(super) fn new(files: usize, recorded: Recorded) -> Self {
        Self { known: FxHashMap::default(), order: VecDeque::new(), repeated: vec![0; files], recorded }
    }

    /// How many beginnings of a file were told by another one.
    pub(super) fn repeated(&self, file: usize) -> u64 {
        self.repeated.get(file).copied().unwrap_or(0)
    }

    /// Another file tells this. One that is over tells no more: then others may go on with what it told of.
    pub(super) fn is_told_already(
        &mut self,
        file: usize,
        event: &Event,
        is_over: &dyn Fn(usize) -> bool,
    ) -> bool {
        let Some(socket) = socket_of(event) else { return false };
        let begins = matches!(event, Event::Opened(_) | Event::Accepted(_));
        let Some(known) = self.known.get_mut(&socket) else {
            return begins && self.begin(socket, file, event);
        };
        let is_same = event.time().since_ns(known.began).max(known.began.since_ns(event.time())) < SAME_NS;
        if begins && (known.file == Some(file) || !is_same) {
            *known = Known { file: Some(file), began: event.time(), is_ended: false };
            return false;
        }
        if begins {
            self.repeat(file);
            return true;
        }
        let is_told = known.file != Some(file) && (known.is_ended || !known.file.is_some_and(is_over));
        if !is_told && matches!(event, Event::Ended(_)) {
            known.is_ended = true;
        }
        is_told
    }

    /// A connection end that was not known; `true` when a recording tells of it.
    fn begin(&mut self, socket: SocketId, file: usize, event: &Event) -> bool {
        let is_recorded = match event {
            Event::Opened(opened) if is_captured(socket) => {
                self.recorded.has(opened.local, opened.remote, opened.time)
            }
            // Whoever tells of the app's end tells of this one.
            Event::Accepted(_) if is_captured(socket) => {
                self.known.get(&other_end(socket)).is_some_and(|app| app.file.is_none())
            }
            _ => false,
        };
        if is_recorded {
            self.repeat(file);
        }
        if self.order.len() >= KNOWN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(socket);
        let file = (!is_recorded).then_some(file);
        self.known.insert(socket, Known { file, began: event.time(), is_ended: false });
        is_recorded
    }

    fn repeat(&mut self, file: usize) {
        if let Some(count) = self.repeated.get_mut(file) {
            *count += 1;
        }
    }
}

/// Captures number connections themselves, each the same in every capture.
fn is_captured(socket: SocketId) -> bool {
    socket.0 & CAPTURED != 0
}

fn socket_of(event: &Event) -> Option<SocketId> {
    match event {
        Event::Opened(opened) | Event::Accepted(opened) => Some(opened.socket),
        Event::Established(established) => Some(established.socket),
        Event::Hello(segment) => Some(segment.socket),
        Event::FirstBytes(bytes) => Some(bytes.socket),
        Event::Reset(reset) => reset.socket,
        Event::Ended(ended) => Some(ended.socket),
        Event::Began(_)
        | Event::Listening(_)
        | Event::ListenerClosed(_)
        | Event::Cgroup(_)
        | Event::Cluster(_)
        | Event::EnvoyLog(_)
        | Event::EnvoyClusters(_)
        | Event::ClusterChanged(_)
        // Only the file of that pod tells it, whichever tells of the connecting end.
        | Event::Reached(_)
        | Event::Counted(_)
        | Event::Tick(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPTURED, KNOWN_MAX, Once, Recorded, SAME_NS};
    use crate::event::{
        Event,
        socket::{Established, Opened, Owner, SocketId},
        time::Time,
    };

    fn opened(socket: u64, time: u64) -> Event {
        let address = "10.1.1.25:50714".parse().unwrap();
        let owner = Owner::default();
        let socket = SocketId(socket);
        Event::Opened(Opened { time: Time(time), socket, local: address, remote: address, owner })
    }

    fn established(socket: u64) -> Event {
        let address = "10.1.1.25:50714".parse().unwrap();
        Event::Established(Established {
            time: Time(1),
            socket: SocketId(socket),
            local: address,
            remote: address,
        })
    }

    #[test]
    fn the_first_file_tells_and_another_goes_on_when_that_is_over() {
        let mut once = Once::new(2, Recorded::default());
        let open = |_| false;
        assert!(!once.is_told_already(1, &opened(5, 0), &open));
        assert!(once.is_told_already(0, &opened(5, 10), &open));
        assert_eq!((once.repeated(0), once.repeated(1)), (1, 0));
        assert!(!once.is_told_already(1, &established(5), &open));
        assert!(once.is_told_already(0, &established(5), &open));
        assert!(!once.is_told_already(0, &established(5), &|file| file == 1));
        assert!(!once.is_told_already(0, &established(6), &open), "of a connection that none began");
        assert!(!once.is_told_already(0, &Event::Tick(Time(1)), &open));
    }

    #[test]
    fn a_proxys_end_is_told_by_whoever_tells_of_the_apps() {
        let accepted = |socket: u64| match opened(socket, 0) {
            Event::Opened(opened) => Event::Accepted(opened),
            other => other,
        };
        let mut of_recording = Recorded::default();
        of_recording.add(&established(5));
        for (recorded, is_told) in [(Recorded::default(), false), (of_recording, true)] {
            let mut once = Once::new(2, recorded);
            assert_eq!(once.is_told_already(1, &opened(CAPTURED + 6, 0), &|_| false), is_told);
            assert_eq!(once.is_told_already(1, &accepted(CAPTURED + 7), &|_| false), is_told);
        }
    }

    #[test]
    fn the_same_number_much_later_is_another_connection() {
        let mut once = Once::new(2, Recorded::default());
        assert!(!once.is_told_already(0, &opened(5, 0), &|_| false));
        assert!(!once.is_told_already(1, &opened(5, SAME_NS), &|_| false));
        assert!(once.is_told_already(0, &opened(5, SAME_NS + 1), &|_| false));
    }

    #[test]
    fn memory_is_bounded() {
        let mut once = Once::new(2, Recorded::default());
        for number in 0..KNOWN_MAX as u64 + 10 {
            once.is_told_already(0, &opened(number, 0), &|_| false);
        }
        assert_eq!((once.known.len(), once.order.len()), (KNOWN_MAX, KNOWN_MAX));
        assert!(!once.is_told_already(1, &opened(5, 0), &|_| false), "forgotten");
    }
}
