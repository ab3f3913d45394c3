//! Completes what is told from the kernel's public fields alone: which end a socket is, and whether it was reset, comes with
//! other records of the same socket.

use rustc_hash::FxHashSet;

use crate::{
    event::{
        Event,
        socket::{Direction, Ended, State},
    },
    flow::end::errno,
    source::kernel::{decode::Decoded, hooks::Hook},
};

/// Sockets that are remembered at most; of more than these, a connect's SYN counts as a byte sent.
const MAX_SOCKETS: usize = 262_144;

/// What is remembered of sockets.
#[derive(Debug, Default)]
pub(super) struct PublicFields {
    /// Those that connected.
    connecting: FxHashSet<u64>,
    /// Those that were reset by the other end.
    reset: FxHashSet<u64>,
    /// All connections are told of so.
    is_alone: bool,
    /// A hook tells of resets received.
    tells_resets: bool,
}

impl PublicFields {
    /// None so far.
    pub(super) fn new(coverage: &[Hook]) -> Self {
        Self {
            is_alone: coverage.iter().any(Hook::tells_public_fields),
            tells_resets: coverage.iter().any(Hook::tells_resets),
            ..Self::default()
        }
    }

    /// Learns from a record, or completes it.
    pub(super) fn complete(&mut self, decoded: Decoded) -> Decoded {
        let socket = decoded.socket;
        match decoded.event {
            Event::Opened(_) if decoded.is_public => remember(&mut self.connecting, socket),
            Event::Reset(ref reset) if self.is_alone && reset.direction == Direction::Received => {
                remember(&mut self.reset, socket);
            }
            Event::Ended(ref ended) if decoded.is_public => {
                let event = Event::Ended(self.completed(ended, socket));
                return Decoded { event, ..decoded };
            }
            _ => {}
        }
        decoded
    }

    fn completed(&mut self, ended: &Ended, socket: u64) -> Ended {
        let syn = u64::from(self.connecting.remove(&socket));
        let was_reset = self.reset.remove(&socket);
        let bytes_sent = ended.bytes_sent.saturating_sub(syn);
        let (state, error) = match (was_reset, ended.state) {
            // As `tcp_reset` sets it (net/ipv4/tcp_input.c).
            (true, State::SynSent) => (ended.state, errno::REFUSED),
            (true, State::CloseWait) => (ended.state, errno::BROKEN_PIPE),
            (true, state) => (state, errno::RESET),
            // A reset would have ended it just so.
            (false, State::SynSent | State::Established) if !self.tells_resets => (State::Unknown, 0),
            (false, state) => (state, 0),
        };
        Ended { state, error, bytes_sent, ..ended.clone() }
    }
}

fn remember(sockets: &mut FxHashSet<u64>, socket: u64) {
    if sockets.len() < MAX_SOCKETS {
        sockets.insert(socket);
    }
}

#[cfg(test)]
mod tests {
    use super::PublicFields;
    use crate::{
        event::{
            Event,
            socket::{Direction, Ended, Opened, Owner, Reset, SocketId, State},
            time::Time,
        },
        source::kernel::{decode::Decoded, failed_connect::end_of},
    };

    const SOCKET: u64 = 7;

    fn told(event: Event) -> Decoded {
        Decoded { event, socket: SOCKET, is_own: false, is_public: true, failed: None }
    }

    fn opened() -> Opened {
        let (local, remote) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        Opened { time: Time(5), socket: SocketId(SOCKET), local, remote, owner: Owner::default() }
    }

    fn reset() -> Event {
        let Opened { time, socket, local, remote, .. } = opened();
        let direction = Direction::Received;
        Event::Reset(Reset {
            time,
            socket: Some(socket),
            direction,
            local,
            remote,
            reason: None,
            connecting: false,
        })
    }

    fn ended(state: State) -> Event {
        Event::Ended(Ended { state, bytes_sent: 206, ..end_of(&opened(), 0) })
    }

    /// Whether it connected, whether it was reset, whether resets are told; its last state; and what is made of that: state,
    /// error, bytes sent.
    type Case = (bool, bool, bool, State, (State, u32, u64));

    #[test]
    fn ends_are_completed_by_what_came_before() {
        let table: [Case; 8] = [
            (true, false, true, State::FinWait2, (State::FinWait2, 0, 205)),
            (false, false, true, State::LastAck, (State::LastAck, 0, 206)),
            (true, true, true, State::SynSent, (State::SynSent, 111, 205)),
            (true, true, true, State::Established, (State::Established, 104, 205)),
            (false, true, true, State::CloseWait, (State::CloseWait, 32, 206)),
            (true, false, true, State::SynSent, (State::SynSent, 0, 205)),
            (true, false, false, State::SynSent, (State::Unknown, 0, 205)),
            (false, false, false, State::Established, (State::Unknown, 0, 206)),
        ];
        for (connected, was_reset, tells_resets, state, expected) in table {
            let mut fields = PublicFields { is_alone: true, tells_resets, ..PublicFields::default() };
            if connected {
                fields.complete(told(Event::Opened(opened())));
            }
            if was_reset {
                fields.complete(told(reset()));
            }
            let Event::Ended(ended) = fields.complete(told(ended(state))).event else { panic!("{state:?}") };
            assert_eq!(
                (ended.state, ended.error, ended.bytes_sent),
                expected,
                "{state:?} {connected} {was_reset}"
            );
            assert!(fields.connecting.is_empty() && fields.reset.is_empty(), "nothing is kept");
        }
    }
}
