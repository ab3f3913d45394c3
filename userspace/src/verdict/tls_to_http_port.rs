//! `tls-to-http-port`: an application's TLS reaches a proxy that takes the port for plain HTTP. Pure.

use crate::{
    flow::answer::Answer,
    protocol::Protocol,
    update::{Behaviour, Confidence},
    verdict::case::{Case, PassedOn},
};

/// How sure it is that this attempt is one; none when it is not.
///
/// The proxy's own answer is direct evidence: Envoy's HTTP parser answers a ClientHello with `HTTP/1.1 400 Bad Request`. Where
/// no proxy was seen to accept, it is a matter between the application and the server, and none of the mesh.
pub fn confidence(case: &Case<'_>) -> Option<Confidence> {
    case.plain_hello?;
    let is_of_proxy = case.is_taken_over || case.acceptor.is_some_and(|acceptor| acceptor.is_proxy);
    let speaks_http =
        case.answer.and_then(Answer::guess).is_some_and(|guess| guess.protocol == Protocol::Http);
    let is_one = is_of_proxy && speaks_http && !case.is_from_proxy && case.behaviour == Behaviour::Plaintext;
    match case.passed_on {
        _ if !is_one => None,
        PassedOn::Nothing => Some(Confidence::Certain),
        // Whether it is its own answer is not known: the Service's address may stand for one that it connected to.
        PassedOn::Unknown => Some(Confidence::Possible),
        // A permissive proxy passes it on, and the answer is the application's.
        PassedOn::Something | PassedOn::Hello => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::confidence;
    use crate::{
        event::{socket::Class, time::Time},
        flow::{answer::Answer, hello::Hello},
        tls::client_hello::ClientHello,
        update::{Behaviour, Confidence},
        verdict::{
            case::{Case, PassedOn},
            situation::Situation,
        },
    };

    #[test]
    fn only_a_proxys_own_answer_is_one() {
        let hello = Hello { time: Time(0), content: ClientHello::default(), mesh: None, wire_bytes: 300 };
        let answer = |text: &'static [u8]| Answer {
            time: Time(0),
            class: Class::Other,
            bytes: Bytes::from_static(text),
            is_crossing: false,
            packet_bytes: 0,
        };
        let (http, other) = (answer(b"HTTP/1.1 400 Bad Request\r\n"), answer(b"-ERR unknown command\r\n"));
        for (name, answer, is_taken_over, passed_on, expected) in [
            ("its own sidecar", &http, true, PassedOn::Nothing, Some(Confidence::Certain)),
            ("its own sidecar, or the server", &http, true, PassedOn::Unknown, Some(Confidence::Possible)),
            ("its own sidecar, for the server", &http, true, PassedOn::Something, None),
            ("the server", &http, false, PassedOn::Unknown, None),
            ("no HTTP", &other, true, PassedOn::Nothing, None),
        ] {
            Situation::default().with_case(|case| {
                let case = Case {
                    hello: None,
                    plain_hello: Some(&hello),
                    is_from_proxy: false,
                    answer: Some(answer),
                    behaviour: Behaviour::Plaintext,
                    is_taken_over,
                    passed_on,
                    ..*case
                };
                assert_eq!(confidence(&case), expected, "{name}");
            });
        }
    }
}
