//! Values for the chart: such as people give, and such as must be refused. How they are rendered is not known here.
use serde_json::{Value, json};

/// One set of values.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) values: Value,
    /// The schema has to refuse it, by name of the key.
    pub(super) is_refused: bool,
    /// Nothing is switched off that the agents may do.
    pub(super) has_all_rights: bool,
}

/// All of them; the first has the values as they come.
pub(super) fn all() -> Vec<Case> {
    let taken = taken().into_iter().map(|(name, values)| {
        let has_all_rights = ["istio", "events"].iter().all(|right| values["rbac"][right] != false);
        Case { name, values, is_refused: false, has_all_rights }
    });
    let refused = refused().into_iter().map(|(name, values)| Case {
        name,
        values,
        is_refused: true,
        has_all_rights: false,
    });
    taken.chain(refused).collect()
}

/// Everything that can be switched on.
pub(super) fn everything() -> Value {
    json!({
        "image": {"repository": "registry.example:5000/team/mtlsnoop", "digest": format!("sha256:{}", "0".repeat(64))},
        "imagePullSecrets": [{"name": "pull"}],
        "fullnameOverride": "mesh-tracer",
        "config": {
            "all": true,
            "announce": true,
            "announce-confidence": "certain",
            "capture": "always",
            "cluster": "auto",
            "disarm-after": "10m",
            "log-format": "json",
            "log-level": "debug",
            "metrics-expiry": "1h30m",
            "metrics-series": 500,
            "namespace": ["shop", "bank"],
            "pod": "shop/redis-0",
            "write": "/recordings/agent.mtlsnoop",
            "write-files": 2,
            "write-size": "16MiB",
        },
        "http": {"address": "0.0.0.0", "port": 9470},
        "serviceAccount": {"annotations": {"example.com/owner": "platform"}},
        "rbac": {"meshConfigMaps": ["istio", "istio-1-27"]},
        "priorityClassName": "system-node-critical",
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]}
        ]}}},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 3}},
        "podAnnotations": {"example.com/team": "mesh"},
        "podLabels": {"team": "mesh"},
        "tracefs": {"enabled": true},
        "securityContext": {
            "seccompProfile": {"type": "Localhost", "localhostProfile": "profiles/mtlsnoop.json"},
            "seLinuxOptions": {"type": "spc_t"},
            "appArmorProfile": {"type": "Unconfined"},
        },
        "service": {"enabled": true, "annotations": {"prometheus.io/scrape": "true"}},
        "podMonitor": {"enabled": true, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": true, "labels": {"release": "prometheus"}},
        "dashboard": {"enabled": true, "annotations": {"grafana_folder": "Mesh"}},
    })
}

fn taken() -> Vec<(&'static str, Value)> {
    vec![
        ("as it comes", json!({})),
        ("everything switched on", everything()),
        (
            "accounts and rights made by somebody else",
            json!({"serviceAccount": {"create": false, "name": "given"}, "rbac": {"create": false}}),
        ),
        (
            "no mesh, no Events, few nodes",
            json!({
                "rbac": {"istio": false, "events": false},
                "tolerations": [],
                "nodeSelector": {"team": "mesh"},
                "updateStrategy": {"type": "OnDelete", "rollingUpdate": null},
            }),
        ),
        ("a limit of processor time", json!({"resources": {"limits": {"cpu": 0.5}}})),
        ("as part of another chart", json!({"global": {"imageRegistry": "registry.example"}})),
    ]
}

fn refused() -> Vec<(&'static str, Value)> {
    vec![
        ("a key that is not there", json!({"imagee": {"tag": "1"}})),
        ("a key that is not there, further down", json!({"image": {"tagg": "1"}})),
        ("a tag in the repository", json!({"image": {"repository": "mtlsnoop:1"}})),
        ("a digest that is none", json!({"image": {"digest": "1234"}})),
        ("a port as text", json!({"http": {"port": "9469"}})),
        ("an address without brackets", json!({"http": {"address": "::"}})),
        ("the port in the agent's configuration", json!({"config": {"listen": "0.0.0.0:1"}})),
        ("the node in the agent's configuration", json!({"config": {"node": "a"}})),
        ("an option that the agent does not have", json!({"config": {"log-leve": "debug"}})),
        ("an option that needs more than the container has", json!({"config": {"config-dump": "auto"}})),
        ("a recording where nothing can be written", json!({"config": {"write": "/var/lib/agent.mtlsnoop"}})),
        ("more rights than were proved", json!({"securityContext": {"privileged": true}})),
        ("a profile without its file", json!({"securityContext": {"seccompProfile": {"type": "Localhost"}}})),
        ("an amount that Kubernetes does not know", json!({"resources": {"limits": {"memory": "64 MB"}}})),
        ("a switch as text", json!({"rbac": {"create": "yes"}})),
        ("a share that is none", json!({"updateStrategy": {"rollingUpdate": {"maxUnavailable": "ten"}}})),
        ("a label that is a number", json!({"podLabels": {"team": 7}})),
    ]
}
