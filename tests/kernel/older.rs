//! A connection that is older than the tracer is not judged by what comes in its middle.

use anyhow::Result;
use mtlsnoop::update::{Role, Update};

use crate::{ground::Ground, hello, watch::Watch};

#[test]
fn its_middle_is_not_taken_for_its_beginning() -> Result<()> {
    let ground = Ground::new()?;
    let pair = ground.pair()?;
    // A single byte is the hardest: where the next one is looks almost like a beginning.
    pair.client.send(b"x")?;
    pair.server.receive(b"x")?;
    pair.server.send_apart([b"y".as_slice()])?;
    pair.client.receive(b"y")?;
    let mut watch = Watch::start(&ground)?;
    let hello = hello::short();
    pair.client.send_apart([&hello[..], b"GET / HTTP/1.1\r\n"])?;
    pair.server.send_apart([b"HTTP/1.1 400 Bad Request\r\n".as_slice()])?;
    pair.client.abort()?;

    for (local, remote) in [(pair.from, pair.to), (pair.to, pair.from)] {
        let ended = watch.ended_at(local, remote)?;
        let story = watch.story(ended.socket);
        assert_eq!((story.hellos, story.first_bytes), (vec![], vec![]), "{local}");
        assert!(ended.bytes_sent > 1 && ended.bytes_received > 1, "its whole life is counted: {ended:?}");
    }
    Ok(())
}

#[test]
fn it_is_counted_apart_and_finds_nothing() -> Result<()> {
    let ground = Ground::new()?;
    // One whose hello is still to come, which is then seen; but not who sends it.
    let pair = ground.pair()?;
    let mut watch = Watch::start(&ground)?;
    pair.client.send_apart([&hello::short()[..]])?;
    pair.client.close()?;
    pair.server.abort()?;
    watch.ended_at(pair.from, pair.to)?;
    watch.ended_at(pair.to, pair.from)?;

    let of_pair: Vec<_> = watch
        .updates()
        .iter()
        .filter_map(|update| match update {
            Update::Connection(connection) => Some(connection),
            _ => None,
        })
        .filter(|connection| {
            [&connection.client, &connection.server]
                .iter()
                .all(|end| [pair.from, pair.to].contains(&end.address))
        })
        .collect();
    assert_eq!(of_pair.len(), 2, "{of_pair:?}");
    for connection in of_pair {
        assert_eq!(
            (connection.role, connection.began_before, connection.opened),
            (Role::Unknown, true, None)
        );
    }
    let about_server =
        |update: &&Update| matches!(update, Update::Finding(finding) if finding.server.address == pair.to);
    assert_eq!(watch.updates().iter().filter(about_server).count(), 0);
    watch.until_accounts("both ends", |summary| summary.began_before >= 2)?;
    Ok(())
}
