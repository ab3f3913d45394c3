//! `tls-to-plaintext`: a proxy originates TLS for a plaintext application, and the listener speaks plaintext. Pure.

use crate::{
    policy::expectation::Does,
    update::{Behaviour, Confidence},
    verdict::{case::Case, has_proxy_at_destination},
};

/// How sure it is that this attempt is one; none when it is not.
///
/// TLS that the application itself speaks passes through its proxy unchanged: then the application's own connection began
/// with a hello too, and this is no matter of the mesh.
pub fn confidence(case: &Case<'_>) -> Option<Confidence> {
    case.plain_hello?;
    let is_declared = case.declared.expectation().is_some_and(|expectation| expectation.does == Does::Tls);
    let is_originated = match case.leg {
        Some(leg) => leg.hello.is_none() && (leg.client_class.is_some() || is_declared),
        None => is_declared,
    };
    if !case.may_be_from_proxy() || case.is_taken_over || !is_originated {
        return None;
    }
    match case.behaviour {
        Behaviour::Plaintext | Behaviour::SpokeFirst => Some(Confidence::Certain),
        Behaviour::Silent | Behaviour::Closed | Behaviour::Reset => without_answer(case),
        _ => None,
    }
}

fn without_answer(case: &Case<'_>) -> Option<Confidence> {
    if case.knowledge.tls.is_some() || case.gave_up_soon() {
        return None;
    }
    // A proxy that passes TLS on speaks for the application behind it.
    match (case.knowledge.plaintext, has_proxy_at_destination(case)) {
        (Some(_), Some(false)) => Some(Confidence::Certain),
        (Some(_), _) => Some(Confidence::Likely),
        (None, _) => Some(Confidence::Possible),
    }
}

#[cfg(test)]
mod tests {
    use super::confidence;
    use crate::{
        event::{istio::ClientMode, socket::Class, time::Time},
        flow::hello::Hello,
        tls::client_hello::ClientHello,
        update::{Behaviour, Confidence},
        verdict::{
            case::{Case, LegSeen},
            situation::{Situation, policy, rule},
        },
    };

    fn hello() -> Hello {
        Hello { time: Time(0), content: ClientHello::default(), mesh: None, wire_bytes: 300 }
    }

    #[test]
    fn how_sure_it_is() {
        let hello = hello();
        let leg = |hello, client_class| Some(LegSeen { hello, client_class, answer: None, end: None });
        let (plain, own_tls) = (leg(None, Some(Class::Redis)), leg(Some(&hello), None));
        for (name, is_declared, leg, behaviour, expected) in [
            ("an answer", false, plain, Behaviour::Plaintext, Some(Confidence::Certain)),
            ("an answer, the app not seen", true, None, Behaviour::SpokeFirst, Some(Confidence::Certain)),
            ("no answer", false, plain, Behaviour::Closed, Some(Confidence::Possible)),
            ("neither app nor rule", false, None, Behaviour::Plaintext, None),
            ("the app's own TLS", true, own_tls, Behaviour::Plaintext, None),
            ("in TLS", true, plain, Behaviour::Tls, None),
        ] {
            let simple = rule("data", "redis.data.svc.cluster.local", policy(Some(ClientMode::Simple)));
            let rules = if is_declared { vec![simple] } else { Vec::new() };
            let situation = Situation::default().with(|cluster| cluster.istio.destination_rules = rules);
            situation.with_case(|case| {
                let case = Case { hello: None, plain_hello: Some(&hello), leg, behaviour, ..*case };
                assert_eq!(confidence(&case), expected, "{name}");
                let of_app = Case { is_from_proxy: false, ..case };
                assert_eq!(confidence(&Case { is_taken_over: true, ..of_app }), None, "{name}, of an app");
            });
        }
    }
}
