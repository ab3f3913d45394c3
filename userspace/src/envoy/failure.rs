//! What the TLS library of an Envoy means by what it said. Pure.

use crate::event::envoy::LogEntry;

/// Why a transport failed, as Envoy's log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// At least five bytes came, and they are the beginning of no TLS record: `BoringSSL` looks at the version only (`tls_record.cc`,
    /// `SSL_R_WRONG_VERSION_NUMBER`, 268435703).
    NotTls,
    /// The server's certificate is not that of whom it should be (`SSL_R_CERTIFICATE_VERIFY_FAILED`, 268435581).
    Certificate,
    /// The server refused the handshake with an alert (`SSL_R_…_ALERT_…`).
    Alert,
    /// The connection was cut.
    Reset,
    /// It had no certificate yet, and closed without a hello (`not_ready_ssl_socket`).
    NoSecret,
    /// Something else.
    Other,
}

/// Texts of each. Details of requests have `_` for spaces. An alert's name is looked for last: it may be part of others.
const TEXTS: [(&str, Failure); 8] = [
    ("WRONG_VERSION_NUMBER", Failure::NotTls),
    ("268435703", Failure::NotTls),
    ("CERTIFICATE_VERIFY_FAILED", Failure::Certificate),
    ("268435581", Failure::Certificate),
    ("Secret is not supplied by SDS", Failure::NoSecret),
    ("Connection reset by peer", Failure::Reset),
    ("connection_termination", Failure::Reset),
    ("_ALERT_", Failure::Alert),
];

/// What an entry tells of its transport; none when it tells nothing, as after a connect timeout or a plain close.
pub(super) fn of(entry: &LogEntry) -> Option<Failure> {
    let named = |text: &str| TEXTS.iter().find(|(part, _)| text.contains(part)).map(|(_, failure)| *failure);
    let of_transport = entry.transport_failure.as_deref().map(|text| named(text).unwrap_or(Failure::Other));
    of_transport.or_else(|| entry.details.as_deref().and_then(named))
}

#[cfg(test)]
mod tests {
    use super::{Failure, of};
    use crate::event::envoy::LogEntry;

    #[test]
    fn the_texts_of_all_versions() {
        for (transport, details, expected) in [
            (None, None, None),
            (
                Some("TLS error: 268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER"),
                None,
                Some(Failure::NotTls),
            ),
            (
                Some("TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end"),
                None,
                Some(Failure::NotTls),
            ),
            (
                None,
                Some(
                    "upstream_reset_before_response_started{connection_failure,TLS_error:_268435703:SSL_routines}",
                ),
                Some(Failure::NotTls),
            ),
            (
                Some("TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED"),
                None,
                Some(Failure::Certificate),
            ),
            (
                Some("TLS_error:|268436498:SSL routines:OPENSSL_internal:SSLV3_ALERT_HANDSHAKE_FAILURE"),
                None,
                Some(Failure::Alert),
            ),
            (
                Some("TLS_error:|268436526:SSL routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA"),
                None,
                Some(Failure::Alert),
            ),
            (Some("TLS error: Secret is not supplied by SDS"), None, Some(Failure::NoSecret)),
            (
                Some("TLS_error:|33554536:system library:OPENSSL_internal:Connection reset by peer"),
                None,
                Some(Failure::Reset),
            ),
            (
                None,
                Some("upstream_reset_before_response_started{connection_termination}"),
                Some(Failure::Reset),
            ),
            (None, Some("via_upstream"), None),
            (Some("delayed connect error: 111"), None, Some(Failure::Other)),
        ] {
            let entry = LogEntry {
                transport_failure: transport.map(Into::into),
                details: details.map(Into::into),
                ..LogEntry::default()
            };
            assert_eq!(of(&entry), expected, "{transport:?} {details:?}");
        }
    }
}
