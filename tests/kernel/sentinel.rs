//! The sentinel alone: one event per socket at its end with its story in numbers, and nothing before that.

use anyhow::Result;
use mtlsnoop::{
    event::{Event, socket::State},
    source::kernel::{Capture, Options},
};

use crate::{ground::Ground, hello, watch::Watch};

#[test]
fn it_tells_of_an_unanswered_hello_by_numbers_only() -> Result<()> {
    let ground = Ground::new()?;
    let options = Options { capture: Capture::Sentinel, ..Options::default() };
    let mut watch = Watch::start_with(&ground, &options)?;
    let pair = ground.pair()?;
    let hello = hello::short();
    pair.client.send(&hello)?;
    pair.server.receive(&hello)?;
    pair.client.close()?;
    pair.server.receive_rest()?;
    pair.server.close()?;

    let client = watch.ended_at(pair.from, pair.to)?;
    let server = watch.ended_at(pair.to, pair.from)?;
    let bytes = u64::try_from(hello.len())?;
    assert_eq!((client.bytes_sent, client.bytes_received, client.state), (bytes, 0, State::Unknown));
    assert_eq!((server.bytes_sent, server.bytes_received, server.state), (0, bytes, State::Unknown));
    assert!(client.last_sent.is_some() && server.last_sent.is_none());
    let of_others = |event: &&Event| {
        matches!(
            event,
            Event::Opened(_)
                | Event::Accepted(_)
                | Event::Established(_)
                | Event::Hello(_)
                | Event::FirstBytes(_)
        )
    };
    assert_eq!(watch.events().iter().find(of_others), None);
    Ok(())
}
