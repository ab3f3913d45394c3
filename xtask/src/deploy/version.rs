//! The version: one for the program, the chart and the image.
use std::fs;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::workspace::Workspace;

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let read = |path: &str| {
        fs::read_to_string(workspace.root.join(path)).with_context(|| format!("could not read {path}"))
    };
    let chart = read("deploy/helm/mtlsnoop/Chart.yaml")?;
    let chart: Value = serde_saphyr::from_str(&chart).context("Chart.yaml is not YAML")?;
    Ok(compare(env!("CARGO_PKG_VERSION"), &chart, &read("deploy/Dockerfile")?))
}

fn compare(program: &str, chart: &Value, dockerfile: &str) -> Vec<String> {
    let mut complaints: Vec<String> = ["version", "appVersion"]
        .into_iter()
        .filter(|key| chart[*key] != program)
        .map(|key| format!("Chart.yaml has the {key} {}, and the program is {program}", chart[key]))
        .collect();
    if !dockerfile.contains(&format!("ARG VERSION={program}\n")) {
        complaints.push(format!("deploy/Dockerfile has another version than the program, {program}"));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::compare;

    #[test]
    fn every_other_version_is_reported() {
        let chart = json!({"version": "0.1.0", "appVersion": "0.1.0"});
        assert_eq!(compare("0.1.0", &chart, "ARG VERSION=0.1.0\n"), [""; 0]);
        assert_eq!(compare("0.2.0", &chart, "ARG VERSION=0.1.0\n").len(), 3);
    }
}
