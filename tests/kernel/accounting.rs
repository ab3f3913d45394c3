//! Every connection end that the kernel saw is reported, or left out, or open, or lost under a name; the numbers add up.

use anyhow::Result;
use mtlsnoop::{event::loss::Loss, source::kernel::Options, update::Summary};

use crate::{ground::Ground, hello, watch::Watch};

/// Every end that was seen is somewhere.
pub(crate) fn adds_up(summary: &Summary) -> bool {
    let lost: u64 = summary.lost.iter().filter(|(loss, _)| loss.is_of_flow()).map(|(_, count)| count).sum();
    summary.seen == summary.reported + summary.own + summary.open + lost
}

/// Makes connections that each exchange a hello and an answer, and closes them.
fn burst(ground: &Ground, connections: usize) -> Result<()> {
    let listener = ground.server.listen("127.0.0.1:0")?;
    let hello = hello::short();
    for nth in 0..connections {
        let client = ground.client.open(listener.address)?;
        client.connect(listener.address)?;
        let server = listener.accept()?;
        client.send(&hello)?;
        server.receive(&hello)?;
        // Some close, some reset.
        if nth % 4 == 0 {
            server.abort()?;
        } else {
            server.close()?;
        }
        client.close()?;
    }
    Ok(())
}

#[test]
fn a_burst_is_reported_whole() -> Result<()> {
    const CONNECTIONS: u64 = 200;
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    burst(&ground, CONNECTIONS.try_into()?)?;
    let summary = watch.until_accounts("all ends of the burst", |summary| {
        adds_up(summary) && summary.reported >= 2 * CONNECTIONS
    })?;
    assert_eq!(summary.lost, []);
    Ok(())
}

#[test]
fn what_does_not_fit_into_the_ring_is_lost_under_its_name() -> Result<()> {
    const CONNECTIONS: u64 = 2000;
    let ground = Ground::new()?;
    // Nothing is taken out while they come and go, and no more than a few dozen records fit.
    let mut watch = Watch::start_with(&ground, &Options { ring_bytes: 4096, ..Options::default() })?;
    burst(&ground, CONNECTIONS.try_into()?)?;
    let summary =
        watch.until_accounts("numbers that add up", |summary| adds_up(summary) && summary.seen > 0)?;
    assert!(summary.seen >= 2 * CONNECTIONS, "{summary:?}");
    for loss in [Loss::Opened, Loss::Established, Loss::Accepted, Loss::Ended, Loss::Hello, Loss::Reset] {
        let count = summary.lost.iter().find(|(lost, _)| *lost == loss).map_or(0, |(_, count)| *count);
        assert!(count > 0, "{loss:?}: {summary:?}");
    }
    Ok(())
}

#[test]
fn what_is_open_is_counted_until_it_ends() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    let pair = ground.pair()?;
    let ids = watch.ids(&pair)?;
    watch.until_accounts("two open ends", |summary| adds_up(summary) && summary.open >= 2)?;
    pair.client.abort()?;
    watch.ended(ids.client)?;
    watch.ended(ids.server)?;
    watch.until_accounts("two reported ends", |summary| adds_up(summary) && summary.reported >= 2)?;
    Ok(())
}
