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

#[cfg(test)]
mod tests {
    use super::confidence;
    use crate::{
        event::time::Time,
        flow::{SaidEnd, hello::Hello},
        tls::client_hello::ClientHello,
        update::{Behaviour, Confidence, EndedBy},
        verdict::{
            case::{Case, LegSeen},
            situation::Situation,
        },
    };

    fn hello(sni: &str) -> Hello {
        let content = ClientHello { sni: Some(sni.into()), ..ClientHello::default() };
        Hello { time: Time(0), content, mesh: None, wire_bytes: 300 }
    }

    #[test]
    fn how_sure_it_is() {
        let (outer, inner) = (hello("outer"), hello("inner"));
        let ended =
            |bytes_received| Some(SaidEnd { bytes_sent: 300, bytes_received, ended_by: EndedBy::Server });
        for (name, hello, answer, end, expected) in [
            (
                "an error in plaintext",
                Some(&inner),
                Some(Behaviour::Plaintext),
                ended(60),
                Some(Confidence::Certain),
            ),
            ("nothing", Some(&inner), None, ended(0), Some(Confidence::Likely)),
            ("both work", Some(&inner), Some(Behaviour::Tls), ended(4000), None),
            ("not known yet", Some(&inner), None, None, None),
            ("passed through", Some(&outer), None, ended(0), None),
            ("a plaintext app", None, None, ended(0), None),
        ] {
            Situation::default().with_case(|case| {
                let leg = Some(LegSeen { hello, client_class: None, answer, end });
                let case =
                    Case { hello: None, plain_hello: Some(&outer), leg, behaviour: Behaviour::Tls, ..*case };
                assert_eq!(confidence(&case), expected, "{name}");
                assert_eq!(confidence(&Case { behaviour: Behaviour::TlsAlert, ..case }), None, "{name}");
            });
        }
    }
}
