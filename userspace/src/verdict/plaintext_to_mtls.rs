//! `plaintext-to-mtls`: plaintext reaches a proxy that wants mesh mTLS. Pure.

use crate::{
    event::{istio::ServerMode, socket::Class},
    update::{Behaviour, Confidence},
    verdict::{
        case::{Case, PassedOn},
        has_proxy_at_destination,
    },
};

/// How sure it is that this attempt is one; none when it is not.
///
/// A proxy without a filter chain for plaintext closes with the client's bytes unread, so that the client gets a reset
/// and not a byte. An application behind a permissive proxy may do the same: only when the proxy was seen to pass nothing on,
/// or when STRICT is declared, is it the proxy.
pub fn confidence(case: &Case<'_>) -> Option<Confidence> {
    let is_refused = matches!(case.behaviour, Behaviour::Reset | Behaviour::Closed);
    if !is_refused || case.is_taken_over || !case.client_class.is_some_and(is_plaintext) {
        return None;
    }
    // What it takes from others, it takes from this one.
    let takes_plaintext = case.knowledge.plaintext.is_some() || case.passed_on == PassedOn::Something;
    if takes_plaintext || has_proxy_at_destination(case) != Some(true) {
        return None;
    }
    // At its own port a proxy may be a gateway, which takes other things than mesh mTLS.
    let was_redirected = case.acceptor.is_some_and(|acceptor| acceptor.port != case.server.address.port());
    let was_seen = was_redirected && case.passed_on == PassedOn::Nothing;
    let is_strict = case.declared.server_mode().is_some_and(|effective| effective.mode == ServerMode::Strict);
    let takes_mtls = case.knowledge.mtls.is_some();
    match (was_seen, is_strict, takes_mtls) {
        (true, true, _) | (_, true, true) => Some(Confidence::Certain),
        (true, _, true) | (_, true, _) => Some(Confidence::Likely),
        (true, ..) | (_, _, true) => Some(Confidence::Possible),
        _ => None,
    }
}

fn is_plaintext(class: Class) -> bool {
    !matches!(class, Class::TlsHandshake | Class::TlsAlert)
}
