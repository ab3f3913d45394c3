//! What the core keeps about ends of which no beginning is followed: resets that came before them, and who was told. Pure, bounded.

use std::net::SocketAddr;

use rustc_hash::FxHashMap;

use crate::{
    event::{
        socket::{Ended, Reset, SocketId},
        time::{SECOND_NS, Time},
    },
    update::suspicion::Suspicion,
};

/// A suspicion that goes on is told again at most this often.
const REPEAT_NS: u64 = 10 * SECOND_NS;

/// What may be told again is looked for at most this often while there is no room.
const FORGET_PAUSE_NS: u64 = SECOND_NS;

/// Most resets that wait for their socket's end, which follows at once.
const MAX_RESETS: usize = 4096;

/// Most suspicions that are told in this time: who has so many to tell of is heard.
const MAX_TOLD: usize = 512;

/// Whom a suspicion was told of: network namespace, destination, and what.
type Told = (u32, SocketAddr, Suspicion);

/// Ends of which no beginning is followed.
#[derive(Debug, Default)]
pub(super) struct Unfollowed {
    resets: FxHashMap<SocketId, Reset>,
    told: FxHashMap<Told, Time>,
    /// When those of them that may be told again were forgotten last.
    forgotten_at: Time,
}

impl Unfollowed {
    /// A reset of a socket that is not followed.
    pub(super) fn reset(&mut self, socket: SocketId, reset: &Reset) {
        // Those that are left have lost their socket's end, or it came before them.
        if self.resets.len() >= MAX_RESETS {
            self.resets.clear();
        }
        self.resets.entry(socket).or_insert_with(|| reset.clone());
    }

    /// The reset that came before this end.
    pub(super) fn reset_of(&mut self, ended: &Ended) -> Option<Reset> {
        self.resets.remove(&ended.socket)
    }

    /// It is news that attempts from this namespace to this destination are suspect.
    pub(super) fn is_news(
        &mut self,
        netns: u32,
        server: SocketAddr,
        suspicion: Suspicion,
        now: Time,
    ) -> bool {
        let was_told = self.told.get(&(netns, server, suspicion));
        if was_told.is_some_and(|at| now.since_ns(*at) < REPEAT_NS) {
            return false;
        }
        if self.told.len() >= MAX_TOLD && now.since_ns(self.forgotten_at) >= FORGET_PAUSE_NS {
            self.told.retain(|_, at| now.since_ns(*at) < REPEAT_NS);
            self.forgotten_at = now;
        }
        if self.told.len() >= MAX_TOLD {
            return false;
        }
        self.told.insert((netns, server, suspicion), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::{MAX_TOLD, REPEAT_NS, Unfollowed};
    use crate::{event::time::Time, update::suspicion::Suspicion};

    fn server(port: u16) -> SocketAddr {
        ([10, 1, 1, 24], port).into()
    }

    #[test]
    fn a_suspicion_is_news_once_in_ten_seconds() {
        let mut unfollowed = Unfollowed::default();
        let mut is_news = |port, suspicion, at| unfollowed.is_news(1, server(port), suspicion, Time(at));
        assert!(is_news(6379, Suspicion::Unanswered, 0));
        assert!(!is_news(6379, Suspicion::Unanswered, REPEAT_NS - 1));
        assert!(is_news(6379, Suspicion::CutShort, 1), "something else");
        assert!(is_news(6380, Suspicion::Unanswered, 1), "elsewhere");
        assert!(is_news(6379, Suspicion::Unanswered, REPEAT_NS));
    }

    #[test]
    fn so_many_are_told_in_ten_seconds_and_no_more() {
        let mut unfollowed = Unfollowed::default();
        let mut told_at = |at| {
            let ports = 0..u16::try_from(3 * MAX_TOLD).unwrap();
            let is_told = |port: &u16| unfollowed.is_news(1, server(*port), Suspicion::Refused, Time(at));
            ports.filter(is_told).count()
        };
        assert_eq!((told_at(0), told_at(REPEAT_NS - 1)), (MAX_TOLD, 0));
        assert_eq!(told_at(2 * REPEAT_NS), MAX_TOLD, "others have room again");
    }
}
