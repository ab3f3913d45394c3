//! The plain manifests: what the chart makes with the values as they come, without the traces of Helm. It knows which
//! objects belong into which file.
use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::chart::{self, Rendered};
use crate::{setup::Validators, workspace::Workspace};

/// Kubernetes' own words for pods that see the node (Pod Security Standards): hostPath and the capabilities need it.
const NAMESPACE: &str = "---
apiVersion: v1
kind: Namespace
metadata:
  name: mtlsnoop
  labels:
    app.kubernetes.io/name: mtlsnoop
    # It mounts the node's control groups and has three capabilities, which no stricter level allows.
    pod-security.kubernetes.io/enforce: privileged
    pod-security.kubernetes.io/audit: privileged
    pod-security.kubernetes.io/warn: privileged
";

/// Helm finds its objects by these; `kubectl` has no use for them.
const OF_HELM: [&str; 3] = ["# Source: ", "helm.sh/chart: ", "app.kubernetes.io/managed-by: "];

/// A file of manifests, and which of the chart's templates it holds.
struct File {
    name: &'static str,
    opening: &'static str,
    has_namespace: bool,
    templates: &'static [&'static str],
}

const FILES: [File; 2] = [
    File {
        name: "mtlsnoop.yaml",
        opening: "# The agents, without Helm: `kubectl apply -f mtlsnoop.yaml`. The image's name is to be set for your registry.\n",
        has_namespace: true,
        templates: &["serviceaccount", "clusterrole", "clusterrolebinding", "configmap", "daemonset"],
    },
    File {
        name: "monitoring.yaml",
        opening: "# For the Prometheus operator: `kubectl apply -f monitoring.yaml`, after mtlsnoop.yaml.\n",
        has_namespace: false,
        templates: &["podmonitor", "prometheusrule"],
    },
];

const GENERATED: &str = "# Made from deploy/helm by `cargo xtask deploy --render`; a change belongs there.\n";

/// Writes them.
pub(super) fn write(workspace: &Workspace, validators: &Validators) -> Result<()> {
    for (path, text) in made(workspace, validators)? {
        fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
        eprintln!("wrote {}", workspace.shown(&path));
    }
    Ok(())
}

/// Says which are not what the chart makes.
pub(super) fn compare(workspace: &Workspace, validators: &Validators) -> Result<Vec<String>> {
    let made = made(workspace, validators)?;
    let stale = made.iter().filter(|(path, text)| fs::read_to_string(path).ok().as_ref() != Some(text));
    let complaint = |path: &PathBuf| {
        format!("{} is not what the chart makes; try `cargo xtask deploy --render`", workspace.shown(path))
    };
    Ok(stale.map(|(path, _)| complaint(path)).collect())
}

fn made(workspace: &Workspace, validators: &Validators) -> Result<Vec<(PathBuf, String)>> {
    let values = json!({"podMonitor": {"enabled": true}, "prometheusRule": {"enabled": true}});
    let manifest = render(workspace, validators, &values)?;
    let folder = workspace.root.join("deploy/manifests");
    Ok(FILES.iter().map(|file| (folder.join(file.name), file.text(&manifest))).collect())
}

fn render(workspace: &Workspace, validators: &Validators, values: &Value) -> Result<String> {
    match chart::render(workspace, validators, std::slice::from_ref(values))?.pop() {
        Some(Rendered::Objects { manifest, .. }) => Ok(manifest),
        Some(Rendered::Refused { refused: reason }) => {
            bail!("the chart does not take its own values: {reason}")
        }
        None => bail!("the chart makes nothing"),
    }
}

impl File {
    fn text(&self, manifest: &str) -> String {
        let mut text = format!("{}{GENERATED}", self.opening);
        if self.has_namespace {
            text.push_str(NAMESPACE);
        }
        for template in self.templates {
            let source = format!("# Source: mtlsnoop/templates/{template}.yaml\n");
            for document in manifest.split("---\n").filter(|document| document.contains(&source)) {
                text.push_str("---\n");
                text.extend(
                    document.lines().filter(|line| !is_of_helm(line)).map(|line| format!("{line}\n")),
                );
            }
        }
        text
    }
}

fn is_of_helm(line: &str) -> bool {
    line.trim().is_empty() || OF_HELM.iter().any(|word| line.trim_start().starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::FILES;

    #[test]
    fn a_file_has_its_templates_in_its_order_and_nothing_of_helm() {
        let manifest = "---\n# Source: mtlsnoop/templates/daemonset.yaml\nkind: DaemonSet\n  helm.sh/chart: a\n\n  b: c\n\
            ---\n# Source: mtlsnoop/templates/serviceaccount.yaml\nkind: ServiceAccount\n\
            ---\n# Source: mtlsnoop/templates/podmonitor.yaml\nkind: PodMonitor\n";
        let [agents, monitoring] = FILES.map(|file| file.text(manifest));
        assert!(agents.ends_with("---\nkind: ServiceAccount\n---\nkind: DaemonSet\n  b: c\n"), "{agents}");
        assert!(agents.contains("kind: Namespace") && !monitoring.contains("kind: Namespace"));
        assert!(monitoring.ends_with("---\nkind: PodMonitor\n"), "{monitoring}");
    }
}
