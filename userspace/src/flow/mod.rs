//! The life of one end of one connection: who, between what, what the first bytes were, and how it ended. Pure.
#![deny(clippy::disallowed_methods)]

pub mod answer;
pub mod end;
pub mod hello;
pub mod table;

use std::{net::SocketAddr, sync::Arc};

use crate::{
    event::{
        socket::{Class, Direction, Ended, FirstBytes, HelloSegment, Opened, Owner, Reset, SocketId},
        time::Time,
    },
    flow::{
        answer::Answer,
        hello::{Hello, Reading},
    },
    update::{Behaviour, EndedBy, Outcome, Role},
};

/// One end of one connection.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The socket.
    pub socket: SocketId,
    /// Which end it is.
    pub role: Role,
    /// Own end; the port is 0 as long as a connect has none.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Whose it is.
    pub owner: Owner,
    /// When the connect was started or the connection accepted; for an older one, when it was first heard of.
    pub opened: Time,
    /// When the connect was answered.
    pub established: Option<Time>,
    /// The `ClientHello`, as far as it was read.
    pub hello: Reading,
    /// What the client said first, if it was no hello.
    pub client_class: Option<Class>,
    /// What the listener said first.
    pub answer: Option<Answer>,
    /// A reset of this connection: which way it went, and the kernel's reason.
    pub reset: Option<(Direction, Option<u32>)>,
    /// It is older than the tracer (or its opening was lost): its beginning was not seen.
    pub began_before: bool,
    /// Only its end was followed, because nothing was suspect.
    pub is_end_only: bool,
    /// Losses so far when it was opened; more at its end means that something of it may be missing.
    pub losses_at_opening: u64,
    /// The accepting end that belongs to this connecting end, or the other way round.
    pub peer: Option<Peer>,
    /// The socket is one of a mesh proxy.
    pub is_of_proxy: bool,
    /// When it came to its pod, if that was captured from within.
    pub reached_pod: Option<Time>,
}

/// What was said on a connection in the end.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The client's hello.
    pub hello: Option<Arc<Hello>>,
    /// What the client said first, if it was no hello.
    pub client_class: Option<Class>,
    /// What the listener's answer was.
    pub answer: Option<Behaviour>,
    /// How it ended; none while it lasts.
    pub end: Option<SaidEnd>,
}

/// How much was said on a connection, and who ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaidEnd {
    /// Payload bytes from the client.
    pub bytes_sent: u64,
    /// Payload bytes to it.
    pub bytes_received: u64,
    /// Who ended it.
    pub ended_by: EndedBy,
}

/// The other end of a connection, seen on the same node.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its own address: not the one that was connected to when the connection was redirected.
    pub local: SocketAddr,
    /// Whose it is.
    pub owner: Owner,
    /// It is a socket of a mesh proxy.
    pub is_of_proxy: bool,
}

impl Flow {
    /// A connection end that just began.
    pub fn begin(role: Role, opened: &Opened, losses: u64) -> Self {
        Self {
            socket: opened.socket,
            role,
            local: opened.local,
            remote: opened.remote,
            owner: opened.owner.clone(),
            opened: opened.time,
            established: (role == Role::Acceptor).then_some(opened.time),
            hello: Reading::None,
            client_class: None,
            answer: None,
            reset: None,
            began_before: false,
            is_end_only: false,
            losses_at_opening: losses,
            peer: None,
            is_of_proxy: false,
            reached_pod: None,
        }
    }

    /// A connection end that ends without its beginning having been seen.
    pub fn older(ended: &Ended, losses: u64) -> Self {
        let owner = Owner { uid: ended.uid, cgroup: ended.cgroup, netns: ended.netns, ..Owner::default() };
        let Ended { time, socket, local, remote, .. } = *ended;
        let opened = Opened { time, socket, local, remote, owner };
        Self { began_before: true, ..Self::begin(Role::Unknown, &opened, losses) }
    }

    /// A connection end of which the sentinel told the end, and nothing before it.
    pub fn told_by_end(ended: &Ended, reset: Option<&Reset>, losses: u64) -> Self {
        let role = match ended.accepted {
            Some(true) => Role::Acceptor,
            Some(false) => Role::Connector,
            None => Role::Unknown,
        };
        let mut flow = Self { role, began_before: false, is_end_only: true, ..Self::older(ended, losses) };
        if let Some(reset) = reset {
            flow.reset = Some((reset.direction, reset.reason));
            // The kernel has taken the peer's address from a connect that was refused.
            if flow.remote.port() == 0 {
                (flow.local, flow.remote) = (reset.local, reset.remote);
            }
        }
        flow
    }

    /// Its beginning was followed.
    pub fn saw_beginning(&self) -> bool {
        !self.began_before && !self.is_end_only
    }

    /// The listener's address: what was connected to.
    pub fn server(&self) -> SocketAddr {
        if self.role == Role::Acceptor { self.local } else { self.remote }
    }

    /// The connecting end's address.
    pub fn client(&self) -> SocketAddr {
        if self.role == Role::Acceptor { self.remote } else { self.local }
    }

    /// The direction in which the client speaks, seen from this socket.
    fn client_direction(&self) -> Direction {
        if self.role == Role::Acceptor { Direction::Received } else { Direction::Sent }
    }

    /// Its connection was answered by a proxy in its own network namespace, not by what it connected to.
    ///
    /// That is what a REDIRECT to a sidecar looks like: the accepting socket has another address than the one that
    /// was connected to (Istio: `127.0.0.1:15001` or the pod's address with that port).
    pub fn is_intercepted(&self) -> bool {
        self.role == Role::Connector
            && self
                .peer
                .as_ref()
                .is_some_and(|peer| peer.owner.netns == self.owner.netns && peer.local != self.remote)
    }

    /// Both ends are in one network namespace: what was seen says nothing of what others get from there.
    pub fn is_local(&self) -> bool {
        let same_namespace = self.peer.as_ref().is_some_and(|peer| peer.owner.netns == self.owner.netns);
        let is_loopback = self.remote.ip().is_loopback() || self.local.ip().is_loopback();
        same_namespace || is_loopback || self.local.ip() == self.remote.ip()
    }

    /// The connecting end is on this node too, and tells the same story better.
    pub fn is_told_by_client(&self) -> bool {
        self.role == Role::Acceptor && self.peer.is_some()
    }

    /// The hello, once it is whole.
    pub fn client_hello(&self) -> Option<&Hello> {
        match &self.hello {
            Reading::Whole(hello) => Some(hello),
            Reading::None | Reading::Partial(_) | Reading::Broken => None,
        }
    }

    /// What was said so far, or in the end if that is known.
    pub fn said(&self, outcome: Option<&Outcome>) -> Said {
        let hello = match &self.hello {
            Reading::Whole(hello) => Some(Arc::clone(hello)),
            Reading::None | Reading::Partial(_) | Reading::Broken => None,
        };
        Said {
            hello,
            client_class: self.client_class,
            answer: self.answer.as_ref().map(Answer::behaviour),
            end: outcome.map(|outcome| {
                let Outcome { bytes_sent, bytes_received, ended_by, .. } = *outcome;
                SaidEnd { bytes_sent, bytes_received, ended_by }
            }),
        }
    }

    /// Takes in a part of a hello. One that the listener sends is an echo, so an answer that is not TLS.
    pub fn add_hello(&mut self, segment: &HelloSegment) {
        if segment.direction == self.client_direction() {
            let port = self.server().port();
            self.hello.add(segment, port);
        } else if segment.offset == 0 && self.answer.is_none() {
            self.answer = Some(Answer::echo(segment));
        }
    }

    /// Takes in first bytes. `true` when they are the first that the listener said.
    pub fn add_first_bytes(&mut self, bytes: &FirstBytes) -> bool {
        if bytes.direction == self.client_direction() {
            let is_first = bytes.offset == self.sent_base(bytes.direction);
            if is_first && self.client_class.is_none() {
                self.client_class = Some(bytes.class);
            }
            return false;
        }
        let offset = bytes.offset.saturating_sub(self.sent_base(bytes.direction));
        if let Some(answer) = &mut self.answer {
            answer.add(offset, &bytes.data);
            return false;
        }
        if offset > 0 {
            return false;
        }
        self.answer = Some(Answer::begin(bytes, self.is_crossing(bytes)));
        true
    }

    /// What the kernel gives as the offset of the first byte sent: a connecting end's SYN counts.
    fn sent_base(&self, direction: Direction) -> u32 {
        u32::from(self.role == Role::Connector && direction == Direction::Sent)
    }

    /// The listener said this without having anything of the client: a greeting, even when a hello was under way.
    fn is_crossing(&self, bytes: &FirstBytes) -> bool {
        // Received by the connecting end, the acknowledged offset counts its SYN.
        let base = u32::from(self.role == Role::Connector);
        bytes.other_offset <= base
    }
}
