//! The agent's options: the schema of the chart's values has each of them, and no other.
use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::workspace::Workspace;

/// The file in which each option has its variable of the environment, which is its key in the configuration file too.
const OPTIONS: &str = "userspace/src/cli/agent/mod.rs";

/// What the chart sets itself, and what cannot work in its container: there is no kubeconfig, and asking proxies for their
/// configuration needs more capabilities.
const WITHOUT: [&str; 5] = ["config", "listen", "node", "kubeconfig", "config-dump"];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let read = |path: &str| {
        fs::read_to_string(workspace.root.join(path)).with_context(|| format!("could not read {path}"))
    };
    let schema: Value = serde_json::from_str(&read("deploy/helm/mtlsnoop/values.schema.json")?)
        .context("values.schema.json is not JSON")?;
    Ok(compare(&read(OPTIONS)?, &schema["properties"]["config"]["properties"]))
}

fn compare(source: &str, properties: &Value) -> Vec<String> {
    let variables = source.split("env = \"MTLSNOOP_").skip(1).filter_map(|rest| rest.split('"').next());
    let options: BTreeSet<String> = variables
        .map(|variable| variable.to_ascii_lowercase().replace('_', "-"))
        .filter(|option| !WITHOUT.contains(&option.as_str()))
        .collect();
    let keys: BTreeSet<String> =
        properties.as_object().into_iter().flat_map(|keys| keys.keys().cloned()).collect();
    let complaints = options.symmetric_difference(&keys);
    complaints
        .map(|key| format!("{key} is in one of {OPTIONS} and values.schema.json, and not in the other"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::compare;

    #[test]
    fn an_option_that_only_one_of_them_has_is_reported() {
        let source = r#"#[arg(env = "MTLSNOOP_LOG_LEVEL")] #[arg(long, env = "MTLSNOOP_NODE")] #[arg(env = "MTLSNOOP_ALL")]"#;
        assert_eq!(compare(source, &json!({"all": {}, "log-level": {}})), [""; 0]);
        assert_eq!(compare(source, &json!({"all": {}})).len(), 1);
        assert_eq!(compare(source, &json!({"all": {}, "log-level": {}, "node": {}})).len(), 1);
    }
}
