//! The ends that belong together: the app's connection to its sidecar, the sidecar's upstream connection, and the
//! accepting end. Whatever of them this node sees is joined; a missing one stays missing. Pure.
#![deny(clippy::disallowed_methods)]

mod inward;
mod reached;
mod takeover;

use std::net::SocketAddr;

use rustc_hash::FxHashMap;

use crate::{
    attempt::{inward::Inward, reached::ReachedListeners, takeover::Takeovers},
    event::socket::{Owner, SocketId},
    flow::{Flow, Said},
    update::Outcome,
};

/// A connection that a proxy took over: the app's to its own sidecar, or a client's to the server's sidecar.
#[derive(Clone, Debug)]
pub struct Leg {
    /// The connecting socket.
    pub socket: SocketId,
    /// Whose it is.
    pub owner: Owner,
    /// Its own end.
    pub local: SocketAddr,
    /// What it wanted to connect to.
    pub wanted: SocketAddr,
    /// What was said on it, once it has ended.
    pub said: Option<Said>,
}

impl Leg {
    /// The leg whose connecting end this is.
    pub fn of(client: &Flow) -> Self {
        Self {
            socket: client.socket,
            owner: client.owner.clone(),
            local: client.local,
            wanted: client.remote,
            said: None,
        }
    }
}

/// Whether a proxy passed on what it had accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// It connected to the application for it, by this socket.
    Done(SocketId),
    /// It connected to nothing of its own pod since.
    Not,
    /// It connected to its own pod, and it is not known for whom.
    Unknown,
}

/// Which flows belong together.
#[derive(Debug, Default)]
pub struct Joins {
    /// Connecting ends by their own address; the same address may be in several namespaces.
    connecting: FxHashMap<SocketAddr, Vec<Connecting>>,
    takeovers: Takeovers,
    inward: Inward,
    reached: ReachedListeners,
}

#[derive(Clone, Copy, Debug)]
struct Connecting {
    socket: SocketId,
    netns: u32,
    remote: SocketAddr,
}

impl Joins {
    /// A connecting end has its port now.
    pub fn add_connecting(&mut self, flow: &Flow) {
        let entry = Connecting { socket: flow.socket, netns: flow.owner.netns, remote: flow.remote };
        // Hardly ever is there a second one.
        self.connecting.entry(flow.local).or_insert_with(|| Vec::with_capacity(1)).push(entry);
    }

    /// The connecting end of an accepted connection, if it is on this node; each has one accepting end, so it is given once.
    ///
    /// Its own address is the accepted one's remote address, unless something translated it on the way. Loopback
    /// addresses mean the same only within one namespace; among several candidates the exact reverse wins, then the
    /// same namespace.
    pub fn take_connecting_of(&mut self, accepted: &Flow) -> Option<SocketId> {
        let is_possible = |candidate: &&Connecting| {
            candidate.netns == accepted.owner.netns || !accepted.remote.ip().is_loopback()
        };
        let best = |candidate: &&Connecting| {
            (candidate.remote == accepted.local, candidate.netns == accepted.owner.netns, candidate.socket)
        };
        let candidates = self.connecting.get(&accepted.remote)?;
        let socket = candidates.iter().filter(is_possible).max_by_key(best)?.socket;
        self.forget_connecting(accepted.remote, socket);
        Some(socket)
    }

    fn forget_connecting(&mut self, local: SocketAddr, socket: SocketId) {
        if let Some(entries) = self.connecting.get_mut(&local) {
            entries.retain(|entry| entry.socket != socket);
            if entries.is_empty() {
                self.connecting.remove(&local);
            }
        }
    }

    /// A proxy accepted what `client` had sent elsewhere, or to the pod that the proxy serves.
    pub fn taken_over(&mut self, accepted: &Flow, client: &Flow) {
        let leg = Leg::of(client);
        // The server's sidecar is reached at the pod's address, whatever address the client knows.
        let is_own = client.owner.netns == accepted.owner.netns;
        let goal =
            if is_own { client.remote } else { SocketAddr::new(accepted.local.ip(), client.remote.port()) };
        self.takeovers.add(accepted, leg, goal);
    }

    /// A proxy accepted a connection to its own pod.
    pub fn accepted_by_proxy(&mut self, accepted: &Flow) {
        self.inward.accepted(accepted);
    }

    /// A connection came to its pod, which was captured from within.
    pub fn reached(&mut self, flow: &Flow) {
        self.reached.reached(flow);
    }

    /// A socket connects, whoever it is of.
    pub fn opened(&mut self, flow: &Flow) {
        self.reached.opened(flow);
    }

    /// A socket connects: if it is a proxy's, ties it to the leg that it serves. `aliases` are the virtual addresses that
    /// stand for the one that it connects to.
    pub fn add_upstream(&mut self, upstream: &Flow, aliases: &mut dyn Iterator<Item = SocketAddr>) {
        self.inward.connected(upstream);
        self.takeovers.serve(upstream, aliases);
    }

    /// The leg that an upstream connection serves.
    pub fn leg_of(&self, upstream: SocketId) -> Option<&Leg> {
        self.takeovers.leg_of(upstream)
    }

    /// Keeps a connection that has ended, until the leg that it served has ended too.
    pub fn keep_for_leg(&mut self, upstream: &Flow, outcome: &Outcome) {
        self.takeovers.keep(upstream, outcome);
    }

    /// The ended connection that was kept for this leg.
    pub fn take_kept(&mut self, leg: SocketId) -> Option<Box<(Flow, Outcome)>> {
        self.takeovers.take_kept(leg)
    }

    /// The newest upstream connection that serves this leg.
    pub fn upstream_of(&self, leg: SocketId) -> Option<SocketId> {
        self.takeovers.upstream_of(leg)
    }

    /// What the proxy that accepted this did with it, if one did. `knows_goal`: were it passed on, the connection for it would have
    /// been recognised.
    pub fn passing(&self, flow: &Flow, knows_goal: bool) -> Passing {
        if let Some(upstream) = self.upstream_of(flow.socket) {
            return Passing::Done(upstream);
        }
        if flow.is_intercepted() {
            return if knows_goal { Passing::Not } else { Passing::Unknown };
        }
        if flow.reached_pod.is_some() && !self.reached.may_be_passed_on(flow) {
            return Passing::Not;
        }
        let netns = flow.peer.as_ref().map_or(flow.owner.netns, |peer| peer.owner.netns);
        match self.inward.last(netns) {
            Some(last) if last < flow.opened => Passing::Not,
            Some(_) | None => Passing::Unknown,
        }
    }

    /// A flow is gone, in this way if it has ended.
    pub fn remove(&mut self, flow: &Flow, outcome: Option<&Outcome>) {
        self.forget_connecting(flow.local, flow.socket);
        self.takeovers.ended(flow, outcome);
        self.inward.ended(flow);
        self.reached.ended(flow);
    }
}
