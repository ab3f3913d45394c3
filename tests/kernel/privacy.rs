//! What people say to each other stays in the kernel: only hellos and the first 64 bytes of their answers leave it.

use anyhow::Result;
use bytes::Bytes;
use mtlsnoop::event::{
    Event,
    socket::{Direction, SocketId},
};

use crate::{
    ground::Ground,
    hello,
    watch::{Ids, Watch},
};

/// Most bytes of an answer that may leave the kernel.
const ANSWER_LIMIT: usize = 64;

/// Cannot come from anybody else on this machine.
const SECRET: &[u8] = b"tSgNLd-4711-correct-horse-battery-staple";

/// What the client says, and what it is answered.
enum Turn<'a> {
    Client(&'a [u8]),
    Server(&'a [u8]),
}

/// Plays the turns, each sent in a packet of its own, and gives what was told.
fn play(watch: &mut Watch, ground: &Ground, turns: &[Turn<'_>]) -> Result<Ids> {
    let pair = ground.pair()?;
    let ids = watch.ids(&pair)?;
    for turn in turns {
        let (from, to, bytes) = match turn {
            Turn::Client(bytes) => (&pair.client, &pair.server, bytes),
            Turn::Server(bytes) => (&pair.server, &pair.client, bytes),
        };
        from.send_apart([*bytes])?;
        to.receive(bytes)?;
    }
    pair.client.close()?;
    pair.server.close()?;
    watch.stories(ids)?;
    Ok(ids)
}

/// Every byte of payload in an event.
fn payload(event: &Event) -> Option<(SocketId, &Bytes)> {
    match event {
        Event::Hello(segment) => Some((segment.socket, &segment.data)),
        Event::FirstBytes(bytes) => Some((bytes.socket, &bytes.data)),
        _ => None,
    }
}

/// All payload that was told of a connection, one after another.
fn told(watch: &Watch, ids: Ids) -> Vec<u8> {
    let of_connection = |(socket, data): (SocketId, &'_ Bytes)| {
        [ids.client, ids.server].contains(&socket).then(|| data.to_vec())
    };
    watch.events().iter().filter_map(payload).filter_map(of_connection).flatten().collect()
}

fn has_secret(bytes: &[u8]) -> bool {
    // A quarter of it would be too much.
    SECRET.chunks(SECRET.len() / 4).any(|part| bytes.windows(part.len()).any(|window| window == part))
}

fn with_secret(before: &[u8]) -> Vec<u8> {
    [before, SECRET, b"\r\n"].concat()
}

#[test]
fn the_search_finds_what_it_looks_for() {
    assert!(has_secret(&with_secret(b"AUTH ")));
    assert!(has_secret(&SECRET[SECRET.len() / 2..]));
    assert!(!has_secret(b"tSgN-battery"));
}

#[test]
fn nothing_of_plaintext_leaves_in_either_direction() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    let before: [&[u8]; 9] = [
        b"",
        b"*2\r\n$4\r\nAUTH\r\n$40\r\n",
        b"GET /?token=",
        b"\x00\x00\x00\x54\x00\x03\x00\x00user\x00",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76",
        b"\x16\x04",
        b"\x17\x03\x03\x00\x40",
        b"\x16PASS ",
    ];
    for before in before {
        let bytes = with_secret(before);
        for turns in
            [[Turn::Client(&bytes), Turn::Server(&bytes)], [Turn::Server(&bytes), Turn::Client(&bytes)]]
        {
            let ids = play(&mut watch, &ground, &turns)?;
            assert_eq!(told(&watch, ids).escape_ascii().to_string(), "", "{}", before.escape_ascii());
        }
    }
    Ok(())
}

#[test]
fn nothing_leaves_of_what_begins_like_a_hello_and_is_none() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    let secret = with_secret(b"");
    // The fifth byte is the last before the one that tells what handshake message it is.
    let beginnings: [&[u8]; 4] = [b"\x16", b"\x16\x03", b"\x16\x03\x01", b"\x16\x03\x01\x00\xc8"];
    for begin in beginnings {
        for more in [b"".as_slice(), b"\x03", b"\x03\x01\x00\xc8\x02"] {
            let turns =
                [Turn::Client(begin), Turn::Client(more), Turn::Client(&secret), Turn::Server(&secret)];
            let turns: Vec<_> = turns.into_iter().filter(|turn| !matches!(turn, Turn::Client([]))).collect();
            let ids = play(&mut watch, &ground, &turns)?;
            let told = told(&watch, ids);
            assert!(
                !has_secret(&told),
                "{}, {}: {}",
                begin.escape_ascii(),
                more.escape_ascii(),
                told.escape_ascii()
            );
        }
    }
    Ok(())
}

#[test]
fn what_follows_a_hello_in_the_same_write_or_later_stays() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    let hello = hello::short();
    let together = [&hello[..], SECRET].concat();
    for turns in [
        vec![Turn::Client(&together)],
        vec![Turn::Client(&hello), Turn::Client(SECRET)],
        vec![Turn::Client(&hello[..1]), Turn::Client(&together[1..])],
        vec![Turn::Client(&hello[..7]), Turn::Client(&together[7..])],
        vec![Turn::Client(&hello[..100]), Turn::Client(&together[100..]), Turn::Client(SECRET)],
    ] {
        let ids = play(&mut watch, &ground, &turns)?;
        for (socket, direction) in [(ids.client, Direction::Sent), (ids.server, Direction::Received)] {
            assert_eq!(watch.story(socket).hello(direction).as_ref(), Some(&hello), "{direction:?}");
        }
        assert!(!has_secret(&told(&watch, ids)));
    }
    Ok(())
}

#[test]
fn of_an_answer_to_a_hello_at_most_64_bytes_leave() -> Result<()> {
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    let hello = hello::short();
    let answer: Vec<u8> = (b'A'..=b'z').cycle().take(500).collect();
    for piece in [1, 10, 63, 64, 65, 500] {
        let mut turns = vec![Turn::Client(&hello)];
        turns.extend(answer.chunks(piece).take(100).map(Turn::Server));
        let ids = play(&mut watch, &ground, &turns)?;
        for (socket, direction) in [(ids.client, Direction::Received), (ids.server, Direction::Sent)] {
            let story = watch.story(socket);
            let data: Vec<u8> = story.first_bytes.iter().flat_map(|bytes| bytes.data.to_vec()).collect();
            assert!(story.first_bytes.iter().all(|bytes| bytes.direction == direction));
            assert_eq!(data, &answer[..ANSWER_LIMIT], "{direction:?}, {piece} bytes at a time");
        }
    }
    Ok(())
}
