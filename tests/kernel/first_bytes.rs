//! First bytes that are no hello: what they look like, where they are, and who spoke first.

use anyhow::Result;
use mtlsnoop::event::socket::{Class, Direction, FirstBytes};

use crate::{
    ground::Ground,
    hello,
    watch::{Story, Watch},
};

/// The only first bytes of a direction.
fn only(story: &Story, direction: Direction) -> &FirstBytes {
    let seen: Vec<_> = story.first_bytes.iter().filter(|bytes| bytes.direction == direction).collect();
    let [only] = seen[..] else { panic!("{direction:?}: {seen:?}") };
    only
}

#[test]
fn are_told_by_what_they_look_like_in_both_directions() -> Result<()> {
    let table: [(&[u8], Class, &[u8], Class); 7] = [
        (b"*1\r\n$4\r\nPING\r\n", Class::Redis, b"+PONG\r\n", Class::Redis),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            Class::HttpRequest,
            b"HTTP/1.1 400 Bad Request\r\n",
            Class::HttpResponse,
        ),
        (
            b"\x00\x00\x00\x54\x00\x03\x00\x00user\x00",
            Class::PostgresStartup,
            b"R\x00\x00\x00\x08",
            Class::Other,
        ),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Class::Http2Preface, b"\x00\x00\x12\x04\x00", Class::Other),
        (b"stats\r\n", Class::Text, b"ERROR\r\n", Class::Text),
        (
            b"\x00\x00\x00\x0d\x00\x12\x00\x00\x00\x00\x00\x01\x00\x03abc",
            Class::Kafka,
            b"\x00\x00\x01\x0e\x00\x00\x00\x01\x00\x00",
            Class::Other,
        ),
        (b"\x04\x00\x00\x00\x05\x00\x00\x00\x00", Class::Cassandra, b"\x84\x00\x00\x00\x06", Class::Other),
    ];
    let ground = Ground::new()?;
    let mut watch = Watch::start(&ground)?;
    for (request, asked, answer, answered) in table {
        let pair = ground.pair()?;
        let ids = watch.ids(&pair)?;
        pair.client.send(request)?;
        pair.server.receive(request)?;
        pair.server.send(answer)?;
        pair.client.receive(answer)?;
        pair.client.close()?;
        pair.server.close()?;
        let (client, server) = watch.stories(ids)?;
        for (story, direction, bytes, class) in [
            (&client, Direction::Sent, request, asked),
            (&server, Direction::Received, request, asked),
            (&server, Direction::Sent, answer, answered),
            (&client, Direction::Received, answer, answered),
        ] {
            let seen = only(story, direction);
            assert_eq!(seen.class, class, "{}", bytes.escape_ascii());
            assert_eq!(usize::try_from(seen.payload_bytes)?, bytes.len());
        }
    }
    Ok(())
}

#[test]
fn of_a_listener_that_greets_are_before_the_hello_and_those_of_an_answer_after_it() -> Result<()> {
    let hello = hello::short();
    let hello_bytes = u32::try_from(hello.len())?;
    for greets in [true, false] {
        let ground = Ground::new()?;
        let mut watch = Watch::start(&ground)?;
        let pair = ground.pair()?;
        let ids = watch.ids(&pair)?;
        let greeting = b"220 mail ESMTP\r\n";
        if greets {
            pair.server.send(greeting)?;
            pair.client.receive(greeting)?;
        }
        pair.client.send(&hello)?;
        pair.server.receive(&hello)?;
        if !greets {
            pair.server.send(greeting)?;
            pair.client.receive(greeting)?;
        }
        pair.client.close()?;
        pair.server.close()?;
        let (client, server) = watch.stories(ids)?;
        let had = if greets { 0 } else { hello_bytes };
        let (sent, received) = (only(&server, Direction::Sent), only(&client, Direction::Received));
        // The connecting end's SYN counts.
        assert_eq!((sent.other_offset, received.other_offset), (had, had + 1), "greets: {greets}");
        for seen in [sent, received] {
            assert_eq!(seen.class, Class::Reply220);
            assert_eq!(&seen.data[..], if greets { b"".as_slice() } else { greeting }, "greets: {greets}");
        }
    }
    Ok(())
}
