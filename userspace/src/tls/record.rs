//! The TLS record layer as far as a ClientHello needs it: headers, and one handshake message out of several
//! records. Must not know what is in the message.

use std::borrow::Cow;

use tls_parser::TlsRecordType;

use super::client_hello::{MAX_HELLO_BYTES, Reason};

/// `ContentType.handshake` (RFC 8446, section 5.1).
pub(super) const HANDSHAKE: u8 = TlsRecordType::Handshake.0;
/// `ContentType.alert` (RFC 8446, section 5.1).
pub(super) const ALERT: u8 = TlsRecordType::Alert.0;

/// Type, version and length of a record (RFC 8446, section 5.1).
pub(super) const RECORD_HEADER_BYTES: usize = 5;
/// Type and length of a handshake message (RFC 8446, section 4).
const MESSAGE_HEADER_BYTES: usize = 4;
/// The most that a record without encryption may carry (RFC 8446, section 5.1).
const MAX_RECORD_BYTES: usize = 1 << 14;
/// `HandshakeType.client_hello` (RFC 8446, section 4).
const CLIENT_HELLO: u8 = 1;

/// Reads a record header of the given content type: the length of what follows, or `None` while the header is
/// not whole.
pub(super) fn header(bytes: &[u8], content_type: u8) -> Result<Option<usize>, Reason> {
    if let Some(&found) = bytes.first()
        && found != content_type
    {
        return Err(Reason::ContentType { found });
    }
    // SSL 3.0 to TLS 1.3; a TLS client writes 3.1 here, or 3.3 (RFC 8446, section 5.1), and old ones 3.0.
    if bytes.get(1).is_some_and(|&major| major != 3) || bytes.get(2).is_some_and(|&minor| minor > 4) {
        return Err(Reason::RecordVersion);
    }
    let Some(&[_, _, _, high, low]) = bytes.first_chunk::<RECORD_HEADER_BYTES>() else { return Ok(None) };
    let length_bytes = usize::from(u16::from_be_bytes([high, low]));
    if length_bytes == 0 || length_bytes > MAX_RECORD_BYTES {
        return Err(Reason::RecordLength { length_bytes });
    }
    Ok(Some(length_bytes))
}

/// How much of the first handshake message is there.
pub(super) enum Gathered<'a> {
    /// All of it, without its header.
    Whole(Cow<'a, [u8]>),
    /// Not yet; so many bytes at least are missing, if the message has told its length.
    Missing(Option<usize>),
}

/// Puts the first handshake message together, which has to be a ClientHello, from however many records it was
/// cut into.
pub(super) fn client_hello_message(bytes: &[u8]) -> Result<Gathered<'_>, Reason> {
    let bytes = &bytes[..bytes.len().min(MAX_HELLO_BYTES)];
    let mut message = Cow::Borrowed([].as_slice());
    let mut rest = bytes;
    loop {
        let Some(record_bytes) = header(rest, HANDSHAKE)? else {
            return missing(bytes.len(), &message, RECORD_HEADER_BYTES - rest.len());
        };
        let payload = &rest[RECORD_HEADER_BYTES..];
        let (part, after) = payload.split_at(record_bytes.min(payload.len()));
        if message.is_empty() {
            message = Cow::Borrowed(part);
        } else {
            message.to_mut().extend_from_slice(part);
        }
        match message_bytes(&message)? {
            Some(total) if total > MAX_HELLO_BYTES - RECORD_HEADER_BYTES => return Err(Reason::TooLong),
            Some(total) if message.len() >= total => {
                return Ok(Gathered::Whole(cut(message, MESSAGE_HEADER_BYTES, total)));
            }
            Some(total) if part.len() < record_bytes => {
                // What this record does not hold takes a record, and a header, of its own.
                let in_this_record = message.len() + (record_bytes - part.len());
                let headers_bytes = if in_this_record < total { RECORD_HEADER_BYTES } else { 0 };
                return missing(bytes.len(), &message, headers_bytes);
            }
            None if part.len() < record_bytes => return Ok(Gathered::Missing(None)),
            Some(_) | None => rest = after,
        }
    }
}

/// What is missing of the message, and of headers before it, unless with that it were longer than anything
/// read here.
fn missing<'a>(there_bytes: usize, message: &[u8], headers_bytes: usize) -> Result<Gathered<'a>, Reason> {
    let Some(total) = message_bytes(message)? else { return Ok(Gathered::Missing(None)) };
    let missing_bytes = total - message.len() + headers_bytes;
    if there_bytes + missing_bytes > MAX_HELLO_BYTES {
        return Err(Reason::TooLong);
    }
    Ok(Gathered::Missing(Some(missing_bytes)))
}

/// The length that a ClientHello states, with its header, if that is there.
fn message_bytes(message: &[u8]) -> Result<Option<usize>, Reason> {
    if let Some(&found) = message.first()
        && found != CLIENT_HELLO
    {
        return Err(Reason::MessageType { found });
    }
    let Some(&[_, high, middle, low]) = message.first_chunk::<MESSAGE_HEADER_BYTES>() else {
        return Ok(None);
    };
    let body_bytes = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    Ok(Some(MESSAGE_HEADER_BYTES + body_bytes))
}

fn cut(message: Cow<'_, [u8]>, from: usize, to: usize) -> Cow<'_, [u8]> {
    match message {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[from..to]),
        Cow::Owned(bytes) => Cow::Owned(bytes[from..to].to_vec()),
    }
}
