//! A kernel without type information: connections are told all the same, from its public fields, and what is lost is said.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use mtlsnoop::{
    event::{
        Event,
        socket::{Direction, State},
    },
    source::kernel::{Capture, Kernel, Options},
};
use nix::libc::{ECONNREFUSED, ECONNRESET};

use crate::{accounting::adds_up, ground::Ground, hello, watch::Watch};

fn options() -> Options {
    Options { btf: PathBuf::from("/nonexistent/btf"), ring_bytes: 64 << 20, ..Options::default() }
}

/// Without tracefs resets are not told.
fn tells_resets(watch: &Watch) -> Result<bool> {
    let hook = watch.coverage().iter().find(|hook| hook.name == "resets received").context("no such hook")?;
    let has_tracefs = Path::new("/sys/kernel/tracing/events/tcp").is_dir();
    ensure!(hook.program.is_some() == has_tracefs, "{hook}");
    if !has_tracefs {
        eprintln!("tracefs is not mounted; resets are not checked");
    }
    Ok(has_tracefs)
}

#[test]
fn it_starts_and_says_what_is_lost() -> Result<()> {
    let kernel = Kernel::start(&options())?;
    let said: Vec<String> = kernel.coverage().iter().map(ToString::to_string).collect();
    for part in
        ["processes, users, containers and errors are not known", "connects without a route are not seen"]
    {
        ensure!(said.iter().any(|said| said.contains(part)), "`{part}` is not in {said:#?}");
    }
    // The sentinel cannot do without, and says why.
    let options = Options { capture: Capture::Sentinel, ..options() };
    let message = Kernel::start(&options).err().context("it starts")?.to_string();
    for part in ["/nonexistent/btf", "CONFIG_DEBUG_INFO_BTF", "Try"] {
        ensure!(message.contains(part), "`{part}` is not in: {message}");
    }
    Ok(())
}

#[test]
fn a_hello_is_told_with_both_ends_of_its_connection() -> Result<()> {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let ground = Ground::new()?;
        let mut watch = Watch::start_with(&ground, &options())?;
        watch.any_netns();
        let pair = ground.pair_at(address)?;
        let hello = hello::short();
        pair.client.send(&hello)?;
        pair.server.receive(&hello)?;
        pair.client.close()?;
        assert_eq!(pair.server.receive_rest()?, b"");
        pair.server.close()?;

        let ids = watch.ids(&pair)?;
        let (client, server) = watch.stories(ids)?;
        assert_eq!((client.established.len(), client.ended.len(), server.ended.len()), (1, 1, 1));
        assert_eq!(client.hello(Direction::Sent), Some(hello.clone()));
        let bytes = u64::try_from(hello.len())?;
        let (client, server) = (&client.ended[0], &server.ended[0]);
        assert_eq!((client.bytes_sent, client.bytes_received), (bytes, 0), "{client:?}");
        assert_eq!((server.bytes_sent, server.bytes_received), (0, bytes), "{server:?}");
        assert!(client.bytes_acked > bytes, "SYN and hello were acknowledged: {client:?}");
        assert!(server.peer_closed && server.state == State::LastAck, "{server:?}");
        assert_eq!((client.local, client.remote, client.netns), (pair.from, pair.to, server.netns));
        watch.until_accounts("numbers that add up", |summary| adds_up(summary) && summary.reported >= 2)?;
    }
    Ok(())
}

#[test]
fn resets_are_told_by_the_classic_tracepoint() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = Watch::start_with(&ground, &options())?;
    watch.any_netns();
    if !tells_resets(&watch)? {
        return Ok(());
    }
    for address in ["127.0.0.1:7401", "[::1]:7402"] {
        let nobody = address.parse()?;
        assert_eq!(ground.client.open(nobody)?.connect_in_vain(nobody)?, ECONNREFUSED);
        let refused = watch.opened(nobody)?.socket;
        let ended = watch.ended(refused)?;
        assert_eq!((ended.state, ended.error), (State::SynSent, ECONNREFUSED.unsigned_abs()));
        let reset = watch.reset(refused, Direction::Received)?;
        assert_eq!((reset.remote, reset.local), (nobody, ended.local));
    }
    let pair = ground.pair()?;
    pair.server.abort()?;
    let ids = watch.ids(&pair)?;
    let ended = watch.ended(ids.client)?;
    assert_eq!((ended.state, ended.error), (State::Established, ECONNRESET.unsigned_abs()));
    Ok(())
}

#[test]
fn listeners_come_and_go() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = Watch::start_with(&ground, &options())?;
    watch.any_netns();
    let listener = ground.server.listen("127.0.0.1:0")?;
    let at = listener.address;
    watch.listener(at, |event| match event {
        Event::Listening(listener) => Some(listener),
        _ => None,
    })?;
    listener.close()?;
    watch.listener(at, |event| match event {
        Event::ListenerClosed(listener) => Some(listener),
        _ => None,
    })?;
    Ok(())
}
