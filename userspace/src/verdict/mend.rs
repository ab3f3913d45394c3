//! What mends mTLS to a destination without a proxy in meshes other than Istio, in each one's own words. Pure.

use crate::{
    tls::mesh::{Mesh, MeshHello},
    update::Fix,
    verdict::case::Case,
};

/// The words of one mesh.
#[derive(Debug)]
pub(super) struct Words {
    mesh: Mesh,
    /// Its name.
    pub(super) name: &'static str,
    /// What made the client's proxy use mTLS.
    pub(super) belief: &'static str,
    /// The proxy's container.
    pub(super) container: &'static str,
    /// What brings a pod into the mesh.
    inject: &'static str,
    /// Annotation: ports that the client's pod connects to without its proxy.
    skip_outbound: &'static str,
    /// Annotation: ports that the server's pod takes without its proxy.
    pub(super) skip_inbound: &'static str,
}

/// Sources: linkerd2 `pkg/k8s/labels.go` (`config.linkerd.io/…`); consul-k8s `control-plane/connect-inject/constants/annotations_and_labels.go`;
/// kuma `pkg/plugins/runtime/k8s/metadata/annotations.go`; osm `pkg/injector/` (`openservicemesh.io/…-port-exclusion-list`).
const ALL: [Words; 4] = [
    Words {
        mesh: Mesh::Linkerd,
        name: "Linkerd",
        belief: "its control plane gave the client's proxy an identity for the destination",
        container: "linkerd-proxy",
        inject: "the annotation `linkerd.io/inject: enabled`",
        skip_outbound: "config.linkerd.io/skip-outbound-ports",
        skip_inbound: "config.linkerd.io/skip-inbound-ports",
    },
    Words {
        mesh: Mesh::Consul,
        name: "Consul",
        belief: "its catalog has the destination as a service of the mesh",
        container: "consul-dataplane",
        inject: "the annotation `consul.hashicorp.com/connect-inject: \"true\"`",
        skip_outbound: "consul.hashicorp.com/transparent-proxy-exclude-outbound-ports",
        skip_inbound: "consul.hashicorp.com/transparent-proxy-exclude-inbound-ports",
    },
    Words {
        mesh: Mesh::Kuma,
        name: "Kuma",
        belief: "it has a Dataplane for the destination",
        container: "kuma-sidecar",
        inject: "the label `kuma.io/sidecar-injection: enabled`",
        skip_outbound: "traffic.kuma.io/exclude-outbound-ports",
        skip_inbound: "traffic.kuma.io/exclude-inbound-ports",
    },
    Words {
        mesh: Mesh::Osm,
        name: "Open Service Mesh",
        belief: "it has the destination's Service in the mesh",
        container: "envoy",
        inject: "the annotation `openservicemesh.io/sidecar-injection: enabled`",
        skip_outbound: "openservicemesh.io/outbound-port-exclusion-list",
        skip_inbound: "openservicemesh.io/inbound-port-exclusion-list",
    },
];

impl Words {
    /// Those of the client's mesh; none for Istio, and where no mesh is known.
    pub(super) fn of(case: &Case<'_>) -> Option<&'static Self> {
        let mesh = case.mesh()?;
        ALL.iter().find(|words| words.mesh == mesh)
    }
}

/// What a hello names as its destination.
pub(super) fn destination(hello: &MeshHello) -> Option<String> {
    let namespace = || {
        hello.namespace.as_deref().map(|namespace| format!(" in namespace {namespace}")).unwrap_or_default()
    };
    if let Some(account) = &hello.service_account {
        return Some(format!("service account {account}{}", namespace()));
    }
    if let Some(service) = &hello.service {
        return Some(format!("service {service}{}", namespace()));
    }
    hello.host.as_ref().map(|host| format!("host {host}"))
}

/// The destination gets its proxy back, or the client goes there without its own.
pub(super) fn fix(case: &Case<'_>) -> Fix {
    let Some(words) = Words::of(case) else { return Fix { text: "".into(), manifest: None } };
    let text = format!("{}; or {}", at_server(case, words), at_client(case, words));
    Fix { text: text.into(), manifest: None }
}

fn at_server(case: &Case<'_>, words: &Words) -> String {
    let pod = case.server.pod.as_deref().unwrap_or("the destination's pod");
    let port = case.server.address.port();
    if case.server.sidecar == Some(true) {
        return format!(
            "Let {pod} take port {port} through its {}: remove the port from its annotation `{}` if it is there, and \
             restart the pod",
            words.container, words.skip_inbound
        );
    }
    format!(
        "If {pod} belongs in the mesh, bring it in with {} on its pod template (or its namespace), and restart it",
        words.inject
    )
}

/// Connections to this port then go past the client's proxy; as iptables compares it, the port is the one that the application
/// connects to.
fn at_client(case: &Case<'_>, words: &Words) -> String {
    let named = case.hello.and_then(|sent| sent.mesh.service_port);
    let port = named.unwrap_or(case.server.address.port());
    let annotation = words.skip_outbound;
    let prose = format!(
        "let the client connect to port {port} without its proxy: add {port} to the annotation `{annotation}` of its pod \
         template (it counts for every destination of that port, and keeps the ports that are there already)"
    );
    match (case.client.namespace.as_deref(), case.client.workload.as_deref().and_then(resource)) {
        (Some(namespace), Some(resource)) if is_name(namespace) => format!(
            "{prose}; with no other port there: kubectl -n {namespace} patch {resource} --type merge -p \
             '{{\"spec\":{{\"template\":{{\"metadata\":{{\"annotations\":{{\"{annotation}\":\"{port}\"}}}}}}}}}}'"
        ),
        _ => prose,
    }
}

/// What kubectl calls a workload that has a pod template: `deployment/redis-client`.
fn resource(workload: &str) -> Option<String> {
    let (kind, name) = workload.split_once('/')?;
    let has_template = matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet");
    (has_template && is_name(name)).then(|| format!("{}/{name}", kind.to_ascii_lowercase()))
}

/// Only what can be a name in Kubernetes (RFC 1123): it goes into a command.
fn is_name(text: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::{ALL, Mesh, MeshHello, Words, destination, fix, resource};
    use crate::{
        envoy::Word,
        event::time::Time,
        listener::Knowledge,
        policy::Declared,
        sink::samples,
        update::{Behaviour, Party},
        verdict::case::{Case, PassedOn},
    };

    fn case<'a>(client: &'a Party, server: &'a Party) -> Case<'a> {
        Case {
            time: Time(0),
            client,
            server,
            is_from_proxy: true,
            is_taken_over: false,
            is_end_only: true,
            plain_hello: None,
            client_class: None,
            passed_on: PassedOn::Unknown,
            leg: None,
            declared: Declared::default(),
            word: Word::default(),
            hello: None,
            answer: None,
            behaviour: Behaviour::Silent,
            outcome: None,
            acceptor: None,
            knowledge: Knowledge::default(),
        }
    }

    #[test]
    fn each_mesh_is_mended_in_its_own_words() {
        for words in &ALL {
            let client = Party { mesh: Some(words.mesh), ..samples::client() };
            for (sidecar, at_server) in [(true, words.skip_inbound), (false, words.inject)] {
                let server = Party { sidecar: Some(sidecar), ..samples::server() };
                let case = case(&client, &server);
                assert_eq!(Words::of(&case).map(|found| found.mesh), Some(words.mesh));
                let text = fix(&case).text;
                let patch = format!(
                    "kubectl -n default patch deployment/redis-client --type merge -p \
                     '{{\"spec\":{{\"template\":{{\"metadata\":{{\"annotations\":{{\"{}\":\"6379\"}}}}}}}}}}'",
                    words.skip_outbound
                );
                assert!(text.contains(&patch), "{text}");
                assert!(text.contains(at_server), "{text}");
                assert!(!text.contains("DestinationRule"), "{text}");
            }
        }
    }

    #[test]
    fn istio_and_the_unknown_have_other_rules() {
        for mesh in [None, Some(Mesh::Istio), Some(Mesh::IstioAmbient)] {
            let client = Party { mesh, ..samples::client() };
            assert!(Words::of(&case(&client, &samples::server())).is_none(), "{mesh:?}");
        }
    }

    #[test]
    fn no_name_becomes_a_command_that_could_be_another() {
        for (workload, expected) in [
            ("Deployment/redis-client", Some("deployment/redis-client")),
            ("StatefulSet/web.1", Some("statefulset/web.1")),
            ("Job/once", None),
            ("Deployment/a; rm -rf /", None),
            ("Deployment/-n", None),
            ("Deployment/", None),
            ("Deployment", None),
        ] {
            assert_eq!(resource(workload).as_deref(), expected, "{workload}");
        }
        let client = Party { mesh: Some(Mesh::Kuma), namespace: Some("a' b".into()), ..samples::client() };
        assert!(!fix(&case(&client, &samples::server())).text.contains("kubectl"));
    }

    #[test]
    fn the_destination_is_named_as_the_mesh_names_it() {
        let of = |mesh| MeshHello { namespace: Some("default".into()), ..MeshHello::of(mesh) };
        for (hello, expected) in [
            (
                MeshHello { service_account: Some("redis".into()), ..of(Mesh::Linkerd) },
                Some("service account redis in namespace default"),
            ),
            (
                MeshHello { service: Some("redis".into()), ..of(Mesh::Consul) },
                Some("service redis in namespace default"),
            ),
            (MeshHello { service: Some("redis".into()), ..MeshHello::of(Mesh::Kuma) }, Some("service redis")),
            (
                MeshHello { host: Some("redis.default".into()), ..MeshHello::of(Mesh::Osm) },
                Some("host redis.default"),
            ),
            (MeshHello::of(Mesh::Kuma), None),
        ] {
            assert_eq!(destination(&hello).as_deref(), expected);
        }
    }
}
