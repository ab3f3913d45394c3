//! What the agents' pods may and may not have: the least privilege that the kernel tests proved, and what the agent expects.
use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::document;
use crate::workspace::Workspace;

/// The capture mode of the agent, as the table of capabilities in README.md names it.
const MODE: &str = "capture adaptive";

pub(super) fn check(workspace: &Workspace, objects: &[Value]) -> Result<Vec<String>> {
    let readme = workspace.root.join("README.md");
    let readme =
        fs::read_to_string(&readme).with_context(|| format!("could not read {}", readme.display()))?;
    let proved = proved(&readme).context("README.md has no table of capabilities")?;
    let Some(agents) = document::find(objects, "DaemonSet") else { return Ok(Vec::new()) };
    Ok(check_agents(agents, &proved, document::find(objects, "ConfigMap")))
}

/// The capabilities that the mode needs, from the table that the kernel tests keep true.
fn proved(readme: &str) -> Option<BTreeSet<&str>> {
    let table = readme.split_once("<!-- capabilities -->")?.1.split_once("<!-- end -->")?.0;
    let rows = table.lines().filter(|line| line.contains(MODE));
    Some(rows.filter_map(|row| row.split('|').nth(1)).map(str::trim).collect())
}

fn check_agents(agents: &Value, proved: &BTreeSet<&str>, config: Option<&Value>) -> Vec<String> {
    let pod = &agents["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let context = &container["securityContext"];
    let mut complaints = Vec::new();
    let mut expect = |what: &str, found: &Value, expected: Value| {
        if *found != expected {
            complaints.push(format!("{what} is {found}, and should be {expected}"));
        }
    };
    for name in ["hostNetwork", "hostPID", "hostIPC"] {
        expect(name, &pod[name], json!(false));
    }
    for (name, expected) in [
        ("privileged", json!(false)),
        ("allowPrivilegeEscalation", json!(false)),
        ("readOnlyRootFilesystem", json!(true)),
    ] {
        expect(name, &context[name], expected);
    }
    expect("capabilities.drop", &context["capabilities"]["drop"], json!(["ALL"]));
    for (probe, path) in
        [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
    {
        expect(probe, &container[probe]["httpGet"]["path"], json!(path));
    }
    expect("the node's name", &container["env"][0]["name"], json!("MTLSNOOP_NODE"));
    expect(
        "the node's name",
        &container["env"][0]["valueFrom"]["fieldRef"]["fieldPath"],
        json!("spec.nodeName"),
    );
    complaints.extend(capabilities(context, proved));
    complaints.extend(mounts(pod, container));
    complaints.extend(config.and_then(|config| port(config, container)));
    complaints
}

fn capabilities(context: &Value, proved: &BTreeSet<&str>) -> Option<String> {
    let added = context["capabilities"]["add"].as_array().into_iter().flatten();
    let added: BTreeSet<&str> = added.filter_map(Value::as_str).collect();
    (added != *proved).then(|| {
        format!(
            "it gets the capabilities {added:?}, and the tests proved {proved:?} (README.md, Least privilege)"
        )
    })
}

/// Of the node, the agent sees what is named here, and writes none of it.
fn mounts(pod: &Value, container: &Value) -> Vec<String> {
    let allowed = ["cgroup", "tracefs"];
    let volumes = pod["volumes"].as_array().into_iter().flatten();
    let of_node: Vec<&str> = volumes
        .filter(|volume| !volume["hostPath"].is_null())
        .filter_map(|volume| volume["name"].as_str())
        .collect();
    let mut complaints: Vec<String> = of_node
        .iter()
        .filter(|name| !allowed.contains(name))
        .map(|name| format!("it sees «{name}» of the node"))
        .collect();
    let mounts = container["volumeMounts"].as_array().into_iter().flatten();
    for mount in mounts.filter(|mount| of_node.iter().any(|name| mount["name"] == *name)) {
        if mount["readOnly"] != json!(true) {
            complaints.push(format!("it may write to {} of the node", mount["name"]));
        }
    }
    complaints
}

/// Probes and scrapes go where it listens.
fn port(config: &Value, container: &Value) -> Option<String> {
    let config = config["data"]["config.yaml"].as_str()?;
    let config: Value = match serde_saphyr::from_str(config) {
        Ok(config) => config,
        Err(error) => return Some(format!("the agent's configuration is not YAML: {error}")),
    };
    let port = &container["ports"][0]["containerPort"];
    let listens = config["listen"].as_str().is_some_and(|listen| listen.ends_with(&format!(":{port}")));
    (!listens).then(|| format!("it listens at {}, and its port is {port}", config["listen"]))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{check_agents, proved};

    const README: &str = "<!-- capabilities -->\n| capability | needed by |\n|---|---|\n| BPF | capture sentinel, capture adaptive |\n\
        | SYS_PTRACE | none |\n<!-- end -->";

    fn agents() -> Value {
        let probe = |path: &str| json!({"httpGet": {"path": path}});
        json!({"spec": {"template": {"spec": {
            "hostNetwork": false, "hostPID": false, "hostIPC": false,
            "volumes": [{"name": "cgroup", "hostPath": {"path": "/sys/fs/cgroup"}}, {"name": "config"}],
            "containers": [{
                "env": [{"name": "MTLSNOOP_NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
                "ports": [{"containerPort": 9469}],
                "startupProbe": probe("/livez"), "livenessProbe": probe("/livez"), "readinessProbe": probe("/readyz"),
                "securityContext": {
                    "privileged": false, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"], "add": ["BPF"]},
                },
                "volumeMounts": [{"name": "cgroup", "readOnly": true}, {"name": "config"}],
            }],
        }}}})
    }

    fn complaints(pointer: &str, value: Value) -> Vec<String> {
        let mut agents = agents();
        if !pointer.is_empty() {
            *agents.pointer_mut(&format!("/spec/template/spec/{pointer}")).unwrap() = value;
        }
        let config = json!({"data": {"config.yaml": "listen: '[::]:9469'\n"}});
        check_agents(&agents, &proved(README).unwrap(), Some(&config))
    }

    #[test]
    fn every_privilege_beyond_the_proved_is_reported() {
        assert_eq!(complaints("", Value::Null), [""; 0]);
        let container = "containers/0";
        for (pointer, value, complaint) in [
            ("hostNetwork".to_owned(), json!(true), "hostNetwork is true"),
            ("hostPID".to_owned(), json!(true), "hostPID is true"),
            ("hostIPC".to_owned(), json!(true), "hostIPC is true"),
            (format!("{container}/securityContext/privileged"), json!(true), "privileged is true"),
            (format!("{container}/securityContext/readOnlyRootFilesystem"), json!(null), "should be true"),
            (format!("{container}/securityContext/capabilities/drop"), json!([]), "capabilities.drop is []"),
            (
                format!("{container}/securityContext/capabilities/add"),
                json!(["BPF", "SYS_ADMIN"]),
                "SYS_ADMIN",
            ),
            (
                format!("{container}/securityContext/capabilities/add"),
                json!([]),
                "the tests proved {\"BPF\"}",
            ),
            (format!("{container}/volumeMounts/0/readOnly"), json!(false), "it may write to \"cgroup\""),
            ("volumes/1".to_owned(), json!({"name": "root", "hostPath": {"path": "/"}}), "it sees «root»"),
            (format!("{container}/readinessProbe/httpGet/path"), json!("/"), "readinessProbe is \"/\""),
            (format!("{container}/env/0/name"), json!("NODE"), "the node's name is \"NODE\""),
            (format!("{container}/ports/0/containerPort"), json!(80), "it listens at"),
        ] {
            let found = complaints(&pointer, value);
            assert!(found.join("\n").contains(complaint), "{pointer}: {found:?}");
        }
    }
}
