//! What the checked-in manifest says of the agent's container; knows no runtime.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// A container, as far as a runtime without a kubelet can make it.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// Without `CAP_`.
    pub(crate) capabilities: Vec<String>,
    /// Folders of the node, and where the container sees them, read-only.
    pub(crate) mounts: Vec<(String, String)>,
    pub(crate) memory_limit_bytes: u64,
    pub(crate) memory_request_bytes: u64,
    /// A namespace of control groups to join; none: that of the node, as on nodes with version 1.
    pub(crate) cgroup_namespace: Option<String>,
    /// What the tracer is started with.
    pub(crate) arguments: Vec<String>,
    /// The agent's configuration file.
    pub(crate) config: String,
}

impl Described {
    /// Reads deploy/manifests/mtlsnoop.yaml. What cannot be said to the runtime has to be the way the runtime does it.
    pub(crate) fn by_the_manifest() -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("deploy/manifests/mtlsnoop.yaml");
        let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text)?;
        let find = |kind: &str| objects.iter().find(|object| object["kind"] == kind);
        let pod = &find("DaemonSet").context("there is no DaemonSet")?["spec"]["template"]["spec"];
        let config = find("ConfigMap").and_then(|map| map["data"]["config.yaml"].as_str());
        let container = &pod["containers"][0];
        let context = &container["securityContext"];
        ensure!(context["readOnlyRootFilesystem"] == true, "the root is not read-only");
        ensure!(context["allowPrivilegeEscalation"] == false, "privileges can be escalated");
        ensure!(context["runAsUser"] == 0, "the user is another");
        ensure!(context["seccompProfile"]["type"] == "RuntimeDefault", "the profile is another");
        ensure!(context["capabilities"]["drop"][0] == "ALL", "not all capabilities are dropped");
        Ok(Self {
            capabilities: texts(&context["capabilities"]["add"]),
            mounts: mounts(pod, container),
            memory_limit_bytes: mebibytes(&container["resources"]["limits"]["memory"])? << 20,
            memory_request_bytes: mebibytes(&container["resources"]["requests"]["memory"])? << 20,
            cgroup_namespace: None,
            arguments: texts(&container["args"]),
            config: config.context("there is no configuration")?.to_owned(),
        })
    }

    /// Where the container sees the node's control groups.
    pub(crate) fn cgroups(&self) -> Result<&str> {
        let mount = self.mounts.iter().find(|(from, _)| from == "/sys/fs/cgroup");
        mount.map(|(_, to)| to.as_str()).context("it sees no control groups of the node")
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Folders of the node by the name of their volume.
fn mounts(pod: &Value, container: &Value) -> Vec<(String, String)> {
    let volumes = pod["volumes"].as_array().into_iter().flatten();
    let of_node = volumes.filter_map(|volume| Some((&volume["name"], volume["hostPath"]["path"].as_str()?)));
    let places = container["volumeMounts"].as_array();
    of_node
        .filter_map(|(name, path)| {
            let place = places?.iter().find(|place| place["name"] == *name)?;
            Some((path.to_owned(), place["mountPath"].as_str()?.to_owned()))
        })
        .collect()
}

fn mebibytes(quantity: &Value) -> Result<u64> {
    let text = quantity.as_str().and_then(|text| text.strip_suffix("Mi"));
    text.and_then(|text| text.parse().ok()).with_context(|| format!("{quantity} is not a number of Mi"))
}
