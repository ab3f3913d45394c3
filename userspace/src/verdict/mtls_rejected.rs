//! `mtls-rejected`: both ends speak TLS, and one refuses the other. Pure.

use crate::{
    event::time::SECOND_NS,
    tls::mesh::Mesh,
    update::{Behaviour, Confidence, EndedBy, Outcome},
    verdict::case::{Case, SentHello},
};

/// What a client sends after its hello when all it has to say is an alert (RFC 8446 §6, RFC 5246 §7.2): 7 bytes in the
/// clear; encrypted in TLS 1.3 24 bytes, after a `ChangeCipherSpec` of 6 bytes for middleboxes 30 (RFC 8446 §D.4); encrypted
/// by AES-GCM in TLS 1.2 31. A client that goes on sends its Finished at least, which has 58 bytes or more.
const ALERT_BYTES: [u64; 4] = [7, 24, 30, 31];

/// What a server sends when all that it has to say to the client's certificate is an alert: in TLS 1.2 it is in the clear,
/// because the server has not sent its `ChangeCipherSpec` yet; in TLS 1.3 it is encrypted.
const SERVER_ALERT_BYTES: [u64; 2] = [7, 24];

/// A server that refuses a certificate does so with what it has read of the handshake.
const REFUSED_WITHIN_NS: u64 = SECOND_NS;

/// Most bytes that a server sends in a handshake that it then refuses: certificates and an alert.
const HANDSHAKE_BYTES: u64 = 16 * 1024;

/// Who refused whom, and when in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The server answered the hello with an alert.
    HelloByServer,
    /// The client sent an alert after the server's certificates.
    ServerByClient,
    /// The server ended the connection after the client's certificates.
    ClientByServer,
}

/// How sure it is that this attempt is one; none when it is not.
///
/// An alert in the clear is direct evidence. Later alerts are encrypted: their sizes and who ended the connection are not.
pub fn confidence(case: &Case<'_>) -> Option<Confidence> {
    Some(match refusal(case)? {
        Refusal::HelloByServer => Confidence::Certain,
        Refusal::ServerByClient => Confidence::Likely,
        Refusal::ClientByServer => Confidence::Possible,
    })
}

/// Who refused whom; none when nobody did.
pub fn refusal(case: &Case<'_>) -> Option<Refusal> {
    let SentHello { hello, mesh } = case.hello?;
    // Tunnels of ambient mode hold connections of several pods, and end on their own.
    if case.is_taken_over || mesh.mesh != Mesh::Istio {
        return None;
    }
    let outcome = case.outcome?;
    match case.behaviour {
        Behaviour::TlsAlert => Some(Refusal::HelloByServer),
        Behaviour::Tls if is_refused_by_client(hello.wire_bytes, outcome) => Some(Refusal::ServerByClient),
        Behaviour::Tls if is_refused_by_server(case, hello.wire_bytes, outcome) => {
            Some(Refusal::ClientByServer)
        }
        _ => None,
    }
}

/// Whether it may be one, told from an attempt's numbers alone.
pub fn may_be(hello_bytes: u64, behaviour: Behaviour, outcome: &Outcome) -> bool {
    match behaviour {
        Behaviour::TlsAlert => true,
        Behaviour::Tls => is_refused_by_client(hello_bytes, outcome) || is_of_handshake(hello_bytes, outcome),
        _ => false,
    }
}

/// Whoever ends the connection then: a server that reads the alert may be quicker than the client that sent it.
fn is_refused_by_client(hello_bytes: u64, outcome: &Outcome) -> bool {
    ALERT_BYTES.contains(&outcome.bytes_sent.saturating_sub(hello_bytes))
}

/// After what the server had said at once, it said an alert and no more. A server that completes the handshake says more, also
/// when its application then ends the connection without a word.
fn is_refused_by_server(case: &Case<'_>, hello_bytes: u64, outcome: &Outcome) -> bool {
    let ended_leg = case.leg.and_then(|leg| leg.end);
    let app_got_nothing = ended_leg
        .is_none_or(|end| end.bytes_sent > 0 && end.bytes_received == 0 && end.ended_by == EndedBy::Server);
    let first = case.answer.map_or(0, |answer| u64::from(answer.packet_bytes));
    let after_first = outcome.bytes_received.saturating_sub(first);
    app_got_nothing && SERVER_ALERT_BYTES.contains(&after_first) && is_of_handshake(hello_bytes, outcome)
}

fn is_of_handshake(hello_bytes: u64, outcome: &Outcome) -> bool {
    let is_soon = outcome.after_ns.is_some_and(|after_ns| after_ns < REFUSED_WITHIN_NS);
    is_soon && outcome.bytes_sent > hello_bytes && outcome.bytes_received <= HANDSHAKE_BYTES
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Refusal, refusal};
    use crate::{
        event::{socket::Class, time::Time},
        flow::{SaidEnd, answer::Answer},
        update::{Behaviour, Code, EndedBy, EndedHow, Outcome},
        verdict::{
            case::{Case, LegSeen},
            cause,
            situation::Situation,
        },
    };

    #[test]
    fn who_refused_whom() {
        let outcome = |ended_by, after_hello: u64, bytes_received, after_ns| Outcome {
            ended_by,
            how: EndedHow::Fin,
            after_ns: Some(after_ns),
            bytes_sent: 205 + after_hello,
            bytes_received,
            error: None,
            reset_reason: None,
        };
        let leg = |bytes_received, ended_by| {
            let end = Some(SaidEnd { bytes_sent: 14, bytes_received, ended_by });
            Some(LegSeen { hello: None, client_class: None, answer: None, end })
        };
        let answer = Answer {
            time: Time(0),
            class: Class::TlsHandshake,
            bytes: Bytes::new(),
            is_crossing: false,
            packet_bytes: 2593,
        };
        let (tls, alert) = (Behaviour::Tls, Behaviour::TlsAlert);
        let (client, server) = (EndedBy::Client, EndedBy::Server);
        for (name, behaviour, outcome, leg, expected) in [
            ("an alert", alert, outcome(server, 0, 7, 300), None, Some(Refusal::HelloByServer)),
            (
                "an alert of the client",
                tls,
                outcome(client, 7, 2400, 300),
                None,
                Some(Refusal::ServerByClient),
            ),
            (
                "an alert of the client, and a quick server",
                tls,
                outcome(server, 7, 2400, 300),
                None,
                Some(Refusal::ServerByClient),
            ),
            ("an encrypted one", tls, outcome(client, 30, 2400, 300), None, Some(Refusal::ServerByClient)),
            (
                "an alert of the server",
                tls,
                outcome(server, 1700, 2600, 300),
                leg(0, server),
                Some(Refusal::ClientByServer),
            ),
            ("the handshake done", tls, outcome(server, 1700, 2644, 300), leg(0, server), None),
            ("the app left", tls, outcome(client, 1700, 2600, 300), leg(0, client), None),
            ("the app got an answer", tls, outcome(server, 1700, 2600, 300), leg(7, server), None),
            ("much later", tls, outcome(server, 1700, 2600, 5_000_000_000), leg(0, server), None),
            ("the app not seen", tls, outcome(server, 1700, 2600, 300), None, Some(Refusal::ClientByServer)),
        ] {
            Situation::default().with_case(|case| {
                let answer = Some(&answer);
                let case = Case { behaviour, outcome: Some(&outcome), answer, leg, ..*case };
                assert_eq!(refusal(&case), expected, "{name}");
                let expected = match expected {
                    Some(Refusal::HelloByServer) => "hello-refused",
                    Some(Refusal::ServerByClient) => "server-identity-refused",
                    Some(Refusal::ClientByServer) | None => "client-certificate-refused",
                };
                assert_eq!(cause::of(Code::MtlsRejected, &case).0.code, expected, "{name}");
            });
        }
    }
}
