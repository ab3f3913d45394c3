//! Connections with a `ClientHello` that a tracer is to tell of: only then it is known to work. It must not know which tracer.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
};

use anyhow::{Context as _, Result};
use mtlsnoop_tests::{netns::Netns, wait};

use crate::{hello, subject::started::Started};

/// Where tools that read TLS expect it; many other ports belong to other protocols for them.
const PORT: u16 = 443;

/// How a line about such a connection is told from a heading.
pub(crate) const SIGN: &str = "443";

/// Listens on loopback in the load's network namespace.
pub(crate) struct Probe {
    netns: Netns,
    listener: TcpListener,
    address: SocketAddr,
}

impl Probe {
    pub(crate) fn bind(netns: &Netns) -> Result<Self> {
        let listener = netns.enter(|| {
            TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).context("could not listen on loopback")
        })?;
        let address = listener.local_addr().context("no address to connect to")?;
        Ok(Self { netns: netns.clone(), listener, address })
    }

    /// Connects again and again until the tracer has told of it: what it writes into a pipe comes when its buffer is full.
    pub(crate) fn connect_until_told(&self, tracer: &mut Started) -> Result<()> {
        let hello = hello::of_mesh()?;
        self.netns.enter(|| {
            wait::until_true("it to tell of a connection", wait::LONG, || {
                tracer.check_alive()?;
                self.connect(&hello)?;
                Ok(tracer.has_told())
            })
        })
    }

    fn connect(&self, hello: &[u8]) -> Result<()> {
        let mut client = TcpStream::connect(self.address).context("could not connect")?;
        let _server = self.listener.accept().context("could not accept")?;
        client.write_all(hello).context("could not send a hello")
    }
}
