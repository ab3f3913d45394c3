//! Listeners are known with their process: those that were there before, those that come, and those that go.

use anyhow::Result;
use mtlsnoop::event::{Event, socket::Listener};

use crate::{ground::Ground, remote::NAME, watch::Watch};

fn began(event: &Event) -> Option<&Listener> {
    match event {
        Event::Listening(listener) => Some(listener),
        _ => None,
    }
}

fn ended(event: &Event) -> Option<&Listener> {
    match event {
        Event::ListenerClosed(listener) => Some(listener),
        _ => None,
    }
}

#[test]
fn those_that_were_there_before_are_found() -> Result<()> {
    let ground = Ground::new()?;
    let listeners = [ground.server.listen("127.0.0.1:0")?, ground.server.listen("[::]:0")?];
    let mut watch = Watch::start(&ground)?;
    for listener in listeners {
        let seen = watch.listener(listener.address, began)?;
        assert_eq!((seen.owner.pid, seen.owner.process), (ground.server.pid(), NAME.into()));
    }
    Ok(())
}

#[test]
fn those_that_come_and_go_are_seen() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = ground.server.listen(address)?;
        let seen = watch.listener(listener.address, began)?;
        assert_eq!((seen.owner.pid, seen.owner.process), (ground.server.pid(), NAME.into()));
        assert!(!watch.events().iter().filter_map(ended).any(|gone| gone.local == listener.address));
        listener.close()?;
        let gone = watch.listener(listener.address, ended)?;
        assert!(gone.time >= seen.time);
    }
    Ok(())
}
