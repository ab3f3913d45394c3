//! Reading of hellos, whole and in parts.

use bytes::Bytes;
use mtlsnoop::{
    event::{
        socket::{Direction, HelloSegment, SocketId},
        time::Time,
    },
    flow::hello,
    tls::{
        client_hello::{Reading, parse},
        ja4, mesh,
    },
};

/// Most bytes that a flow keeps of a hello.
const KEPT_BYTES: usize = 4096;

/// Port (2 bytes), then what a client sent.
pub(crate) fn whole(bytes: &[u8]) {
    let Some((port, bytes)) = bytes.split_first_chunk::<2>() else { return };
    let Reading::Hello(content) = parse(bytes) else { return };
    assert!(ja4::ja4(&content).is_ascii(), "a fingerprint is ASCII");
    let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    assert!(content.sni.as_deref().is_none_or(is_visible), "a server name is escaped");
    assert!(content.alpn.iter().all(|protocol| is_visible(protocol)), "protocols are escaped");
    let _recognised = mesh::recognise(&content, u16::from_be_bytes(*port));
    // What is whole stays what it is, and was incomplete before.
    let there = usize::from(port[0]).min(bytes.len() - 1);
    match parse(&bytes[..there]) {
        Reading::Incomplete { .. } => {}
        Reading::Hello(same) => assert_eq!(same, content, "a hello changed when more bytes came"),
        Reading::NotHello(reason) => panic!("the beginning of a hello was none: {reason}"),
    }
}

/// A number of parts (1 byte), an offset and a length of each (2 bytes each), then the hello that they are parts of.
pub(crate) fn parts(bytes: &[u8]) {
    let Some((&count, rest)) = bytes.split_first() else { return };
    let count = usize::from(count % 32);
    let Some((places, stream)) = rest.split_at_checked(4 * count) else { return };
    let stream = Bytes::copy_from_slice(&stream[..stream.len().min(KEPT_BYTES)]);
    let mut reading = hello::Reading::default();
    for place in places.as_chunks::<4>().0 {
        let [from, length] = [[place[0], place[1]], [place[2], place[3]]].map(u16::from_le_bytes);
        let from = usize::from(from).min(stream.len());
        let to = (from + usize::from(length)).min(stream.len());
        reading.add(&segment(from, stream.slice(from..to)), 6379);
    }
    reading.add(&segment(0, stream.clone()), 6379);
    match (parse(&stream), reading) {
        (Reading::Hello(content), hello::Reading::Whole(hello)) => assert_eq!(hello.content, content),
        (Reading::Hello(_), other) => panic!("a whole hello in parts became {other:?}"),
        (Reading::NotHello(_), other) => assert!(matches!(other, hello::Reading::Broken), "{other:?}"),
        (Reading::Incomplete { .. }, other) => {
            assert!(!matches!(other, hello::Reading::Whole(_)), "half a hello became whole");
        }
    }
}

fn segment(offset: usize, data: Bytes) -> HelloSegment {
    HelloSegment {
        time: Time(0),
        socket: SocketId(1),
        direction: Direction::Sent,
        offset: u32::try_from(offset).unwrap_or(u32::MAX),
        expected_bytes: 0,
        data,
    }
}
