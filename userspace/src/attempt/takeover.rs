//! Connections that proxies took over, and the upstream connections that serve them; must not know verdicts.

use std::{collections::VecDeque, net::SocketAddr};

use rustc_hash::FxHashMap;

use crate::{
    attempt::Leg,
    event::socket::{Owner, SocketId},
    flow::Flow,
    identity::proxy,
    update::Outcome,
};

/// Connections that proxies took over, each known by the socket that connected.
#[derive(Debug, Default)]
pub(super) struct Takeovers {
    by_leg: FxHashMap<SocketId, Takeover>,
    /// Legs by the socket that the proxy accepted.
    by_accepted: FxHashMap<SocketId, SocketId>,
    /// Legs by the upstream socket.
    by_upstream: FxHashMap<SocketId, SocketId>,
    /// By network namespace of the proxy, and by what is to be connected to.
    goals: FxHashMap<u32, FxHashMap<SocketAddr, Goal>>,
}

#[derive(Debug)]
struct Takeover {
    leg: Leg,
    /// Whose the accepted socket is: the proxy's.
    proxy: Owner,
    goal: SocketAddr,
    /// The newest.
    upstream: Option<SocketId>,
    /// The newest of the upstream connections that ended before the leg, where that is of interest.
    kept: Option<Box<(Flow, Outcome)>>,
    /// Sockets of it that are open: leg, accepted end and upstream connections.
    open: usize,
}

/// Legs to one destination that proxies of one namespace hold.
#[derive(Debug, Default)]
struct Goal {
    /// Without an upstream connection, oldest first.
    waiting: VecDeque<SocketId>,
    /// The one that was served last: a further connection is its retry.
    served: Option<SocketId>,
}

impl Takeovers {
    pub(super) fn add(&mut self, accepted: &Flow, leg: Leg, goal: SocketAddr) {
        let socket = leg.socket;
        let goals = self.goals.entry(accepted.owner.netns).or_default();
        goals.entry(goal).or_default().waiting.push_back(socket);
        self.by_accepted.insert(accepted.socket, socket);
        let takeover =
            Takeover { leg, proxy: accepted.owner.clone(), goal, upstream: None, kept: None, open: 2 };
        self.by_leg.insert(socket, takeover);
    }

    /// Ties an upstream connection to the leg that it serves.
    ///
    /// In the same namespace, by the same user and cgroup as the socket that accepted, to the address that was wanted or
    /// one that stands for it: the oldest leg without an upstream connection, else the newest, which then is a retry.
    /// Never by the addresses alone: the app's own connection has the same destination.
    pub(super) fn serve(&mut self, upstream: &Flow, aliases: &mut dyn Iterator<Item = SocketAddr>) {
        let Some(goals) = self.goals.get_mut(&upstream.owner.netns) else { return };
        let by_leg = &self.by_leg;
        let is_of_proxy = |leg: &SocketId| {
            by_leg.get(leg).is_some_and(|takeover| {
                is_same_owner(&takeover.proxy, &upstream.owner) && is_same_pod(&takeover.leg, upstream)
            })
        };
        let found = std::iter::once(upstream.remote)
            .chain(aliases)
            .find_map(|address| goals.get_mut(&address)?.take(&is_of_proxy));
        let Some(leg) = found else { return };
        if let Some(takeover) = self.by_leg.get_mut(&leg) {
            takeover.upstream = Some(upstream.socket);
            takeover.open += 1;
            self.by_upstream.insert(upstream.socket, leg);
        }
    }

    pub(super) fn leg_of(&self, upstream: SocketId) -> Option<&Leg> {
        self.by_leg.get(self.by_upstream.get(&upstream)?).map(|takeover| &takeover.leg)
    }

    pub(super) fn upstream_of(&self, leg: SocketId) -> Option<SocketId> {
        self.by_leg.get(&leg)?.upstream
    }

    /// Nothing is kept for a leg that has ended.
    pub(super) fn keep(&mut self, upstream: &Flow, outcome: &Outcome) {
        let leg = self.by_upstream.get(&upstream.socket).and_then(|leg| self.by_leg.get_mut(leg));
        if let Some(takeover) = leg.filter(|takeover| takeover.leg.said.is_none()) {
            takeover.kept = Some(Box::new((upstream.clone(), outcome.clone())));
        }
    }

    pub(super) fn take_kept(&mut self, leg: SocketId) -> Option<Box<(Flow, Outcome)>> {
        self.by_leg.get_mut(&leg)?.kept.take()
    }

    /// A socket is gone; what was said on a leg is kept as long as the rest of it is there.
    pub(super) fn ended(&mut self, flow: &Flow, outcome: Option<&Outcome>) {
        let socket = flow.socket;
        if let Some(leg) = self.by_accepted.remove(&socket) {
            self.not_served_any_more(flow.owner.netns, leg);
            self.close(leg);
        }
        if let Some(leg) = self.by_upstream.remove(&socket) {
            self.close(leg);
        }
        if let Some(takeover) = self.by_leg.get_mut(&socket) {
            takeover.leg.said = Some(flow.said(outcome));
            self.close(socket);
        }
    }

    fn not_served_any_more(&mut self, netns: u32, leg: SocketId) {
        let Some(takeover) = self.by_leg.get(&leg) else { return };
        let Some(goals) = self.goals.get_mut(&netns) else { return };
        if let Some(goal) = goals.get_mut(&takeover.goal)
            && goal.forget(leg)
        {
            goals.remove(&takeover.goal);
        }
        if goals.is_empty() {
            self.goals.remove(&netns);
        }
    }

    fn close(&mut self, leg: SocketId) {
        if let Some(takeover) = self.by_leg.get_mut(&leg) {
            takeover.open -= 1;
            if takeover.open == 0 {
                self.by_leg.remove(&leg);
            }
        }
    }
}

impl Goal {
    fn take(&mut self, is_of_proxy: &dyn Fn(&SocketId) -> bool) -> Option<SocketId> {
        if let Some(place) = self.waiting.iter().position(is_of_proxy) {
            self.served = self.waiting.remove(place);
            return self.served;
        }
        self.served.filter(is_of_proxy)
    }

    /// Whether nothing is left.
    fn forget(&mut self, leg: SocketId) -> bool {
        self.waiting.retain(|waiting| *waiting != leg);
        self.served = self.served.filter(|served| *served != leg);
        self.waiting.is_empty() && self.served.is_none()
    }
}

/// User and cgroup are known to be the same; the accepted socket's group is not known, so the group cannot tell. Where no user is known,
/// as in a packet capture, both are known for proxies.
fn is_same_owner(one: &Owner, other: &Owner) -> bool {
    let is_same_cgroup = one.cgroup == other.cgroup || one.cgroup == 0 || other.cgroup == 0;
    let is_known = one.known_uid().is_some() || (proxy::is_proxy(one) && proxy::is_proxy(other));
    is_known && one.uid == other.uid && is_same_cgroup
}

/// Where network namespaces are not known the pod's address tells it.
fn is_same_pod(leg: &Leg, upstream: &Flow) -> bool {
    upstream.owner.netns != 0 || leg.local.ip() == upstream.local.ip()
}
