//! The ends that belong together: the app's connection to its sidecar, the sidecar's upstream connection, and the
//! accepting end. Whatever of them this node sees is joined; a missing one stays missing. Pure.
#![deny(clippy::disallowed_methods)]

use std::{collections::VecDeque, net::SocketAddr};

use rustc_hash::FxHashMap;

use crate::{
    event::socket::{Owner, SocketId},
    flow::Flow,
};

/// The app's connection that a sidecar took over.
#[derive(Clone, Debug)]
pub struct AppLeg {
    /// Whose it is.
    pub owner: Owner,
    /// Its own end.
    pub local: SocketAddr,
    /// What it wanted to connect to.
    pub wanted: SocketAddr,
}

/// A sidecar's accepted connection, with the app's leg and the upstream connection that it led to.
#[derive(Clone, Debug)]
struct Intercepted {
    accepted: SocketId,
    /// Whose the accepted socket is: the sidecar's.
    proxy: Owner,
    leg: AppLeg,
    upstream: Option<SocketId>,
}

/// Which flows belong together.
#[derive(Debug, Default)]
pub struct Joins {
    /// Connecting ends by their own address; the same address may be in several namespaces.
    connecting: FxHashMap<SocketAddr, Vec<Connecting>>,
    /// What sidecars took over and still hold, by network namespace, oldest first.
    intercepted: FxHashMap<u32, VecDeque<Intercepted>>,
    /// App legs by upstream socket.
    legs: FxHashMap<SocketId, AppLeg>,
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

    /// A sidecar accepted what the app had sent elsewhere.
    pub fn add_intercepted(&mut self, accepted: &Flow, app: &Flow) {
        let leg = AppLeg { owner: app.owner.clone(), local: app.local, wanted: app.remote };
        let entry =
            Intercepted { accepted: accepted.socket, proxy: accepted.owner.clone(), leg, upstream: None };
        self.intercepted.entry(accepted.owner.netns).or_default().push_back(entry);
    }

    /// A sidecar connects: ties it to the app's leg that it serves.
    ///
    /// In the same namespace, by the same user and cgroup as the socket that accepted, to the address that the app
    /// wanted: the oldest leg without an upstream connection, else the newest, which then is a retry. Never by the
    /// addresses alone: the app's own connection has the same destination.
    pub fn add_upstream(&mut self, upstream: &Flow) {
        let Some(all) = self.intercepted.get_mut(&upstream.owner.netns) else { return };
        let serves = |entry: &&mut Intercepted| {
            is_same_owner(&entry.proxy, &upstream.owner) && entry.leg.wanted == upstream.remote
        };
        let mut newest = None;
        for entry in all.iter_mut().filter(serves) {
            if entry.upstream.is_none() {
                newest = Some(entry);
                break;
            }
            newest = Some(entry);
        }
        if let Some(entry) = newest {
            entry.upstream = Some(upstream.socket);
            self.legs.insert(upstream.socket, entry.leg.clone());
        }
    }

    /// The app's leg that an upstream connection serves.
    pub fn leg_of(&self, upstream: SocketId) -> Option<&AppLeg> {
        self.legs.get(&upstream)
    }

    /// A flow is gone.
    pub fn remove(&mut self, flow: &Flow) {
        self.legs.remove(&flow.socket);
        self.forget_connecting(flow.local, flow.socket);
        if let Some(entries) = self.intercepted.get_mut(&flow.owner.netns) {
            entries.retain(|entry| entry.accepted != flow.socket);
            if entries.is_empty() {
                self.intercepted.remove(&flow.owner.netns);
            }
        }
    }
}

/// User and cgroup are known to be the same; the accepted socket's group is not known, so the group cannot tell.
fn is_same_owner(one: &Owner, other: &Owner) -> bool {
    let is_same_cgroup = one.cgroup == other.cgroup || one.cgroup == 0 || other.cgroup == 0;
    one.known_uid().is_some() && one.uid == other.uid && is_same_cgroup
}
