//! Who fails with what, and where to: what makes attempts one finding; must not know what is said of it. Pure.

use std::net::{IpAddr, SocketAddr};

use crate::{
    engine::judge::Judged,
    event::socket::{Owner, ProcessName},
    update::{Code, Party},
};

/// Who fails: as people know it, if that is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::engine) enum ClientKey {
    /// Namespace and workload.
    Workload(Box<str>, Box<str>),
    /// Namespace and pod.
    Pod(Box<str>, Box<str>),
    /// Network namespace of a client on this node.
    Netns(u32),
    /// Address of a client elsewhere.
    Address(IpAddr),
}

impl ClientKey {
    /// The best that is known of a client.
    pub(in crate::engine) fn of(client: &Party, owner: Option<&Owner>) -> Self {
        let namespace = client.namespace.clone().unwrap_or_default();
        match (&client.workload, &client.pod, owner) {
            (Some(workload), _, _) => Self::Workload(namespace, workload.clone()),
            (None, Some(pod), _) => Self::Pod(namespace, pod.clone()),
            (None, None, Some(owner)) if owner.netns != 0 => Self::Netns(owner.netns),
            (None, None, _) => Self::Address(client.address.ip()),
        }
    }
}

/// What is not reached: as people know it, if that is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum DestinationKey {
    /// Namespace, Service and port.
    Service(Box<str>, Box<str>, u16),
    /// Namespace, workload and port.
    Workload(Box<str>, Box<str>, u16),
    /// Address and port.
    Address(SocketAddr),
}

impl DestinationKey {
    fn of(server: &Party) -> Self {
        let namespace = server.namespace.clone().unwrap_or_default();
        let port = server.address.port();
        match (&server.service, &server.workload) {
            (Some(service), _) => Self::Service(namespace, service.clone(), port),
            (None, Some(workload)) => Self::Workload(namespace, workload.clone(), port),
            (None, None) => Self::Address(server.address),
        }
    }
}

/// What makes attempts one finding: client, destination, code and cause.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::engine) struct Key {
    pub(super) client: ClientKey,
    destination: DestinationKey,
    pub(super) code: Code,
    cause: &'static str,
}

impl Key {
    pub(in crate::engine) fn of(judged: &Judged) -> Self {
        let Judged { client, finding, .. } = judged;
        let destination = DestinationKey::of(&finding.server);
        Self { client: client.clone(), destination, code: finding.code, cause: finding.cause.code }
    }
}

/// Which socket owner failed: a later success counts only if it is the same one's, or another pod's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Actor {
    netns: u32,
    uid: Option<u32>,
    process: ProcessName,
}

impl Actor {
    pub(super) fn of(owner: &Owner) -> Self {
        Self { netns: owner.netns, uid: owner.known_uid(), process: owner.process }
    }

    /// Of a socket whose user is not known it cannot be told. In the same namespace the app's own socket has the same
    /// destination as its sidecar's: it must be the same user and process. Another namespace is another pod of the same
    /// workload. In a packet capture neither is known, and the app's own connection is seen where it was redirected to.
    pub(super) fn is_mended_by(self, other: Self) -> bool {
        let is_captured = self.netns == 0 && other.netns == 0;
        (self.uid.is_some() && self == other) || self.netns != other.netns || is_captured
    }
}
