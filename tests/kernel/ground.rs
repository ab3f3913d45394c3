//! Where tests happen: a network namespace of their own, with a process at either end; it must not know the tracer.

use std::{net::SocketAddr, os::fd::AsFd as _, sync::Once};

use anyhow::Result;
use mtlsnoop_tests::{interrupt, netns::Netns};
use nix::sys::stat::fstat;

use crate::remote::{End, Peer};

/// A namespace and two processes in it.
pub(crate) struct Ground {
    /// Its loopback is up; there is nothing else.
    pub(crate) netns: Netns,
    /// Connects.
    pub(crate) client: Peer,
    /// Listens.
    pub(crate) server: Peer,
}

/// A connection with both its ends.
pub(crate) struct Pair {
    /// The end that connected.
    pub(crate) client: End,
    /// The accepted end.
    pub(crate) server: End,
    /// The client's address.
    pub(crate) from: SocketAddr,
    /// The listener's address.
    pub(crate) to: SocketAddr,
}

impl Ground {
    /// Makes a namespace, and starts the processes.
    pub(crate) fn new() -> Result<Self> {
        static CAUGHT: Once = Once::new();
        // A Ctrl-C lets the tests fail, and what they have made is removed.
        CAUGHT.call_once(|| interrupt::catch().unwrap());
        interrupt::check()?;
        let netns = Netns::create()?;
        netns.run("ip", &["link", "set", "lo", "up"], "")?;
        let (client, server) = (Peer::start(&netns)?, Peer::start(&netns)?);
        Ok(Self { netns, client, server })
    }

    /// Configures the namespace by lines for ip(8).
    pub(crate) fn configure(&self, lines: &str) -> Result<()> {
        self.netns.run("ip", &["-batch", "-"], lines).map(drop)
    }

    /// Adds a device with an address, and a neighbour that takes everything and answers nothing.
    pub(crate) fn add_silent_neighbour(&self) -> Result<SocketAddr> {
        self.add_link()?;
        self.configure("neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev near nud permanent\n")?;
        Ok("192.0.2.2:6379".parse()?)
    }

    /// Adds a device with an address, and nobody else on its link.
    pub(crate) fn add_absent_neighbour(&self) -> Result<SocketAddr> {
        self.add_link()?;
        Ok("192.0.2.2:6379".parse()?)
    }

    /// 192.0.2.0/24 is for examples (RFC 5737 §3).
    fn add_link(&self) -> Result<()> {
        self.configure(
            "link add near type veth peer name far\n\
             addr add 192.0.2.1/24 dev near\n\
             link set near up\n\
             link set far up\n",
        )
    }

    /// The namespace's inode, as the kernel names it in events.
    pub(crate) fn inode(&self) -> Result<u32> {
        Ok(fstat(self.netns.as_fd())?.st_ino.try_into()?)
    }

    /// A connection over IPv4's loopback.
    pub(crate) fn pair(&self) -> Result<Pair> {
        self.pair_at("127.0.0.1:0")
    }

    /// A connection to a listener at this address.
    pub(crate) fn pair_at(&self, address: &str) -> Result<Pair> {
        self.pair_with(address, |_| Ok(()))
    }

    /// A connection whose client's socket is prepared before it connects.
    pub(crate) fn pair_with(&self, address: &str, prepare: impl FnOnce(&End) -> Result<()>) -> Result<Pair> {
        let listener = self.server.listen(address)?;
        let to = listener.address;
        let client = self.client.open(to)?;
        prepare(&client)?;
        let from = client.connect(to)?;
        let server = listener.accept()?;
        Ok(Pair { client, server, from, to })
    }
}
