//! `mesh-without-proxy-at-destination`: a mesh other than Istio counts the destination in, and no proxy takes the connection there.

use crate::verdict::{
    case::Case,
    cause::Rule,
    mend::{self, Words},
};

/// The first of all: what the others say of Istio's configuration is of no use in another mesh.
pub(super) const RULE: Rule = Rule {
    code: "mesh-without-proxy-at-destination",
    situation: "a proxy of Linkerd, Consul, Kuma or OSM uses mTLS for a destination where no proxy takes the connection",
    confirmed_by: "the mesh's own form of the ClientHello; the destination's pod is without the mesh's proxy, or an annotation keeps the port from it",
    refuted_by: "a proxy accepts at the destination",
    mend: "the destination gets its proxy back, or the client connects to that port without its own, in the words of that mesh",
    applies,
    text,
    fix: mend::fix,
};

fn applies(case: &Case<'_>) -> bool {
    Words::of(case).is_some()
}

fn text(case: &Case<'_>) -> String {
    let Some(words) = Words::of(case) else { return String::new() };
    let named = case.hello.and_then(|sent| mend::destination(sent.mesh)).map(|name| format!(" ({name})"));
    format!(
        "{} uses mTLS because {}{}, and at {} none takes the connection: {}",
        words.name,
        words.belief,
        named.unwrap_or_default(),
        case.server.address,
        missing(case, words)
    )
}

/// What is known of the proxy that should be there.
fn missing(case: &Case<'_>, words: &Words) -> String {
    match case.server.sidecar {
        Some(true) => format!(
            "the pod has {}, but this port does not reach it (`{}`, or redirection that was not set up when the pod began)",
            words.container, words.skip_inbound
        ),
        Some(false) => format!("the pod has no {}", words.container),
        None => format!("{} is missing there, or this port does not reach it", words.container),
    }
}
