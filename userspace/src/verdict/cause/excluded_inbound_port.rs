//! `excluded-inbound-port`: the server has a sidecar, but connections to this port go past it.

use crate::{
    policy::interception::{Interception, Past},
    update::Fix,
    verdict::{
        case::Case,
        cause::Rule,
        destination_rule,
        words::{pod, workload},
    },
};

/// istio#30311; istio.io says of `excludeInboundPorts` that mTLS to such a port must be turned off at the clients.
pub(super) const RULE: Rule = Rule {
    code: "excluded-inbound-port",
    situation: "the server has a sidecar, and an annotation lets this port past it; clients do not know that",
    confirmed_by: "annotation includeInboundPorts or excludeInboundPorts of the server's pod, or a port of the proxy's own",
    refuted_by: "a proxy accepted the connection",
    mend: "DestinationRule with DISABLE for host and port, or the port taken out of the annotation",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    past(case).is_some()
}

/// A proxy was seen to accept it: what is declared came later than the pod.
pub(super) fn reached_proxy(case: &Case<'_>) -> bool {
    case.acceptor.is_some_and(|acceptor| acceptor.is_proxy || acceptor.port != case.server.address.port())
}

fn past<'a>(case: &Case<'a>) -> Option<Past<'a>> {
    if reached_proxy(case) {
        return None;
    }
    match case.declared.interception()? {
        Interception::Past(Past::ModeNone) | Interception::NoProxy | Interception::Captured => None,
        Interception::Past(past) => Some(past),
    }
}

/// What makes it so, and how it is undone.
fn words(case: &Case<'_>) -> (String, String) {
    let (port, workload) = (case.server.address.port(), workload(case.server));
    let of_template = |annotation: &str, how: &str| {
        format!("{how} the annotation {annotation} in the pod template of {workload}")
    };
    match past(case) {
        Some(Past::Excluded(ports)) => (
            format!("its annotation traffic.sidecar.istio.io/excludeInboundPorts is \"{ports}\""),
            of_template("traffic.sidecar.istio.io/excludeInboundPorts", &format!("take {port} out of")),
        ),
        Some(Past::NotIncluded(ports)) => (
            format!("its annotation traffic.sidecar.istio.io/includeInboundPorts is \"{ports}\""),
            of_template("traffic.sidecar.istio.io/includeInboundPorts", &format!("add {port} to")),
        ),
        Some(Past::Reserved | Past::ModeNone) | None => (
            format!("{port} is one of the proxy's own ports, which no sidecar takes over"),
            "let the application listen on another port".to_owned(),
        ),
    }
}

fn text(case: &Case<'_>) -> String {
    format!(
        "{} has a sidecar, and clients use mTLS for it, but connections to port {} go past that sidecar to the app: {}",
        pod(case.server),
        case.server.address.port(),
        words(case).0
    )
}

fn fix(case: &Case<'_>) -> Fix {
    let Fix { text, manifest } = destination_rule::fix(case);
    Fix { text: format!("{text}. Or {}", words(case).1).into(), manifest }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::verdict::situation::Situation;

    const EXCLUDED: &str = "traffic.sidecar.istio.io/excludeInboundPorts";
    const INCLUDED: &str = "traffic.sidecar.istio.io/includeInboundPorts";

    fn annotated(annotation: &str, value: &str) -> Situation {
        Situation::default().with(|cluster| {
            Situation::inject(&mut cluster.pods[1]);
            cluster.pods[1].annotations.insert(annotation.into(), value.into());
        })
    }

    #[test]
    fn an_annotation_lets_the_port_past_the_sidecar() {
        for (annotation, value, expected) in [
            (EXCLUDED, "6379", true),
            (EXCLUDED, "80", false),
            (INCLUDED, "80", true),
            (INCLUDED, "", true),
            (INCLUDED, "*", false),
        ] {
            annotated(annotation, value).with_case(|case| {
                assert_eq!((RULE.applies)(case), expected, "{annotation} {value}");
                if expected {
                    let text = (RULE.text)(case);
                    assert!(text.contains(&format!("{annotation} is \"{value}\"")), "{text}");
                    let fix = (RULE.fix)(case);
                    assert!(fix.text.contains(annotation) && fix.manifest.is_some(), "{fix:?}");
                }
            });
        }
        assert!(!Situation::default().with_case(RULE.applies), "without a sidecar");
    }
}
