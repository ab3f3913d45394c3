//! The network of a made-up node: a namespace that has every address of 10.0.0.0/8 that is none of its own pods', and
//! pods attached to it. It must not know what runs in the pods.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::Result;
use mtlsnoop_tests::netns::Netns;

use crate::load::running;

/// All pods of other nodes, in one namespace.
pub(crate) struct Network {
    others: Netns,
    next: AtomicU32,
}

/// Where pods send everything to, as Calico has it.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

impl Network {
    pub(crate) fn create() -> Result<Self> {
        let others = running::loopback()?;
        // In the main table: pods' own routes are longer, and so come first there.
        let commands =
            format!("addr add {GATEWAY}/32 dev lo\nroute add local 10.0.0.0/8 dev lo table main\n");
        others.run("ip", &["-batch", "-"], &commands)?;
        Ok(Self { others, next: AtomicU32::new(0) })
    }

    /// Where the pods of other nodes are.
    pub(crate) fn others(&self) -> &Netns {
        &self.others
    }

    /// The namespace of a new pod with this address.
    pub(crate) fn attach(&self, address: Ipv4Addr) -> Result<Netns> {
        let pod = running::loopback()?;
        let device = format!("pod{}", self.next.fetch_add(1, Ordering::Relaxed));
        let create = format!("link add eth0 type veth peer name {device} netns {}\n", self.others.path());
        pod.run("ip", &["-batch", "-"], &create)?;
        let outside = format!("link set {device} up\nroute add {address}/32 dev {device}\n");
        self.others.run("ip", &["-batch", "-"], &outside)?;
        let inside = format!(
            "addr add {address}/32 dev eth0\n\
             link set eth0 up\n\
             route add {GATEWAY} dev eth0 scope link\n\
             route add default via {GATEWAY}\n"
        );
        pod.run("ip", &["-batch", "-"], &inside)?;
        Ok(pod)
    }
}
