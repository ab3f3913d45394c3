//! The end of a connection tells who closed and how, and how many bytes went each way.

use anyhow::Result;
use mtlsnoop::event::socket::{Direction, Ended, State};
use nix::libc::ECONNRESET;

use crate::{
    ground::{Ground, Pair},
    watch::{Ids, Watch},
};

const REQUEST: &[u8] = &[b'q'; 205];
const ANSWER: &[u8] = &[b'a'; 77];

/// A connection on which each end has said something, and its watch.
fn talked() -> Result<(Ground, Watch, Pair, Ids)> {
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    let pair = ground.pair()?;
    let ids = watch.ids(&pair)?;
    pair.client.send(REQUEST)?;
    pair.server.receive(REQUEST)?;
    pair.server.send(ANSWER)?;
    pair.client.receive(ANSWER)?;
    Ok((ground, watch, pair, ids))
}

fn counted(ended: &Ended) -> (u64, u64) {
    assert!(ended.last_sent.is_some_and(|sent| sent <= ended.time), "{ended:?}");
    (ended.bytes_sent, ended.bytes_received)
}

const BY_CLIENT: (u64, u64) = (REQUEST.len() as u64, ANSWER.len() as u64);
const BY_SERVER: (u64, u64) = (ANSWER.len() as u64, REQUEST.len() as u64);

#[test]
fn whoever_closes_first_is_told_by_the_states() -> Result<()> {
    for client_first in [true, false] {
        let (_ground, mut watch, pair, ids) = talked()?;
        let (first, second) =
            if client_first { (&pair.client, &pair.server) } else { (&pair.server, &pair.client) };
        first.close()?;
        assert_eq!(second.receive_rest()?, b"");
        second.close()?;
        let (client, server) = (watch.ended(ids.client)?, watch.ended(ids.server)?);
        assert_eq!((counted(&client), counted(&server)), (BY_CLIENT, BY_SERVER));
        let (first, second) = if client_first { (client, server) } else { (server, client) };
        assert_eq!((first.state, first.error), (State::FinWait2, 0));
        assert_eq!((second.state, second.peer_closed, second.error), (State::LastAck, true, 0));
        assert_eq!(watch.story(ids.client).resets, []);
    }
    Ok(())
}

#[test]
fn an_end_that_only_stops_to_send_still_hears_the_other() -> Result<()> {
    let (_ground, mut watch, pair, ids) = talked()?;
    pair.client.shutdown()?;
    assert_eq!(pair.server.receive_rest()?, b"");
    pair.server.send(ANSWER)?;
    pair.server.close()?;
    assert_eq!(pair.client.receive_rest()?, ANSWER);
    pair.client.close()?;
    let (client, server) = (watch.ended(ids.client)?, watch.ended(ids.server)?);
    assert_eq!((client.state, client.peer_closed), (State::FinWait2, true));
    assert_eq!((server.state, server.peer_closed), (State::LastAck, true));
    assert_eq!(counted(&client), (BY_CLIENT.0, BY_CLIENT.1 + ANSWER.len() as u64));
    assert_eq!(counted(&server), (BY_SERVER.0 + ANSWER.len() as u64, BY_SERVER.1));
    Ok(())
}

#[test]
fn a_reset_by_choice_is_sent_by_one_end_and_reaches_the_other() -> Result<()> {
    for by_client in [true, false] {
        let (_ground, mut watch, pair, ids) = talked()?;
        let (by, to) = if by_client { (ids.client, ids.server) } else { (ids.server, ids.client) };
        // The other end waits for bytes that do not come.
        if by_client { &pair.client } else { &pair.server }.abort()?;
        let received = watch.reset(to, Direction::Received)?;
        let sent = watch.reset(by, Direction::Sent)?;
        assert_eq!((received.reason, received.local), (None, sent.remote));
        assert_eq!(sent.reason.is_some(), watch.gives_reasons());
        let (by_ended, to_ended) = (watch.ended(by)?, watch.ended(to)?);
        assert_eq!((by_ended.state, by_ended.peer_closed), (State::Established, false));
        assert_eq!((to_ended.state, to_ended.error), (State::Established, ECONNRESET.unsigned_abs()));
        assert_eq!(counted(&watch.ended(ids.client)?), BY_CLIENT);
        assert_eq!(counted(&watch.ended(ids.server)?), BY_SERVER);
    }
    Ok(())
}

#[test]
fn a_close_with_bytes_left_unread_is_a_reset() -> Result<()> {
    let (_ground, mut watch, pair, ids) = talked()?;
    pair.client.send_apart([REQUEST])?;
    pair.server.close()?;
    watch.reset(ids.client, Direction::Received)?;
    watch.reset(ids.server, Direction::Sent)?;
    let (client, server) = (watch.ended(ids.client)?, watch.ended(ids.server)?);
    assert_eq!((server.state, server.error), (State::Established, 0));
    assert_eq!((client.state, client.error), (State::Established, ECONNRESET.unsigned_abs()));
    assert_eq!(counted(&client), (2 * BY_CLIENT.0, BY_CLIENT.1));
    assert_eq!(counted(&server), (BY_SERVER.0, 2 * BY_SERVER.1));
    Ok(())
}

#[test]
fn bytes_to_an_end_that_is_gone_are_answered_by_a_reset() -> Result<()> {
    let (_ground, mut watch, pair, ids) = talked()?;
    pair.server.close()?;
    assert_eq!(pair.client.receive_rest()?, b"");
    assert_eq!(watch.ended(ids.server)?.state, State::FinWait2);
    pair.client.send(REQUEST)?;
    watch.reset(ids.client, Direction::Received)?;
    let client = watch.ended(ids.client)?;
    assert_eq!((client.state, client.peer_closed), (State::CloseWait, true));
    assert_eq!(counted(&client), (2 * BY_CLIENT.0, BY_CLIENT.1));
    Ok(())
}
