//! `server-first-deadlock`: a proxy waits for the client's first bytes, and the client for the server's. Pure.

use crate::{
    event::time::SECOND_NS,
    update::{Confidence, Outcome},
    verdict::{
        case::{Case, PassedOn},
        has_proxy_at_destination,
    },
};

/// A client that leaves sooner did not wait for a greeting: probes connect and close at once.
const SHORTEST_WAIT_NS: u64 = SECOND_NS;

/// Ports of protocols whose servers greet first: FTP, SSH, SMTP, POP3, IMAP (IANA service names), SMTP submission (RFC 6409),
/// MySQL, NATS, VNC (RFC 6143).
const SERVER_FIRST_PORTS: [u16; 9] = [21, 22, 25, 110, 143, 587, 3306, 4222, 5900];

/// The same by the names that ports of Services have (istio.io/latest/docs/ops/configuration/traffic-management/
/// protocol-selection, and IANA).
const SERVER_FIRST_PROTOCOLS: [&str; 7] = ["mysql", "smtp", "ftp", "imap", "pop3", "ssh", "nats"];

/// Whether it may be one, told from an attempt's numbers alone.
pub fn may_be(outcome: &Outcome) -> bool {
    let waited = outcome.after_ns.is_some_and(|after_ns| after_ns >= SHORTEST_WAIT_NS);
    outcome.bytes_sent == 0 && outcome.bytes_received == 0 && waited && outcome.error.is_none()
}

/// How sure it is that this attempt is one; none when it is not.
///
/// Connections that nobody says anything on are healthy too (pools, probes): only where the server is known to greet first,
/// and a proxy accepted and connected to nobody, is it one.
pub fn confidence(case: &Case<'_>) -> Option<Confidence> {
    let is_silent = case.outcome.is_some_and(may_be);
    let has_proxy = case.is_taken_over || has_proxy_at_destination(case) == Some(true);
    if !is_silent || !has_proxy || case.is_from_proxy || case.passed_on == PassedOn::Something {
        return None;
    }
    if case.knowledge.greeting.is_some() {
        return Some(Confidence::Likely);
    }
    let is_declared =
        case.declared.protocol().is_some_and(|protocol| SERVER_FIRST_PROTOCOLS.contains(&protocol))
            || SERVER_FIRST_PORTS.contains(&case.server.address.port());
    (is_declared && case.passed_on == PassedOn::Nothing).then_some(Confidence::Possible)
}
