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
        // A server that hangs greets nobody any more, and whoever waits for it through a proxy hears as little.
        let is_kept_back = case.passed_on == PassedOn::Nothing;
        return Some(if is_kept_back { Confidence::Likely } else { Confidence::Possible });
    }
    let is_declared =
        case.declared.protocol().is_some_and(|protocol| SERVER_FIRST_PROTOCOLS.contains(&protocol))
            || SERVER_FIRST_PORTS.contains(&case.server.address.port());
    (is_declared && case.passed_on == PassedOn::Nothing).then_some(Confidence::Possible)
}

#[cfg(test)]
mod tests {
    use super::confidence;
    use crate::{
        event::time::{SECOND_NS, Time},
        listener::{Exchange, Knowledge},
        update::{Code, Confidence, EndedBy, EndedHow, Outcome},
        verdict::{
            case::{Case, PassedOn},
            cause,
            situation::Situation,
        },
    };

    fn outcome(after_ns: u64, bytes_sent: u64) -> Outcome {
        Outcome {
            ended_by: EndedBy::Client,
            how: EndedHow::Fin,
            after_ns: Some(after_ns),
            bytes_sent,
            bytes_received: 0,
            error: None,
            reset_reason: None,
        }
    }

    #[test]
    fn how_sure_it_is() {
        let exchange = Exchange { time: Time(0), client: ([10, 1, 1, 30], 1).into(), protocol: None };
        let greets = Knowledge { greeting: Some(exchange), ..Knowledge::default() };
        let none = Knowledge::default();
        for (name, port_name, knowledge, passed_on, outcome, expected) in [
            (
                "it greets others",
                "db",
                greets,
                PassedOn::Nothing,
                outcome(5 * SECOND_NS, 0),
                Some(Confidence::Likely),
            ),
            (
                "it greets others, the rest not seen",
                "db",
                greets,
                PassedOn::Unknown,
                outcome(5 * SECOND_NS, 0),
                Some(Confidence::Possible),
            ),
            (
                "declared",
                "mysql-db",
                none,
                PassedOn::Nothing,
                outcome(5 * SECOND_NS, 0),
                Some(Confidence::Possible),
            ),
            (
                "declared, the rest not seen",
                "mysql-db",
                none,
                PassedOn::Unknown,
                outcome(5 * SECOND_NS, 0),
                None,
            ),
            ("not known to greet", "tcp-db", none, PassedOn::Nothing, outcome(5 * SECOND_NS, 0), None),
            ("passed on", "mysql-db", greets, PassedOn::Something, outcome(5 * SECOND_NS, 0), None),
            ("a probe", "mysql-db", greets, PassedOn::Nothing, outcome(SECOND_NS / 50, 0), None),
            ("the client spoke", "mysql-db", greets, PassedOn::Nothing, outcome(5 * SECOND_NS, 1), None),
        ] {
            let situation = Situation::default().with(|cluster| {
                cluster.services[0].ports[0].name = port_name.into();
                for endpoint in &mut cluster.endpoints {
                    endpoint.port_name = port_name.into();
                }
            });
            situation.with_case(|case| {
                let outcome = Some(&outcome);
                let case = Case {
                    hello: None,
                    is_from_proxy: false,
                    is_taken_over: true,
                    outcome,
                    knowledge,
                    passed_on,
                    ..*case
                };
                assert_eq!(confidence(&case), expected, "{name}");
                assert_eq!(cause::of(Code::ServerFirstDeadlock, &case).0.code, "undeclared-server-first");
            });
        }
    }
}
