//! Which ends were told already: where the microscope follows a socket, its end is told twice, and the sentinel's comes last.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{event::Event, source::kernel::decode::Decoded};

/// Most sockets that are remembered at a time; with more, some ends are counted and reported twice.
const LIMIT: usize = 262_144;

/// Sockets that the microscope follows.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Their beginnings were told.
    opened: FxHashSet<u64>,
    /// How often their ends were told, and the sentinel has not told them yet: a socket may connect again after a failure,
    /// and is destroyed once.
    ended: FxHashMap<u64, u64>,
    /// All of these together.
    waiting: u64,
    /// Ends that the sentinel will never count: those before the last one of a socket, and what was forgotten to keep memory
    /// bounded.
    never: u64,
}

impl Told {
    /// How many ends were told that the sentinel has not counted yet.
    pub(super) fn early(&self) -> u64 {
        self.waiting + self.never
    }

    /// Whether an event is news. The end of a followed socket is told with its state, which the sentinel cannot read; the end of
    /// one whose beginning was not followed is told by the sentinel, which knows which end it was.
    pub(super) fn is_news(&mut self, decoded: &Decoded) -> bool {
        match &decoded.event {
            Event::Opened(_) | Event::Accepted(_) => {
                if self.opened.len() >= LIMIT {
                    self.opened.clear();
                }
                self.opened.insert(decoded.socket);
                true
            }
            Event::Ended(ended) if ended.accepted.is_none() => {
                let was_followed = self.opened.remove(&decoded.socket);
                if was_followed {
                    self.remember_end(decoded.socket);
                }
                was_followed
            }
            Event::Ended(_) => {
                self.opened.remove(&decoded.socket);
                let Some(told) = self.ended.remove(&decoded.socket) else { return true };
                self.waiting -= told;
                self.never += told - 1;
                false
            }
            _ => true,
        }
    }

    fn remember_end(&mut self, socket: u64) {
        if self.ended.len() >= LIMIT {
            self.never += std::mem::take(&mut self.waiting);
            self.ended.clear();
        }
        *self.ended.entry(socket).or_default() += 1;
        self.waiting += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{LIMIT, Told};
    use crate::{
        event::{
            Event,
            socket::{Ended, Opened, Owner, SocketId, State},
            time::Time,
        },
        source::kernel::{decode::Decoded, failed_connect::end_of},
    };

    fn beginning(socket: u64) -> Opened {
        let local = "10.1.1.25:50714".parse().unwrap();
        Opened {
            time: Time::default(),
            socket: SocketId(socket),
            local,
            remote: local,
            owner: Owner::default(),
        }
    }

    fn decoded(socket: u64, event: Event) -> Decoded {
        Decoded { event, socket, is_own: false, is_public: false, failed: None }
    }

    fn opened(socket: u64) -> Decoded {
        decoded(socket, Event::Opened(beginning(socket)))
    }

    fn ended(socket: u64, accepted: Option<bool>) -> Decoded {
        let ended = Ended { state: State::Unknown, accepted, ..end_of(&beginning(socket), 0) };
        decoded(socket, Event::Ended(ended))
    }

    #[test]
    fn every_end_is_told_once() {
        let mut told = Told::default();
        for (decoded, is_news, early) in [
            (ended(1, Some(true)), true, 0),
            (opened(2), true, 0),
            (ended(2, None), true, 1),
            (ended(2, Some(false)), false, 0),
            // Followed by the state hook since after its beginning.
            (ended(3, None), false, 0),
            (ended(3, Some(false)), true, 0),
            // Disarmed meanwhile.
            (opened(4), true, 0),
            (ended(4, Some(false)), true, 0),
            (ended(4, None), false, 0),
            // It connected twice, and the sentinel counts one end.
            (opened(5), true, 0),
            (ended(5, None), true, 1),
            (opened(5), true, 1),
            (ended(5, None), true, 2),
            (ended(5, Some(false)), false, 1),
        ] {
            assert_eq!(told.is_news(&decoded), is_news, "{decoded:?}");
            assert_eq!(told.early(), early, "{decoded:?}");
        }
        assert!(told.opened.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_stays_counted() {
        let mut told = Told::default();
        let ends = LIMIT as u64 + 10;
        for socket in 0..ends {
            assert!(told.is_news(&opened(socket)) && told.is_news(&ended(socket, None)));
        }
        assert_eq!(told.early(), ends);
        assert_eq!(told.ended.len(), 10);
    }
}
