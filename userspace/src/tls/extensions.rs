//! Reads the extensions of a ClientHello that matter here and tolerates all others; must not know of records
//! or messages.

use tls_parser::{
    SNIType, TlsExtension, TlsExtensionType, parse_tls_extension_alpn_content,
    parse_tls_extension_elliptic_curves_content, parse_tls_extension_signature_algorithms_content,
    parse_tls_extension_sni_content, parse_tls_extension_supported_versions, parse_tls_extension_unknown,
};

use super::client_hello::{ClientHello, Reason};
use super::escape::{printable, protocol_id};
use super::grease::{is_grease, without_grease};

/// `server_name` (RFC 6066, section 3).
pub(super) const SERVER_NAME: u16 = TlsExtensionType::ServerName.0;
/// `supported_groups` (RFC 8446, section 4.2.7).
const SUPPORTED_GROUPS: u16 = TlsExtensionType::SupportedGroups.0;
/// `signature_algorithms` (RFC 8446, section 4.2.3).
const SIGNATURE_ALGORITHMS: u16 = TlsExtensionType::SignatureAlgorithms.0;
/// `application_layer_protocol_negotiation` (RFC 7301, section 3.1).
pub(super) const ALPN: u16 = TlsExtensionType::ApplicationLayerProtocolNegotiation.0;
/// `supported_versions` (RFC 8446, section 4.2.1).
pub(super) const SUPPORTED_VERSIONS: u16 = TlsExtensionType::SupportedVersions.0;

/// Type and length of an extension (RFC 8446, section 4.2).
const EXTENSION_HEADER_BYTES: usize = 4;

/// Reads a whole list of extensions into `hello`.
pub(super) fn read(list: &[u8], hello: &mut ClientHello) -> Result<(), Reason> {
    let mut rest = list;
    while !rest.is_empty() {
        let Ok((after, TlsExtension::Unknown(TlsExtensionType(id), content))) =
            parse_tls_extension_unknown(rest)
        else {
            return Err(Reason::ExtensionList);
        };
        let whole = &rest[..rest.len() - after.len()];
        rest = after;
        if is_grease(id) {
            continue;
        }
        if hello.extensions.contains(&id) {
            return Err(Reason::RepeatedExtension { id });
        }
        hello.extensions.push(id);
        read_one(id, content, whole, hello).ok_or(Reason::Extension { id })?;
    }
    Ok(())
}

/// `None`: the content contradicts its length.
fn read_one(id: u16, content: &[u8], whole: &[u8], hello: &mut ClientHello) -> Option<()> {
    match id {
        SERVER_NAME => read_server_name(content, hello)?,
        ALPN => read_alpn(content, hello)?,
        SUPPORTED_VERSIONS => hello.versions = supported_versions(whole)?,
        SUPPORTED_GROUPS => hello.groups = supported_groups(content)?,
        SIGNATURE_ALGORITHMS => hello.signature_algorithms = signature_algorithms(content)?,
        _ => {}
    }
    Some(())
}

// The parser stops at the first entry of a list that does not fit and says nothing of what it left, hence the
// sums below: what the entries take on the wire has to be what the extension holds.

fn read_server_name(content: &[u8], hello: &mut ClientHello) -> Option<()> {
    let (_, TlsExtension::SNI(names)) = parse_tls_extension_sni_content(content).ok()? else { return None };
    let entries_bytes: usize = names.iter().map(|(_, name)| 3 + name.len()).sum();
    // A server may answer with an empty extension; from a client it is odd but clear.
    if !content.is_empty() && content.len() != 2 + entries_bytes {
        return None;
    }
    let host = names.iter().find(|(kind, _)| *kind == SNIType::HostName);
    hello.sni = host.map(|(_, name)| printable(name));
    Some(())
}

fn read_alpn(content: &[u8], hello: &mut ClientHello) -> Option<()> {
    let (_, TlsExtension::ALPN(protocols)) = parse_tls_extension_alpn_content(content).ok()? else {
        return None;
    };
    let entries_bytes: usize = protocols.iter().map(|protocol| 1 + protocol.len()).sum();
    if content.len() != 2 + entries_bytes {
        return None;
    }
    hello.first_alpn_ends =
        protocols.first().and_then(|protocol| Some((*protocol.first()?, *protocol.last()?)));
    hello.alpn = protocols.into_iter().map(protocol_id).collect();
    Some(())
}

fn supported_versions(whole: &[u8]) -> Option<Vec<u16>> {
    // With two bytes of content the parser takes it for a server's answer, and it does not look at the list's
    // length.
    let (&list_bytes, list) = whole.get(EXTENSION_HEADER_BYTES..)?.split_first()?;
    if list.len() < 2 || usize::from(list_bytes) != list.len() {
        return None;
    }
    let (_, TlsExtension::SupportedVersions(versions)) =
        parse_tls_extension_supported_versions(whole).ok()?
    else {
        return None;
    };
    Some(without_grease(versions.iter().map(|version| version.0)))
}

fn supported_groups(content: &[u8]) -> Option<Vec<u16>> {
    let (after, TlsExtension::EllipticCurves(groups)) =
        parse_tls_extension_elliptic_curves_content(content).ok()?
    else {
        return None;
    };
    after.is_empty().then(|| without_grease(groups.iter().map(|group| group.0)))
}

fn signature_algorithms(content: &[u8]) -> Option<Vec<u16>> {
    let (_, TlsExtension::SignatureAlgorithms(algorithms)) =
        parse_tls_extension_signature_algorithms_content(content).ok()?
    else {
        return None;
    };
    (content.len() == 2 + 2 * algorithms.len()).then(|| without_grease(algorithms))
}
