//! How a connection ended, in the client's words, and what its listener therefore did. Pure.

use crate::{
    event::socket::{Direction, Ended, State},
    flow::Flow,
    update::{Behaviour, EndedBy, EndedHow, Outcome, Role},
};

/// Error numbers of `include/uapi/asm-generic/errno.h`.
pub mod errno {
    /// No route (`ENETUNREACH`).
    pub const NETWORK_UNREACHABLE: u32 = 101;
    /// No free port (`EADDRNOTAVAIL`).
    pub const NO_PORT: u32 = 99;
    /// Cut by the other end (`ECONNRESET`).
    pub const RESET: u32 = 104;
    /// Cut by the other end after it had closed (`EPIPE`).
    pub const BROKEN_PIPE: u32 = 32;
    /// Nobody answered (`ETIMEDOUT`).
    pub const TIMED_OUT: u32 = 110;
    /// Nobody listened (`ECONNREFUSED`).
    pub const REFUSED: u32 = 111;
    /// No way to the host (`EHOSTUNREACH`).
    pub const HOST_UNREACHABLE: u32 = 113;
}

/// What the sentinel cannot read at the end of a socket, as far as the rest tells it: whether the connect was answered,
/// and the error that the process has taken from the socket.
pub fn completed(flow: &Flow, ended: &Ended) -> Ended {
    let mut ended = ended.clone();
    if ended.accepted.is_none() {
        return ended;
    }
    // An answered connect has at least its SYN acknowledged.
    let was_connecting = ended.accepted == Some(false) && ended.bytes_acked == 0 && ended.bytes_received == 0;
    if was_connecting {
        ended.state = State::SynSent;
    }
    if ended.error == 0 && flow.reset.is_some_and(|(direction, _)| direction == Direction::Received) {
        ended.error = if was_connecting { errno::REFUSED } else { errno::RESET };
    }
    ended
}

/// The outcome of a flow, told by its end.
pub fn outcome(flow: &Flow, ended: &Ended) -> Outcome {
    let (by_own, how) = own_view(ended);
    let (bytes_sent, bytes_received) = client_bytes(flow.role, ended);
    // Jiffies may round to a moment before the connect.
    let from = if flow.is_end_only {
        last_client_payload(flow, ended)
    } else {
        Some(last_client_payload(flow, ended).unwrap_or(flow.opened).max(flow.opened))
    };
    Outcome {
        ended_by: by_own.for_client(flow.role),
        how,
        after_ns: from.map(|from| ended.time.since_ns(from)),
        bytes_sent,
        bytes_received,
        error: (ended.error != 0).then_some(ended.error),
        reset_reason: flow.reset.and_then(|(_, reason)| reason),
    }
}

/// Who ended it, seen from the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnView {
    This,
    Other,
    Both,
    Network,
}

impl OwnView {
    fn for_client(self, role: Role) -> EndedBy {
        match (self, role) {
            (Self::Both, _) => EndedBy::Both,
            (Self::Network, _) => EndedBy::Network,
            (Self::This, Role::Connector | Role::Unknown) | (Self::Other, Role::Acceptor) => EndedBy::Client,
            (Self::Other, Role::Connector | Role::Unknown) | (Self::This, Role::Acceptor) => EndedBy::Server,
        }
    }
}

/// A connect that ended without an error before it had a port sent nothing: the kernel had none to give.
fn is_unsent(ended: &Ended) -> bool {
    ended.state == State::SynSent && ended.error == 0 && ended.local.port() == 0
}

/// The state before the end tells who closed first: `tcp_close` goes to `FIN_WAIT1`, a received FIN to `CLOSE_WAIT`
/// (RFC 9293 §3.6); a reset ends any state at once, with the error set when it was received (`tcp_reset`).
fn own_view(ended: &Ended) -> (OwnView, EndedHow) {
    let was_reset = matches!(ended.error, errno::RESET | errno::BROKEN_PIPE | errno::REFUSED);
    match ended.state {
        State::SynSent if ended.error == errno::REFUSED => (OwnView::Other, EndedHow::Reset),
        State::SynSent if is_unsent(ended) || ended.error == errno::NO_PORT => {
            (OwnView::This, EndedHow::Error)
        }
        State::SynSent if ended.error == 0 => (OwnView::This, EndedHow::GivenUp),
        State::Established | State::Unknown if was_reset => (OwnView::Other, EndedHow::Reset),
        // Both did in the end; who was first is not told.
        State::Unknown if ended.peer_closed => (OwnView::Both, EndedHow::Fin),
        State::Established if ended.error == 0 => (OwnView::This, EndedHow::Reset),
        State::SynSent | State::Established => (OwnView::Network, EndedHow::Error),
        State::CloseWait | State::LastAck => (OwnView::Other, EndedHow::Fin),
        State::FinWait1 | State::FinWait2 | State::Unknown => (OwnView::This, EndedHow::Fin),
        State::Closing => (OwnView::Both, EndedHow::Fin),
    }
}

/// Payload bytes from and to the client.
fn client_bytes(role: Role, ended: &Ended) -> (u64, u64) {
    match role {
        Role::Acceptor => (ended.bytes_received, ended.bytes_sent),
        Role::Connector | Role::Unknown => (ended.bytes_sent, ended.bytes_received),
    }
}

/// When the client last sent payload. A hello that was all it sent is timed to the microsecond; jiffies are coarser.
fn last_client_payload(flow: &Flow, ended: &Ended) -> Option<crate::event::time::Time> {
    let (bytes_sent, _) = client_bytes(flow.role, ended);
    match flow.client_hello() {
        Some(hello) if bytes_sent <= hello.wire_bytes => Some(hello.time),
        _ if flow.role == Role::Acceptor => None,
        _ => ended.last_sent,
    }
}

/// What the listener did; none when the client had nothing to be answered, or its bytes did not arrive.
pub fn behaviour(flow: &Flow, ended: &Ended, outcome: &Outcome) -> Option<Behaviour> {
    if let Some(answer) = &flow.answer {
        return Some(answer.behaviour());
    }
    if ended.state == State::SynSent {
        return Some(match ended.error {
            errno::REFUSED => Behaviour::Refused,
            errno::NETWORK_UNREACHABLE | errno::HOST_UNREACHABLE => Behaviour::Unreachable,
            0 if is_unsent(ended) => return None,
            0 | errno::TIMED_OUT => Behaviour::Timeout,
            _ => return None,
        });
    }
    if outcome.bytes_sent == 0 || outcome.bytes_received > 0 {
        return None;
    }
    match (outcome.ended_by, outcome.how) {
        (EndedBy::Server, EndedHow::Reset) => Some(Behaviour::Reset),
        (EndedBy::Server, EndedHow::Fin) => Some(Behaviour::Closed),
        (EndedBy::Client | EndedBy::Both, EndedHow::Fin) if was_reset_after(flow, ended) => {
            Some(Behaviour::Reset)
        }
        (EndedBy::Client | EndedBy::Both, _) if is_acknowledged(flow, ended) => Some(Behaviour::Silent),
        _ => None,
    }
}

/// The client closed at once, and the listener's reset came in at the same time: a client that had read the reset
/// would not have closed by FIN.
fn was_reset_after(flow: &Flow, ended: &Ended) -> bool {
    let received = flow.role == Role::Connector
        && flow.reset.is_some_and(|(direction, _)| direction == Direction::Received);
    received && matches!(ended.error, errno::RESET | errno::BROKEN_PIPE) && !is_acknowledged(flow, ended)
}

/// The listener's kernel took in all that the client sent.
fn is_acknowledged(flow: &Flow, ended: &Ended) -> bool {
    // The connecting end's SYN counts as one (`tcp_rcv_synsent_state_process` goes through `tcp_ack`).
    flow.role == Role::Acceptor || ended.bytes_acked > ended.bytes_sent
}
