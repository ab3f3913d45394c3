//! A ClientHello comes out of the kernel as it went in, however it is cut up, at both ends.

use anyhow::{Result, ensure};
use data_encoding::HEXLOWER;
use mtlsnoop::event::socket::Direction;

use crate::{
    ground::{Ground, Pair},
    remote::End,
    watch::Watch,
};

/// Hellos of the mesh, of 205 bytes, with two versions, and with a post-quantum key share.
const RECORDED: [&str; 3] = [
    include_str!("../../userspace/src/tls/testdata/istio_tls12.hex"),
    include_str!("../../userspace/src/tls/testdata/istio_tls13.hex"),
    include_str!("../../userspace/src/tls/testdata/istio_pq.hex"),
];

/// A hello of the mesh, as short as they are.
pub(crate) fn short() -> Vec<u8> {
    decode(RECORDED[0])
}

fn all() -> [Vec<u8>; 3] {
    RECORDED.map(decode)
}

/// Lines that begin with `#` tell where it comes from.
fn decode(file: &str) -> Vec<u8> {
    let digits: String = file.lines().filter(|line| !line.starts_with('#')).collect();
    HEXLOWER.decode(digits.trim().as_bytes()).unwrap()
}

/// Sends the hello, and gives in how many parts each end's tracer saw it.
fn observe(
    ground: &Ground,
    pair: &Pair,
    watch: &mut Watch,
    hello: &[u8],
    send: impl FnOnce(&End) -> Result<()>,
) -> Result<[usize; 2]> {
    let ids = watch.ids(pair)?;
    send(&pair.client)?;
    pair.server.receive(hello)?;
    pair.client.close()?;
    pair.server.close()?;
    let (client, server) = watch.stories(ids)?;
    for (story, direction) in [(&client, Direction::Sent), (&server, Direction::Received)] {
        let seen = story.hello(direction);
        ensure!(seen.as_deref() == Some(hello), "{direction:?} at {}: {seen:02x?}", ground.inode()?);
        let told: Vec<_> =
            story.hellos.iter().map(|segment| segment.expected_bytes).filter(|bytes| *bytes > 0).collect();
        ensure!(
            !told.is_empty() && told.iter().all(|bytes| usize::try_from(*bytes).unwrap() == hello.len()),
            "{told:?}"
        );
        assert_eq!(story.first_bytes, []);
    }
    Ok([client.hellos.len(), server.hellos.len()])
}

#[test]
fn in_one_write() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    for hello in all() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let pair = ground.pair_at(address)?;
            let parts = observe(&ground, &pair, &mut watch, &hello, |client| client.send(&hello))?;
            assert_eq!(parts, [1, 1]);
        }
    }
    Ok(())
}

#[test]
fn with_its_headers_a_byte_at_a_time() -> Result<()> {
    const ALONE: usize = 20;
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    for hello in all() {
        let pair = ground.pair()?;
        let parts = observe(&ground, &pair, &mut watch, &hello, |client| {
            let (head, rest) = hello.split_at(ALONE);
            client.send_apart(head.chunks(1).chain([rest]))
        })?;
        assert_eq!(parts, [ALONE + 1; 2]);
    }
    Ok(())
}

#[test]
fn in_chunks() -> Result<()> {
    const CHUNK: usize = 100;
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    for hello in all() {
        let pair = ground.pair_at("[::1]:0")?;
        let parts =
            observe(&ground, &pair, &mut watch, &hello, |client| client.send_apart(hello.chunks(CHUNK)))?;
        assert_eq!(parts, [hello.len().div_ceil(CHUNK); 2]);
    }
    Ok(())
}

#[test]
fn in_small_segments() -> Result<()> {
    let ground = Ground::new()?;
    // Without this the kernel hands several segments over as one.
    ground.configure("link set lo gso_max_segs 1\n")?;
    let mut watch = Watch::start(&ground)?;
    for hello in all() {
        let pair = ground.pair_with("127.0.0.1:0", |client| client.limit_segments(536))?;
        let parts = observe(&ground, &pair, &mut watch, &hello, |client| client.send(&hello))?;
        // Timestamps take 12 of the 536 bytes (RFC 7323 §3.2).
        assert_eq!(parts, [hello.len().div_ceil(524); 2]);
    }
    Ok(())
}

#[test]
fn only_its_beginning_when_it_is_longer_than_any() -> Result<()> {
    const LIMIT: usize = 4096;
    // A record of 5005 bytes with a hello that says it has 5000.
    let mut hello = b"\x16\x03\x01\x13\x88\x01\x00\x13\x84".to_vec();
    hello.resize(5005, 0);
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    let pair = ground.pair()?;
    let ids = watch.ids(&pair)?;
    pair.client.send_apart(hello.chunks(1500))?;
    pair.server.receive(&hello)?;
    pair.client.close()?;
    pair.server.close()?;
    let (client, server) = watch.stories(ids)?;
    for (story, direction) in [(client, Direction::Sent), (server, Direction::Received)] {
        assert_eq!(story.hello(direction).as_deref(), Some(&hello[..LIMIT]), "{direction:?}");
    }
    Ok(())
}

#[test]
fn from_a_listener_that_sends_one() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    let pair = ground.pair()?;
    let ids = watch.ids(&pair)?;
    let hello = short();
    pair.server.send_apart([&hello[..1], &hello[1..2], &hello[2..]])?;
    pair.client.receive(&hello)?;
    pair.server.close()?;
    pair.client.close()?;
    let (client, server) = watch.stories(ids)?;
    assert_eq!(client.hello(Direction::Received), Some(hello.clone()));
    assert_eq!(server.hello(Direction::Sent), Some(hello));
    Ok(())
}
