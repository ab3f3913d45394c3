//! A connect that fails says why: refused, unreachable, given up, or never answered.

use anyhow::Result;
use mtlsnoop::event::{
    Event,
    socket::{Direction, State},
};
use mtlsnoop_tests::netns::Netns;
use nix::libc::{ECONNABORTED, ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT};

use crate::{ground::Ground, watch::Watch};

/// `SK_RST_REASON_NO_SOCKET`, include/net/rstreason.h.
const NO_SOCKET: u32 = 1;

/// An errno as events give it.
fn positive(errno: i32) -> u32 {
    errno.unsigned_abs()
}

#[test]
fn a_refused_one_ends_with_the_reset_that_answered_it() -> Result<()> {
    for address in ["127.0.0.1:7101", "[::1]:7102"] {
        let ground = Ground::new()?;
        let mut watch = Watch::start(&ground)?;
        let to = address.parse()?;
        let client = ground.client.open(to)?;
        assert_eq!(client.connect_in_vain(to)?, ECONNREFUSED);

        let id = watch.opened(to)?.socket;
        let received = watch.reset(id, Direction::Received)?;
        assert_eq!(received.remote, to);
        let ended = watch.ended(id)?;
        assert_eq!((ended.state, ended.error), (State::SynSent, positive(ECONNREFUSED)));
        assert_eq!((ended.bytes_sent, ended.bytes_received), (0, 0));

        // Kernels without reasons (before 6.10) trace only resets of a socket (`tcp_v4_send_reset`, net/ipv4/tcp_ipv4.c).
        if !watch.gives_reasons() {
            continue;
        }
        let sent = watch.until("the reset for no socket", |event| match event {
            Event::Reset(reset) if reset.socket.is_none() && reset.local == to => Some(reset.clone()),
            _ => None,
        })?;
        assert_eq!((sent.direction, sent.remote), (Direction::Sent, received.local));
        assert_eq!(sent.reason, Some(NO_SOCKET));
    }
    Ok(())
}

#[test]
fn one_to_a_host_that_is_not_there_ends_as_unreachable() -> Result<()> {
    let ground = Ground::new()?;
    let to = ground.add_absent_neighbour()?;
    // Asked for once a second and three times, unless told otherwise (`neigh_parms` in net/ipv4/arp.c).
    set(&ground.netns, "neigh/near/retrans_time_ms", "100")?;
    let mut watch = Watch::start(&ground)?;
    let client = ground.client.open(to)?;
    assert_eq!(client.connect_in_vain(to)?, EHOSTUNREACH);
    let id = watch.opened(to)?.socket;
    let ended = watch.ended(id)?;
    assert_eq!((ended.state, ended.error), (State::SynSent, positive(EHOSTUNREACH)));
    assert_eq!(watch.story(id).resets, []);
    Ok(())
}

fn set(netns: &Netns, name: &str, value: &str) -> Result<()> {
    netns.enter(|| Ok(std::fs::write(format!("/proc/sys/net/ipv4/{name}"), value)?))
}

#[test]
fn one_that_is_given_up_ends_without_an_error() -> Result<()> {
    let ground = Ground::new()?;
    let to = ground.add_silent_neighbour()?;
    let mut watch = Watch::start(&ground)?;
    let client = ground.client.open(to)?;
    client.start(to)?;
    let id = watch.opened(to)?.socket;
    assert_eq!(watch.story(id).ended, []);
    client.close()?;
    let ended = watch.ended(id)?;
    assert_eq!((ended.state, ended.error, ended.peer_closed), (State::SynSent, 0, false));
    Ok(())
}

#[test]
fn one_that_is_never_answered_ends_as_timed_out() -> Result<()> {
    let ground = Ground::new()?;
    let to = ground.add_silent_neighbour()?;
    let mut watch = Watch::start(&ground)?;
    let client = ground.client.open(to)?;
    client.limit_patience(10)?;
    assert_eq!(client.connect_in_vain(to)?, ETIMEDOUT);
    let id = watch.opened(to)?.socket;
    let ended = watch.ended(id)?;
    assert_eq!((ended.state, ended.error), (State::SynSent, positive(ETIMEDOUT)));
    Ok(())
}

#[test]
fn a_socket_that_connects_again_after_a_refusal_is_seen_again() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    let nobody = "127.0.0.1:7103".parse()?;
    let client = ground.client.open(nobody)?;
    assert_eq!(client.connect_in_vain(nobody)?, ECONNREFUSED);
    let refused = watch.opened(nobody)?.socket;
    let listener = ground.server.listen("127.0.0.1:0")?;
    // The kernel says once more that it failed (`__inet_stream_connect`, net/ipv4/af_inet.c: `-ECONNABORTED`).
    assert_eq!(client.connect_in_vain(listener.address)?, ECONNABORTED);
    client.connect(listener.address)?;
    assert_eq!(watch.opened(listener.address)?.socket, refused, "it is the same socket");
    watch.ended(refused)?;
    Ok(())
}
