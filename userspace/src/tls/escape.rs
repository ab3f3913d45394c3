//! Turns names from the wire into text without loss and without control bytes; must not know what the names
//! mean.

use std::fmt::Write as _;

use super::grease::is_grease;

/// The name as text: visible ASCII and the space stay, a backslash and every other byte become `\xHH`.
///
/// Names on the wire are bytes chosen by a stranger. Escaped like this, two different names never look the
/// same, and none can write control sequences to a terminal.
pub(super) fn printable(name: &[u8]) -> Box<str> {
    escape(name, |byte| (byte == b' ' || byte.is_ascii_graphic()) && byte != b'\\')
}

/// An ALPN protocol id as text: like [`printable`], but GREASE ids (RFC 8701, section 2) are escaped even
/// where they happen to be letters, as in `ZZ`.
pub(super) fn protocol_id(id: &[u8]) -> Box<str> {
    match *id {
        [high, low] if is_grease(u16::from_be_bytes([high, low])) => escape(id, |_| false),
        _ => printable(id),
    }
}

fn escape(bytes: &[u8], stays: impl Fn(u8) -> bool) -> Box<str> {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if stays(byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::{printable, protocol_id};

    #[test]
    fn names_become_visible_text() {
        for (bytes, text) in [
            (
                b"outbound_.6379_._.redis.default.svc.cluster.local".as_slice(),
                "outbound_.6379_._.redis.default.svc.cluster.local",
            ),
            (b"outbound|6379||redis", "outbound|6379||redis"),
            (b"", ""),
            (b"a b", "a b"),
            (b"\x1b[2J\x00", r"\x1b[2J\x00"),
            (br"\x41", r"\x5cx41"),
            ("bücher".as_bytes(), r"b\xc3\xbccher"),
            (b"ZZ", "ZZ"),
        ] {
            assert_eq!(&*printable(bytes), text);
        }
    }

    #[test]
    fn grease_protocols_are_escaped() {
        for (bytes, text) in [
            (b"ZZ".as_slice(), r"\x5a\x5a"),
            (b"\x0a\x0a", r"\x0a\x0a"),
            (b"h2", "h2"),
            (b"ZZZ", "ZZZ"),
            (b"istio-peer-exchange", "istio-peer-exchange"),
        ] {
            assert_eq!(&*protocol_id(bytes), text);
        }
    }
}
