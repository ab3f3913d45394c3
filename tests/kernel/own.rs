//! The tracer's own sockets are left out and counted: what it connects, and what its listeners accept.

use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::Result;
use mtlsnoop::event::Event;

use crate::{ground::Ground, watch::Watch};

/// Events of either end between these addresses, by which end they are of.
fn ends_told(watch: &Watch, from: SocketAddr, to: SocketAddr) -> (usize, usize) {
    let told = |local, remote| {
        let is_it = |event: &&Event| match event {
            Event::Opened(seen) => seen.remote == remote && seen.local.port() == 0,
            Event::Accepted(seen) => (seen.local, seen.remote) == (local, remote),
            Event::Established(seen) => (seen.local, seen.remote) == (local, remote),
            Event::Ended(seen) => (seen.local, seen.remote) == (local, remote),
            _ => false,
        };
        watch.events().iter().filter(is_it).count()
    };
    (told(from, to), told(to, from))
}

#[test]
fn what_it_connects_is_left_out_and_the_other_end_is_not() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    let listener = ground.server.listen("127.0.0.1:0")?;
    let to = listener.address;
    let own = ground.netns.enter(|| Ok(TcpStream::connect(to)?))?;
    let from = own.local_addr()?;
    let other = listener.accept()?;
    drop(own);
    other.receive_rest()?;
    other.close()?;
    watch.ended_at(to, from)?;
    assert_eq!(ends_told(&watch, from, to), (0, 2));
    watch.until_accounts("one own end", |summary| summary.own == 1)?;
    Ok(())
}

#[test]
fn what_its_listener_accepts_is_left_out_and_the_other_end_is_not() -> Result<()> {
    for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let ground = Ground::new()?;
        let mut watch = Watch::start(&ground)?;
        let listener = ground.netns.enter(|| Ok(TcpListener::bind(address)?))?;
        let to = SocketAddr::new("127.0.0.1".parse()?, listener.local_addr()?.port());
        let other = ground.client.open(to)?;
        let from = other.connect(to)?;
        drop(listener.accept()?);
        other.receive_rest()?;
        other.close()?;
        watch.ended_at(from, to)?;
        assert_eq!(ends_told(&watch, from, to), (3, 0), "{address}");
        let told = watch.events().iter().any(|event| {
            matches!(event, Event::Listening(seen) | Event::ListenerClosed(seen) if seen.local == listener.local_addr().unwrap())
        });
        assert!(!told, "{address}");
        watch.until_accounts("one own end", |summary| summary.own == 1)?;
    }
    Ok(())
}
