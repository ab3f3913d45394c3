//! When proxies last connected to the pod that they serve: tells whether what they accepted was passed on; must not know
//! verdicts.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use crate::{event::time::Time, flow::Flow, update::Role};

/// Most addresses of a pod that are kept: dual stack has two, and loopback is known.
const MAX_ADDRESSES: usize = 4;

/// Of each network namespace in which a proxy holds accepted connections.
#[derive(Debug, Default)]
pub(super) struct Inward {
    proxied: FxHashMap<u32, Proxied>,
}

#[derive(Debug, Default)]
struct Proxied {
    /// Accepted connections that are open.
    open: usize,
    /// Where they were accepted: the pod's own addresses.
    addresses: Vec<IpAddr>,
    /// When the proxy last connected to one of these.
    last: Time,
}

impl Inward {
    pub(super) fn accepted(&mut self, accepted: &Flow) {
        // Of a namespace that is not known, as in a packet capture, nothing is.
        if accepted.owner.netns == 0 {
            return;
        }
        let proxied = self.proxied.entry(accepted.owner.netns).or_default();
        proxied.open += 1;
        let address = accepted.local.ip();
        if proxied.addresses.len() < MAX_ADDRESSES && !proxied.addresses.contains(&address) {
            proxied.addresses.push(address);
        }
    }

    pub(super) fn connected(&mut self, upstream: &Flow) {
        let Some(proxied) = self.proxied.get_mut(&upstream.owner.netns) else { return };
        let address = upstream.remote.ip();
        if address.is_loopback() || proxied.addresses.contains(&address) {
            proxied.last = proxied.last.max(upstream.opened);
        }
    }

    /// When a proxy of this namespace last connected to its own pod; the beginning of time for never, none when no proxy
    /// was seen to accept there.
    pub(super) fn last(&self, netns: u32) -> Option<Time> {
        Some(self.proxied.get(&netns)?.last)
    }

    pub(super) fn ended(&mut self, flow: &Flow) {
        if flow.role != Role::Acceptor || !flow.is_of_proxy {
            return;
        }
        let netns = flow.owner.netns;
        if let Some(proxied) = self.proxied.get_mut(&netns) {
            proxied.open = proxied.open.saturating_sub(1);
            if proxied.open == 0 {
                self.proxied.remove(&netns);
            }
        }
    }
}
