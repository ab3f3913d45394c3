//! Tells whether the first bytes that answer a ClientHello are TLS; must not know what else they could be.

use super::alert::{AlertDescription, AlertLevel};
use super::record::{ALERT, HANDSHAKE, RECORD_HEADER_BYTES, header};

/// `HandshakeType.server_hello` (RFC 8446, section 4), which a HelloRetryRequest has as well.
const SERVER_HELLO: u8 = 2;
/// Level and description of an alert that is not encrypted (RFC 8446, section 6).
const ALERT_BYTES: usize = 2;

/// What the first bytes of a peer that was sent a ClientHello are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsAnswer {
    /// The beginning of a ServerHello: the peer speaks TLS.
    ServerHello,
    /// A TLS alert: the peer speaks TLS and refuses.
    Alert {
        /// How bad the peer says it is.
        level: AlertLevel,
        /// Why it refuses.
        description: AlertDescription,
    },
    /// Something else than TLS.
    NotTls,
    /// Could be TLS so far, or nothing is there.
    TooShort,
}

/// Reads the first bytes that came back on a ClientHello.
///
/// A ClientHello that comes back is [`TlsAnswer::NotTls`]: an echo, not a TLS server.
pub fn answer(bytes: &[u8]) -> TlsAnswer {
    let read = match bytes.first() {
        None => Some(TlsAnswer::TooShort),
        Some(&HANDSHAKE) => server_hello(bytes),
        Some(&ALERT) => alert(bytes),
        Some(_) => None,
    };
    read.unwrap_or(TlsAnswer::NotTls)
}

fn server_hello(bytes: &[u8]) -> Option<TlsAnswer> {
    header(bytes, HANDSHAKE).ok()?;
    match bytes.get(RECORD_HEADER_BYTES) {
        None => Some(TlsAnswer::TooShort),
        Some(&message_type) => (message_type == SERVER_HELLO).then_some(TlsAnswer::ServerHello),
    }
}

fn alert(bytes: &[u8]) -> Option<TlsAnswer> {
    match header(bytes, ALERT).ok()? {
        None => return Some(TlsAnswer::TooShort),
        Some(length_bytes) if length_bytes != ALERT_BYTES => return None,
        Some(_) => {}
    }
    let level = match bytes.get(RECORD_HEADER_BYTES) {
        None => return Some(TlsAnswer::TooShort),
        Some(&level) => AlertLevel::from_byte(level)?,
    };
    Some(match bytes.get(RECORD_HEADER_BYTES + 1) {
        None => TlsAnswer::TooShort,
        Some(&description) => TlsAnswer::Alert { level, description: AlertDescription(description) },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::{TlsAnswer, answer};
    use crate::tls::alert::{AlertDescription, AlertLevel};
    use crate::tls::samples;

    fn alert(level: AlertLevel, description: u8) -> TlsAnswer {
        TlsAnswer::Alert { level, description: AlertDescription(description) }
    }

    #[test]
    fn answers_are_told_apart() {
        for (bytes, expected) in [
            (b"".as_slice(), TlsAnswer::TooShort),
            (b"\x16", TlsAnswer::TooShort),
            (b"\x16\x03\x03\x00\x7a", TlsAnswer::TooShort),
            (b"\x16\x03\x03\x00\x7a\x02", TlsAnswer::ServerHello),
            (b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03", TlsAnswer::ServerHello),
            (b"\x16\x03\x03\x00\x7a\x0b", TlsAnswer::NotTls),
            (b"\x16\x04", TlsAnswer::NotTls),
            (b"\x16\x03\x03\x00\x00", TlsAnswer::NotTls),
            (b"\x15\x03\x01\x00\x02\x02", TlsAnswer::TooShort),
            (b"\x15\x03\x01\x00\x02\x02\x46", alert(AlertLevel::Fatal, 70)),
            (b"\x15\x03\x03\x00\x02\x01\x70", alert(AlertLevel::Warning, 112)),
            (b"\x15\x03\x03\x00\x02\x03\x70", TlsAnswer::NotTls),
            (b"\x15\x03\x03\x00\x13\x02\x46", TlsAnswer::NotTls),
            (b"\x17\x03\x03\x00\x02", TlsAnswer::NotTls),
            (b"ERROR\r\n", TlsAnswer::NotTls),
            (b"HTTP/1.1 400 Bad Request\r\n", TlsAnswer::NotTls),
            (b"AMQP\x00\x00\x09\x01", TlsAnswer::NotTls),
        ] {
            assert_eq!(answer(bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn an_echo_is_not_tls() {
        assert_eq!(answer(&samples::bytes(samples::ISTIO_TLS12)[..64]), TlsAnswer::NotTls);
    }

    #[test]
    fn alerts_have_their_registered_names() {
        for (number, name) in [
            (0, Some("close_notify")),
            (40, Some("handshake_failure")),
            (42, Some("bad_certificate")),
            (48, Some("unknown_ca")),
            (70, Some("protocol_version")),
            (112, Some("unrecognized_name")),
            (116, Some("certificate_required")),
            (120, Some("no_application_protocol")),
            (255, None),
        ] {
            assert_eq!(AlertDescription(number).name(), name);
        }
        assert_eq!((AlertLevel::Warning.name(), AlertLevel::Fatal.name()), ("warning", "fatal"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            answer(&bytes);
        }
    }
}
