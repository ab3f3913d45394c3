//! A paused tracer sees nothing, and sees again when it goes on.

use anyhow::Result;
use mtlsnoop::event::Event;

use crate::{ground::Ground, watch::Watch};

#[test]
fn what_happens_meanwhile_is_not_told_and_what_comes_after_it_is() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    watch.kernel().pause();
    let unseen = ground.pair()?;
    watch.kernel().resume()?;
    let seen = ground.pair()?;
    watch.opened(seen.to)?;
    let is_told = |event: &Event| match event {
        Event::Accepted(accepted) => (accepted.local, accepted.remote) == (unseen.to, unseen.from),
        _ => false,
    };
    assert!(!watch.events().iter().any(is_told), "{} to {}", unseen.from, unseen.to);
    Ok(())
}
