//! `double-tls`: a proxy wraps an application's TLS into TLS of its own, and the server unwraps only one of them. Pure.

use crate::{
    update::{Behaviour, Confidence},
    verdict::case::{Case, LegSeen},
};

/// How sure it is that this attempt is one; none when it is not.
///
/// An application's TLS inside of mesh mTLS is the mesh's ordinary way: only TLS that a proxy originates without being a
/// mesh's is suspect, and only when the application's own handshake was not answered in TLS.
pub fn confidence(case: &Case<'_>) -> Option<Confidence> {
    let outer = case.plain_hello?;
    let LegSeen { hello: Some(inner), answer, end: Some(end), .. } = case.leg? else { return None };
    // The same hello is the application's own, passed on.
    let is_passed_through = inner.content == outer.content;
    if !case.is_from_proxy || is_passed_through || case.behaviour != Behaviour::Tls {
        return None;
    }
    match (answer, end.bytes_received) {
        (Some(Behaviour::Plaintext | Behaviour::SpokeFirst), _) => Some(Confidence::Certain),
        (None, 0) => Some(Confidence::Likely),
        _ => None,
    }
}
