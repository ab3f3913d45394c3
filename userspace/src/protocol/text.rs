//! Servers whose first bytes are text; must not know of binary frames.

use super::{Guess, Protocol, answer, greeting};

/// Beginnings that are telling by themselves.
const BEGINNINGS: [(&[u8], Guess); 34] = [
    // Redis and Valkey, src/networking.c and src/server.c. The first two are written at accept, before
    // anything is read.
    (b"-DENIED ", greeting(Protocol::Redis)),
    (b"-ERR max number of clients", greeting(Protocol::Redis)),
    (b"-ERR unknown command", answer(Protocol::Redis)),
    (b"-ERR Protocol error", answer(Protocol::Redis)),
    (b"-ERR wrong number of arguments", answer(Protocol::Redis)),
    (b"-NOAUTH ", answer(Protocol::Redis)),
    (b"-WRONGPASS ", answer(Protocol::Redis)),
    (b"-NOPERM ", answer(Protocol::Redis)),
    (b"-NOPROTO ", answer(Protocol::Redis)),
    (b"-LOADING ", answer(Protocol::Redis)),
    (b"-MASTERDOWN ", answer(Protocol::Redis)),
    (b"+PONG\r\n", answer(Protocol::Redis)),
    // memcached, memcached.c and proto_text.c. The first is written at accept.
    (b"ERROR Too many open connections", greeting(Protocol::Memcached)),
    (b"CLIENT_ERROR ", answer(Protocol::Memcached)),
    (b"SERVER_ERROR ", answer(Protocol::Memcached)),
    (b"STORED\r\n", answer(Protocol::Memcached)),
    (b"END\r\n", answer(Protocol::Memcached)),
    (b"VALUE ", answer(Protocol::Memcached)),
    (b"VERSION 1.", answer(Protocol::Memcached)),
    // NATS, server/server.go; the errors are quoted, unlike those of Redis.
    (b"INFO {", greeting(Protocol::Nats)),
    (b"-ERR '", answer(Protocol::Nats)),
    // RFC 4253, section 4.2; the second is what OpenSSH's sshd.c writes at accept when it has too many.
    (b"SSH-", greeting(Protocol::Ssh)),
    (b"Exceeded MaxStartups", greeting(Protocol::Ssh)),
    // RFC 6143, section 7.1.1: "RFB 003.008\n".
    (b"RFB 00", greeting(Protocol::Vnc)),
    // RFC 9051, section 7.1.
    (b"* OK ", greeting(Protocol::Imap)),
    (b"* PREAUTH ", greeting(Protocol::Imap)),
    (b"* BYE ", greeting(Protocol::Imap)),
    // RFC 1939, section 4. Redis writes "+OK\r\n", without the space.
    (b"+OK ", greeting(Protocol::Pop3)),
    // RFC 9112, section 4.
    (b"HTTP/1.", answer(Protocol::Http)),
    // The protocol header, with which a broker answers a wrong one: AMQP 0-9-1, section 4.2.2; AMQP 1.0,
    // section 2.2.
    (b"AMQP", answer(Protocol::Amqp)),
    // PostgreSQL, src/backend/utils/error/elog.c: the form of protocol 2, for clients that did not ask for 3.
    (b"EFATAL:  ", answer(Protocol::Postgresql)),
    // The four-letter commands of ZooKeeper, which probes send.
    (b"imok", answer(Protocol::Zookeeper)),
    (b"Zookeeper version:", answer(Protocol::Zookeeper)),
    (b"This ZooKeeper instance", answer(Protocol::Zookeeper)),
];

/// Guesses from text.
pub(super) fn guess(bytes: &[u8]) -> Option<Guess> {
    let by_beginning = BEGINNINGS.iter().find(|(beginning, _)| bytes.starts_with(beginning));
    by_beginning
        .map(|&(_, guess)| guess)
        .or_else(|| memcached_error(bytes))
        .or_else(|| resp(bytes))
        .or_else(|| reply_code(bytes))
}

/// memcached's `ERROR`, once for each line of what it was sent. STOMP has a frame of that name, but with
/// headers under it.
fn memcached_error(bytes: &[u8]) -> Option<Guess> {
    const ERROR: &[u8] = b"ERROR\r\n";
    let rest = bytes.strip_prefix(ERROR)?;
    let next = &rest[..rest.len().min(ERROR.len())];
    ERROR.starts_with(next).then_some(answer(Protocol::Memcached))
}

/// A RESP bulk string, array, map or integer: its type, a number, and CR LF (Redis serialization protocol
/// specification).
fn resp(bytes: &[u8]) -> Option<Guess> {
    let rest =
        bytes.strip_prefix(b"$").or_else(|| bytes.strip_prefix(b"*")).or_else(|| bytes.strip_prefix(b"%"));
    let rest = rest.or_else(|| bytes.strip_prefix(b":"))?;
    let rest = rest.strip_prefix(b"-").unwrap_or(rest);
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0 && rest[digits..].starts_with(b"\r\n")).then_some(answer(Protocol::Redis))
}

/// SMTP (RFC 5321, section 4.2) and FTP (RFC 959, section 4.2) greet with the same codes: 220, 421 when too
/// busy, and SMTP also 554. Only the text after the code tells them apart.
fn reply_code(bytes: &[u8]) -> Option<Guess> {
    let (code, text) = bytes.split_first_chunk::<3>()?;
    if !matches!(code, b"220" | b"421" | b"554") || !matches!(text.first(), Some(b' ' | b'-')) {
        return None;
    }
    let says = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
    if says(b"SMTP") {
        return Some(greeting(Protocol::Smtp));
    }
    (code != b"554" && (says(b"FTP") || says(b"FileZilla"))).then_some(greeting(Protocol::Ftp))
}

#[cfg(test)]
mod tests {
    use super::BEGINNINGS;

    #[test]
    fn no_beginning_hides_another() {
        for (at, (beginning, _)) in BEGINNINGS.iter().enumerate() {
            let earlier = BEGINNINGS[..at].iter().find(|(earlier, _)| beginning.starts_with(earlier));
            assert_eq!(earlier, None);
        }
    }
}
