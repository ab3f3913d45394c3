//! Pods that were captured from within: tells whether anything in one connected on for what came to it; must not know verdicts.

use std::net::SocketAddr;

use rustc_hash::FxHashMap;

use crate::{event::time::Time, flow::Flow, identity::proxy};

/// Listeners that connections came to, by the address that clients know.
#[derive(Debug, Default)]
pub(super) struct ReachedListeners(FxHashMap<SocketAddr, Listener>);

#[derive(Debug, Default)]
struct Listener {
    /// Connections that came, and are open.
    open: usize,
    /// When its own pod last connected to it.
    last: Time,
}

impl ReachedListeners {
    /// This came to its pod.
    pub(super) fn reached(&mut self, flow: &Flow) {
        self.0.entry(flow.remote).or_default().open += 1;
    }

    /// Within its pod something connects: a proxy to its app, or the pod at its own address.
    pub(super) fn opened(&mut self, flow: &Flow) {
        let own = flow.local.ip();
        let is_within = proxy::connects_inward_from(own) || own == flow.remote.ip();
        if self.0.is_empty() || !is_within {
            return;
        }
        for (address, listener) in &mut self.0 {
            let is_same = flow.remote == *address
                || (flow.remote.ip().is_loopback() && flow.remote.port() == address.port());
            if is_same {
                listener.last = listener.last.max(flow.opened);
            }
        }
    }

    /// Something in its pod connected on since this was opened.
    pub(super) fn may_be_passed_on(&self, flow: &Flow) -> bool {
        self.0.get(&flow.remote).is_none_or(|listener| listener.last >= flow.opened)
    }

    pub(super) fn ended(&mut self, flow: &Flow) {
        if flow.reached_pod.is_none() {
            return;
        }
        if let Some(listener) = self.0.get_mut(&flow.remote) {
            listener.open = listener.open.saturating_sub(1);
            if listener.open == 0 {
                self.0.remove(&flow.remote);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ReachedListeners;
    use crate::{
        event::{
            socket::{Opened, Owner, SocketId},
            time::Time,
        },
        flow::Flow,
        update::Role,
    };

    fn flow(at: u64, ends: [&str; 2]) -> Flow {
        let [local, remote] = ends.map(|end| end.parse().unwrap());
        let opened = Opened { time: Time(at), socket: SocketId(at), local, remote, owner: Owner::default() };
        Flow { reached_pod: Some(Time(at)), ..Flow::begin(Role::Connector, &opened, 0) }
    }

    #[test]
    fn what_its_own_pod_connects_to_later_may_be_for_it() {
        let ipv4 = ["10.1.1.25:50714", "10.1.1.24:3306"];
        let ipv6 = ["[fd00::25]:50714", "[fd00::24]:3306"];
        for (what, client, at, ends, expected) in [
            ("Istio", ipv4, 11, ["127.0.0.6:40001", "10.1.1.24:3306"], true),
            ("Istio over IPv6", ipv6, 11, ["[::6]:40001", "[fd00::24]:3306"], true),
            ("Istio before 1.10", ipv4, 11, ["127.0.0.1:40001", "127.0.0.1:3306"], true),
            ("at its own address", ipv4, 11, ["10.1.1.24:40001", "10.1.1.24:3306"], true),
            ("before it came", ipv4, 9, ["127.0.0.6:40001", "10.1.1.24:3306"], false),
            ("another port", ipv4, 11, ["127.0.0.6:40001", "10.1.1.24:15020"], false),
            ("another client", ipv4, 11, ["10.1.1.26:40001", "10.1.1.24:3306"], false),
        ] {
            let client = flow(10, client);
            let mut listeners = ReachedListeners::default();
            assert!(listeners.may_be_passed_on(&client), "of what did not come nothing is known");
            listeners.reached(&client);
            listeners.opened(&flow(at, ends));
            assert_eq!(listeners.may_be_passed_on(&client), expected, "{what}");
            listeners.ended(&client);
            assert!(listeners.0.is_empty(), "{what}");
        }
    }
}
