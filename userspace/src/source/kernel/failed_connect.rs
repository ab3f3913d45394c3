//! Connects that fail at once, put together from two hooks: some are seen to begin and end without an error by the one
//! for connections, which the one for their failure then gives; of others only the latter knows.

use std::mem;

use crate::{
    event::{
        Event,
        socket::{Ended, Opened, SocketId, State},
    },
    source::kernel::decode::Decoded,
};

/// Adds the failure to connects.
#[derive(Debug, Default)]
pub(super) struct FailedConnects {
    /// The hook for failures is there; otherwise nothing is worth being waited for.
    is_hooked: bool,
    /// Ends that may get an error with the next record of their sockets, from the drain before.
    older: Vec<Decoded>,
    /// And from this one.
    newer: Vec<Decoded>,
    /// Connection ends of which no other hook knew.
    seen: u64,
    /// Sockets that have no cookie yet get numbers from the end, which cookies never reach.
    unnamed: u64,
}

impl FailedConnects {
    /// None so far.
    pub(super) fn new(is_hooked: bool) -> Self {
        Self { is_hooked, ..Self::default() }
    }

    /// How many connection ends nobody else counted.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// An end waits for what the next records say.
    pub(super) fn is_waiting(&self) -> bool {
        !(self.older.is_empty() && self.newer.is_empty())
    }

    /// Takes what a record says, and gives what is known now, in its order.
    pub(super) fn pass(&mut self, decoded: Decoded, sink: &mut dyn FnMut(Decoded)) {
        match decoded {
            Decoded { event: Event::Opened(opened), socket, is_own, failed: Some(error), .. } => {
                self.failed(opened, socket, is_own, error, sink);
            }
            decoded if self.is_hooked && may_have_failed(&decoded.event) => self.newer.push(decoded),
            decoded => {
                if let Some(held) = self.take(decoded.socket) {
                    sink(held);
                }
                sink(decoded);
            }
        }
    }

    /// Everything of a drain was passed: gives what has waited for a whole one.
    pub(super) fn drained(&mut self, sink: &mut dyn FnMut(Decoded)) {
        mem::replace(&mut self.older, mem::take(&mut self.newer)).into_iter().for_each(sink);
    }

    fn failed(
        &mut self,
        opened: Opened,
        socket: u64,
        is_own: bool,
        error: u32,
        sink: &mut dyn FnMut(Decoded),
    ) {
        if let Some(Decoded { event: Event::Ended(ended), .. }) = self.take(socket) {
            let event = Event::Ended(Ended { error, ..ended });
            return sink(Decoded { event, socket, is_own, is_public: false, failed: None });
        }
        self.seen += 1;
        let socket = if socket == 0 { self.next_unnamed() } else { socket };
        let opened = Opened { socket: SocketId(socket), ..opened };
        let ended = Event::Ended(end_of(&opened, error));
        for event in [Event::Opened(opened), ended] {
            sink(Decoded { event, socket, is_own, is_public: false, failed: None });
        }
    }

    fn next_unnamed(&mut self) -> u64 {
        self.unnamed += 1;
        u64::MAX - self.unnamed
    }

    fn take(&mut self, socket: u64) -> Option<Decoded> {
        [&mut self.newer, &mut self.older].into_iter().find_map(|held| {
            let at = held.iter().position(|decoded| decoded.socket == socket)?;
            Some(held.remove(at))
        })
    }
}

/// It ended while it connected, and the socket has no error: its owner gave up, or the kernel at once.
fn may_have_failed(event: &Event) -> bool {
    matches!(event, Event::Ended(Ended { state: State::SynSent, error: 0, .. }))
}

/// Nothing was sent.
pub(super) fn end_of(opened: &Opened, error: u32) -> Ended {
    Ended {
        time: opened.time,
        socket: opened.socket,
        local: opened.local,
        remote: opened.remote,
        uid: opened.owner.uid,
        cgroup: opened.owner.cgroup,
        netns: opened.owner.netns,
        state: State::SynSent,
        error,
        bytes_sent: 0,
        bytes_acked: 0,
        bytes_received: 0,
        peer_closed: false,
        last_sent: None,
        srtt_us: 0,
        accepted: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{FailedConnects, end_of};
    use crate::{
        event::{
            Event,
            socket::{Ended, Opened, Owner, SocketId},
            time::Time,
        },
        source::kernel::decode::Decoded,
    };

    fn opened(socket: u64) -> Opened {
        Opened {
            time: Time(5),
            socket: SocketId(socket),
            local: "0.0.0.0:0".parse().unwrap(),
            remote: "10.0.0.1:80".parse().unwrap(),
            owner: Owner::default(),
        }
    }

    fn began(socket: u64) -> Decoded {
        Decoded {
            event: Event::Opened(opened(socket)),
            socket,
            is_own: false,
            is_public: false,
            failed: None,
        }
    }

    fn ended(socket: u64, error: u32) -> Decoded {
        let event = Event::Ended(end_of(&opened(socket), error));
        Decoded { event, socket, is_own: false, is_public: false, failed: None }
    }

    fn failed(socket: u64, error: u32) -> Decoded {
        Decoded { failed: Some(error), ..began(socket) }
    }

    /// What comes out, drain by drain: `+` for a beginning, the errno for an end.
    fn told(is_hooked: bool, drains: &[&[Decoded]]) -> (Vec<String>, u64) {
        let mut connects = FailedConnects::new(is_hooked);
        let mut told = Vec::new();
        for drain in drains {
            let mut words = Vec::new();
            let mut sink = |decoded: Decoded| {
                assert_eq!(decoded.failed, None);
                words.push(match decoded.event {
                    Event::Ended(Ended { error, .. }) => error.to_string(),
                    _ => "+".to_owned(),
                });
            };
            for decoded in *drain {
                connects.pass(decoded.clone(), &mut sink);
            }
            connects.drained(&mut sink);
            told.push(words.join(" "));
        }
        assert!(connects.older.is_empty() && connects.newer.is_empty(), "every table lets all come out");
        (told, connects.seen())
    }

    /// Name, whether the hook is there, records drain by drain, what comes out of each, and how many nobody else counted.
    type Case<'a> = (&'a str, bool, &'a [&'a [Decoded]], &'a [&'a str], u64);

    #[test]
    fn each_failure_is_told_once_with_its_error() {
        let table: [Case<'_>; 7] = [
            ("only its failure is seen", true, &[&[failed(7, 101)]], &["+ 101"], 1),
            ("without a cookie", true, &[&[failed(0, 101), failed(0, 13)]], &["+ 101 + 13"], 2),
            ("seen by both", true, &[&[began(7), ended(7, 0), failed(7, 99)]], &["+ 99"], 0),
            ("in two drains", true, &[&[began(7), ended(7, 0)], &[failed(7, 99)]], &["+", "99"], 0),
            ("given up", true, &[&[began(7), ended(7, 0)], &[], &[]], &["+", "0", ""], 0),
            ("used again", true, &[&[began(7), ended(7, 0), began(7), ended(7, 111)]], &["+ 0 + 111"], 0),
            ("without the hook nothing waits", false, &[&[began(7), ended(7, 0)]], &["+ 0"], 0),
        ];
        for (name, is_hooked, drains, expected, seen) in table {
            let (told, counted) = told(is_hooked, drains);
            assert_eq!(told, expected, "{name}");
            assert_eq!(counted, seen, "{name}");
        }
    }

    #[test]
    fn sockets_without_a_cookie_are_told_apart() {
        let mut connects = FailedConnects::new(true);
        let mut ids = Vec::new();
        for _ in 0..2 {
            connects.pass(failed(0, 101), &mut |decoded| ids.push(decoded.socket));
        }
        assert!(ids[0] == ids[1] && ids[2] == ids[3] && ids[0] != ids[2], "{ids:?}");
    }
}
