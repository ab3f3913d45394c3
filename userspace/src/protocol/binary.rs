//! Servers whose first bytes are binary frames; must not know of text.

use super::{Guess, Protocol, answer, greeting};

/// Guesses from binary frames.
pub(super) fn guess(bytes: &[u8]) -> Option<Guess> {
    [mysql, http2, postgresql, cassandra, zookeeper, mongodb, amqp_method, mqtt, elasticsearch]
        .iter()
        .find_map(|guess| guess(bytes))
}

/// The server's handshake, or an error in its place ("Host … is not allowed to connect", "Too many
/// connections"): packet number 0, then 10 and a version, or 0xff and an error number (MySQL source
/// documentation, `Protocol::HandshakeV10` and `ERR_Packet`).
fn mysql(bytes: &[u8]) -> Option<Guess> {
    let (&[length_low, length_high, 0, 0, kind], body) = bytes.split_first_chunk::<5>()? else { return None };
    let packet_bytes = u16::from_le_bytes([length_low, length_high]);
    let known = match kind {
        // "5.7…", "8.0…", "11.4…-MariaDB", up to a NUL; the fixed parts behind it are 32 bytes or more.
        10 => packet_bytes > 32 && version_text(body)?,
        0xff => {
            let (&number, message) = body.split_first_chunk::<2>()?;
            // Server errors begin at 1000, and none has reached 5000: `mysqld_error.h`.
            (1000..5000).contains(&u16::from_le_bytes(number)) && is_text(*message.first()?)
        }
        _ => false,
    };
    known.then_some(greeting(Protocol::Mysql))
}

fn version_text(body: &[u8]) -> Option<bool> {
    let version = body.split(|&byte| byte == 0).next()?;
    Some(version.first()?.is_ascii_digit() && version.iter().copied().all(is_text))
}

fn is_text(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte == b' '
}

/// A frame of the connection as a whole (RFC 9113, section 4.1): SETTINGS is what a server sends first, and
/// many send it before they read anything; GOAWAY is how one answers a wrong preface.
fn http2(bytes: &[u8]) -> Option<Guess> {
    let &[0, high, low, kind, 0, 0, 0, 0, 0] = bytes.first_chunk::<9>()? else { return None };
    let frame_bytes = u16::from_be_bytes([high, low]);
    match kind {
        // Settings of 6 bytes each, of which about a dozen are registered (RFC 9113, section 6.5.1).
        4 if frame_bytes.is_multiple_of(6) && frame_bytes <= 6 * 32 => Some(greeting(Protocol::Http2)),
        // A stream and an error code, then text (RFC 9113, section 6.8).
        7 if (8..1024).contains(&frame_bytes) => Some(answer(Protocol::Http2)),
        _ => None,
    }
}

/// Protocol 3 (PostgreSQL documentation, "Message Formats"): `ErrorResponse`, an authentication request, or
/// the single `N` that declines encryption.
///
/// A lone `S`, which accepts encryption, is not told apart from the beginning of other protocols, and what
/// follows is TLS.
fn postgresql(bytes: &[u8]) -> Option<Guess> {
    let known = match *bytes {
        [b'N'] => true,
        // A field 'S' (severity), as text and not empty, is the first of every error.
        [b'E', 0, 0, high, low, b'S', severity, ..] => {
            high < 8 && (high, low) > (0, 8) && severity.is_ascii_alphabetic()
        }
        // AuthenticationOk, …CleartextPassword, …MD5Password, …GSS and …SASL; each has its length.
        [b'R', 0, 0, 0, length, 0, 0, 0, request, ..]
        | [b'N', b'R', 0, 0, 0, length, 0, 0, 0, request, ..] => {
            matches!((request, length), (0 | 3 | 7 | 9, 8) | (5, 12) | (10, 12..))
        }
        _ => false,
    };
    known.then_some(answer(Protocol::Postgresql))
}

/// A response frame (Cassandra, `doc/native_protocol_v5.spec`, section 2): the version with its highest bit
/// set, flags, stream, operation, length.
fn cassandra(bytes: &[u8]) -> Option<Guess> {
    let (&[version, flags, _, _, operation, length @ ..], body) = bytes.split_first_chunk::<9>()?;
    // Versions 3 to 6 have this header; five flags are defined.
    if !(0x83..=0x86).contains(&version) || flags > 0x1f {
        return None;
    }
    let body_bytes = u32::from_be_bytes(length);
    let known = match operation {
        // ERROR: a number, of which the specification's section 9 has none above 0x2500, and a text.
        0 => (6..65_536).contains(&body_bytes) && u32::from_be_bytes(*body.first_chunk()?) <= 0x2500,
        // READY.
        2 => body_bytes == 0,
        // AUTHENTICATE: the name of a Java class.
        3 => (3..256).contains(&body_bytes) && body.get(2)?.is_ascii_alphabetic(),
        // SUPPORTED: a count and that many names with values.
        6 => (2..4096).contains(&body_bytes) && body.first() == Some(&0),
        _ => false,
    };
    known.then_some(answer(Protocol::Cassandra))
}

/// `ConnectResponse` (ZooKeeper, `zookeeper.jute`): length 36, or 37 with the read-only flag, protocol
/// version 0, timeout, session, and a password of 16 bytes.
fn zookeeper(bytes: &[u8]) -> Option<Guess> {
    let known =
        matches!(bytes.get(..8)?, [0, 0, 0, 36 | 37, 0, 0, 0, 0]) && bytes.get(20..24)? == [0, 0, 0, 16];
    known.then_some(answer(Protocol::Zookeeper))
}

/// `OP_MSG`, or the `OP_REPLY` with one document that answers a first hello (MongoDB manual, "Wire
/// Protocol").
fn mongodb(bytes: &[u8]) -> Option<Guess> {
    const OP_REPLY: u32 = 1;
    const OP_MSG: u32 = 2013;
    /// `maxMessageSizeBytes`.
    const MAX_MESSAGE_BYTES: u32 = 48_000_000;
    let word = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let (message_bytes, operation) = (word(0)?, word(12)?);
    if !(16 + 5..MAX_MESSAGE_BYTES).contains(&message_bytes) {
        return None;
    }
    let known = match operation {
        OP_MSG => true,
        // Flags, a cursor of 8 bytes, where it starts, how many documents.
        OP_REPLY => word(16)? < 16 && word(20)? == 0 && word(24)? == 0 && word(28)? == 0 && word(32)? == 1,
        _ => false,
    };
    known.then_some(answer(Protocol::Mongodb))
}

/// `connection.start` (AMQP 0-9-1, sections 2.3.5 and 1.4): a method frame on channel 0, class 10, method 10,
/// version 0-9.
fn amqp_method(bytes: &[u8]) -> Option<Guess> {
    let &[1, 0, 0, _, _, _, _, 0, 10, 0, 10, 0, 9] = bytes.first_chunk::<13>()? else { return None };
    Some(answer(Protocol::Amqp))
}

/// CONNACK, and nothing else (MQTT 3.1.1 and 5, section 3.2).
fn mqtt(bytes: &[u8]) -> Option<Guess> {
    let (&[0x20, remaining_bytes, flags, reason], properties) = bytes.split_first_chunk::<4>()? else {
        return None;
    };
    if flags > 1 || usize::from(remaining_bytes) != 2 + properties.len() {
        return None;
    }
    let known = match properties.split_first() {
        None => reason <= 5,
        Some((&properties_bytes, rest)) => {
            usize::from(properties_bytes) == rest.len() && (reason == 0 || (0x80..0xa0).contains(&reason))
        }
    };
    known.then_some(answer(Protocol::Mqtt))
}

/// A message between nodes: `ES`, its length, then the number of the request, a status of five bits and a
/// version (Elasticsearch, `org.elasticsearch.transport.TcpHeader`).
fn elasticsearch(bytes: &[u8]) -> Option<Guess> {
    let &[b'E', b'S', 0, _, _, _, _, _, _, _, _, _, _, _, status] = bytes.first_chunk::<15>()? else {
        return None;
    };
    (status < 0x20).then_some(answer(Protocol::Elasticsearch))
}
