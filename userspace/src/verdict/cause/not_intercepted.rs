//! `not-intercepted`: the server declares a sidecar that takes the port over, and the app itself accepted.

use crate::{
    policy::interception::Interception,
    update::Fix,
    verdict::{
        case::Case,
        cause::Rule,
        destination_rule::is_host_name,
        words::{pod, workload},
    },
};

/// The race of pods with the CNI plugin (istio.io/latest/docs/setup/additional-setup/cni/#race-condition--mitigation; istio#14327).
pub(super) const RULE: Rule = Rule {
    code: "not-intercepted",
    situation: "the server declares a sidecar, and the app itself accepted: packets are not redirected in its pod, as after a race with the CNI plugin",
    confirmed_by: "the process that accepted is no proxy's, at the port itself, and no annotation explains it",
    refuted_by: "a proxy accepted the connection, or interceptionMode is TPROXY",
    mend: "a restart of the server's pod",
    applies,
    text,
    fix,
};

/// With it the app sees clients' addresses behind a sidecar too (istio `listener_inbound.go`, `populateListenerFilters`).
const MODE: &str = "sidecar.istio.io/interceptionMode";

fn applies(case: &Case<'_>) -> bool {
    let accepted_itself = case.acceptor.is_some_and(|acceptor| {
        let is_named = !acceptor.owner.process.is_empty();
        is_named && !acceptor.is_proxy && acceptor.port == case.server.address.port()
    });
    // What the pod's own proxy passes on comes from the pod or from 127.0.0.6.
    let is_from_elsewhere =
        !case.client.address.ip().is_loopback() && case.client.address.ip() != case.server.address.ip();
    let is_transparent = case
        .declared
        .server()
        .and_then(|server| server.annotations.get(MODE))
        .is_some_and(|mode| &**mode == "TPROXY");
    let is_declared = case.declared.interception() == Some(Interception::Captured);
    is_declared && accepted_itself && is_from_elsewhere && !is_transparent
}

fn text(case: &Case<'_>) -> String {
    let process = case.acceptor.map_or("the app", |acceptor| acceptor.owner.process.as_str());
    format!(
        "{} has a sidecar that should take port {} over, but {process} itself accepted the connection: packets are not redirected \
         in that pod, as when it started before the mesh's CNI plugin was ready, or somebody flushed its iptables",
        pod(case.server),
        case.server.address.port()
    )
}

fn fix(case: &Case<'_>) -> Fix {
    let (name, namespace) = (case.server.pod.as_deref(), case.server.namespace.as_deref());
    let names = name.zip(namespace).filter(|(name, namespace)| is_host_name(name) && is_host_name(namespace));
    let how = names.map_or_else(
        || "delete it".to_owned(),
        |(name, namespace)| format!("kubectl delete pod {name} -n {namespace}"),
    );
    Fix {
        text: format!(
            "Restart the server's pod, so that its redirection is set up again: {how} ({} makes it anew). If it comes back without, \
             look at the mesh's CNI plugin on its node, or at the init container istio-init",
            workload(case.server)
        )
        .into(),
        manifest: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{MODE, RULE};
    use crate::{event::socket::Owner, verdict::situation::Situation};

    fn accepted_by(process: &str, uid: u32, port: u16) -> Situation {
        let owner = Owner { process: process.into(), uid, ..Owner::default() };
        let mut situation = Situation::default().with(|cluster| Situation::inject(&mut cluster.pods[1]));
        situation.acceptor = Some((owner, port));
        situation
    }

    #[test]
    fn the_app_accepted_though_a_sidecar_should() {
        for (process, uid, port, expected) in [
            ("redis-server", 999, 6379, true),
            ("envoy", 1337, 6379, false),
            ("envoy", 1337, 15006, false),
            ("redis-server", 999, 15006, false),
            ("", 999, 6379, false),
        ] {
            assert_eq!(accepted_by(process, uid, port).with_case(RULE.applies), expected, "{process} {port}");
        }
        let situation = accepted_by("redis-server", 999, 6379);
        assert!(situation.with_case(RULE.text).contains("redis-server itself accepted"));
        assert!(situation.with_case(RULE.fix).text.contains("kubectl delete pod redis-0 -n data"));
    }

    #[test]
    fn other_reasons_refute_it() {
        let base = || accepted_by("redis-server", 999, 6379);
        let transparent = base().with(|cluster| {
            cluster.pods[1].annotations.insert(MODE.into(), "TPROXY".into());
        });
        let mut own_proxy = base();
        own_proxy.from = ([127, 0, 0, 6], 40000).into();
        let no_sidecar = base().with(|cluster| cluster.pods[1].containers.clear());
        let mut not_seen = base();
        not_seen.acceptor = None;
        for situation in [transparent, own_proxy, no_sidecar, not_seen] {
            assert!(!situation.with_case(RULE.applies), "{situation:?}");
        }
    }
}
