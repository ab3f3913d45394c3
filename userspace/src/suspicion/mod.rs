//! What makes the end of a connection suspect, told by its numbers alone: the one place where that is written down. Pure.
#![deny(clippy::disallowed_methods)]

pub mod arming;

use std::ops::RangeInclusive;

use crate::{
    event::time::Time,
    update::{Behaviour, Outcome, Role, suspicion::Suspicion},
};

/// How many payload bytes a client sends that gets no further than its `ClientHello`: the shortest of a mesh have about 150,
/// post-quantum ones 1.5–2 kB; at most two of the longest that are followed (`HELLO_LIMIT_BYTES` of the eBPF programs).
const HELLO_BYTES: RangeInclusive<u64> = 100..=8192;

/// Most payload bytes of an answer that only refuses: nginx's page «400 Bad Request» with its headers has 300–600 bytes,
/// greetings and error lines of databases and brokers fewer (a handshake in TLS has over 1000).
const REFUSAL_BYTES: u64 = 1024;

/// An end that asks for a closer look at the processes that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// When it ended.
    pub time: Time,
    /// cgroup id of the socket; 0 when not known.
    pub cgroup: u64,
    /// What was seen.
    pub sign: Sign,
}

/// What makes an end ask for a closer look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Its numbers, told by the sentinel alone.
    Numbers(Suspicion),
    /// It was watched closely already, and a mesh hello was seen to fail.
    Hello,
}

/// One end of a connection, at its end.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// Which end it is.
    pub role: Role,
    /// It is a socket of a mesh proxy.
    pub is_proxy: bool,
    /// How it ended, in the client's words.
    pub outcome: &'a Outcome,
    /// What the listener did, if that could be told.
    pub behaviour: Option<Behaviour>,
}

/// Whether an end is suspect, and why.
///
/// Of connecting ends only those of mesh proxies can be: others' failures are not what this is about. An accepting end is
/// suspect when its process said nothing to a client that had sent a little: that is what a backend that speaks
/// plaintext does with a `ClientHello`, whoever sent it.
pub fn of(end: &End<'_>) -> Option<Suspicion> {
    let is_of_interest = end.role == Role::Acceptor || (end.role == Role::Connector && end.is_proxy);
    if !is_of_interest {
        return None;
    }
    Suspicion::ALL.into_iter().find(|suspicion| applies(*suspicion, end))
}

fn applies(suspicion: Suspicion, end: &End<'_>) -> bool {
    let Outcome { bytes_sent, bytes_received, error, .. } = *end.outcome;
    let connects = end.role == Role::Connector;
    let sent_little = HELLO_BYTES.contains(&bytes_sent);
    match suspicion {
        Suspicion::Refused => connects && end.behaviour == Some(Behaviour::Refused),
        Suspicion::Unanswered => sent_little && bytes_received == 0,
        Suspicion::CutShort => connects && sent_little && (1..=REFUSAL_BYTES).contains(&bytes_received),
        Suspicion::Failed => {
            let never_connected = matches!(end.behaviour, Some(Behaviour::Unreachable | Behaviour::Timeout));
            connects && (never_connected || error.is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{End, HELLO_BYTES, REFUSAL_BYTES, of};
    use crate::update::{Behaviour, EndedBy, EndedHow, Outcome, Role, suspicion::Suspicion};

    fn outcome(ended_by: EndedBy, sent: u64, received: u64, error: Option<u32>) -> Outcome {
        let (how, after_ns) = (EndedHow::Fin, None);
        Outcome {
            ended_by,
            how,
            after_ns,
            bytes_sent: sent,
            bytes_received: received,
            error,
            reset_reason: None,
        }
    }

    fn judged(
        role: Role,
        is_proxy: bool,
        outcome: &Outcome,
        behaviour: Option<Behaviour>,
    ) -> Option<Suspicion> {
        of(&End { role, is_proxy, outcome, behaviour })
    }

    #[test]
    fn numbers_of_a_proxys_connect_tell() {
        use EndedBy::{Both, Client, Network, Server};
        use Suspicion::{CutShort, Failed, Refused, Unanswered};
        let table = [
            (outcome(Client, 205, 0, None), Some(Behaviour::Silent), Some(Unanswered)),
            (outcome(Server, 205, 0, Some(104)), Some(Behaviour::Reset), Some(Unanswered)),
            (outcome(Server, 1700, 0, None), Some(Behaviour::Closed), Some(Unanswered)),
            (outcome(Client, *HELLO_BYTES.end(), 0, None), None, Some(Unanswered)),
            (outcome(Client, HELLO_BYTES.end() + 1, 0, None), None, None),
            (outcome(Client, HELLO_BYTES.start() - 1, 0, None), None, None),
            (outcome(Server, 205, 8, None), None, Some(CutShort)),
            (outcome(Server, 205, REFUSAL_BYTES, None), None, Some(CutShort)),
            (outcome(Server, 205, REFUSAL_BYTES + 1, None), None, None),
            (outcome(Both, 205, 8, None), None, Some(CutShort)),
            (outcome(Client, 205, 8, None), None, Some(CutShort)),
            (outcome(Client, 14, 7, None), None, None),
            (outcome(Client, 1300, 2900, None), None, None),
            (outcome(Client, 0, 0, None), None, None),
            (outcome(Server, 0, 0, Some(111)), Some(Behaviour::Refused), Some(Refused)),
            (outcome(Client, 0, 0, None), Some(Behaviour::Timeout), Some(Failed)),
            (outcome(Network, 0, 0, Some(113)), Some(Behaviour::Unreachable), Some(Failed)),
            (outcome(Network, 90_000, 80_000, Some(110)), None, Some(Failed)),
        ];
        for (outcome, behaviour, expected) in table {
            assert_eq!(judged(Role::Connector, true, &outcome, behaviour), expected, "{outcome:?}");
            assert_eq!(judged(Role::Connector, false, &outcome, behaviour), None, "no proxy: {outcome:?}");
            assert_eq!(judged(Role::Unknown, true, &outcome, behaviour), None, "which end? {outcome:?}");
        }
    }

    #[test]
    fn of_accepting_ends_only_those_that_said_nothing_are_suspect() {
        use EndedBy::{Client, Server};
        let table = [
            (outcome(Client, 205, 0, None), Some(Suspicion::Unanswered)),
            (outcome(Client, 205, 8, None), None),
            (outcome(Server, 205, 8, None), None),
            (outcome(Client, 0, 0, None), None),
            (outcome(Client, 500_000, 0, None), None),
            (outcome(Client, 0, 0, Some(104)), None),
        ];
        for (outcome, expected) in table {
            for is_proxy in [false, true] {
                assert_eq!(judged(Role::Acceptor, is_proxy, &outcome, None), expected, "{outcome:?}");
            }
        }
    }
}
