//! The agent's container, as deploy/manifests describes it, in a real container runtime: containerd with runc, and the
//! seccomp profile that Kubernetes calls `RuntimeDefault` there. What needs a kubelet is not tested here.
//!
//! Network and API are not there: what the container may and sees is the question.

#![cfg(test)]

use anyhow::{Result, ensure};
use mtlsnoop_tests::interrupt;
use serde_json::Value;

mod described;
mod runtime;

use described::Described;
use runtime::Runtime;

/// What `mtlsnoop doctor` says in such a container.
fn examined(runtime: &Runtime, container: &Described) -> Result<Value> {
    let output = runtime.run(container, &["doctor", "-o", "json"])?;
    serde_json::from_str(&output.stdout)
        .map_err(|error| anyhow::anyhow!("{error}:\n{}{}", output.stdout, output.stderr))
}

fn is_possible(examined: &Value, capture: &str) -> bool {
    let captures = examined["captures"].as_array().into_iter().flatten();
    captures.filter(|one| one["name"] == capture).any(|one| one["possible"] == true)
}

#[test]
fn all_that_the_agent_does_is_possible() -> Result<()> {
    interrupt::catch()?;
    let container = Described::by_the_manifest()?;
    let examined = examined(&Runtime::start()?, &container)?;
    for capture in ["sentinel", "adaptive"] {
        ensure!(is_possible(&examined, capture), "{capture} is not possible: {examined:#}");
    }
    let root = examined["cgroup"]["root"].as_str().unwrap_or_default();
    ensure!(root.starts_with(container.cgroups()?), "the control groups are taken from {root}");
    Ok(())
}

#[test]
fn without_one_of_the_capabilities_it_is_not() -> Result<()> {
    interrupt::catch()?;
    let (whole, runtime) = (Described::by_the_manifest()?, Runtime::start()?);
    for lacking in &whole.capabilities {
        let fewer = whole.capabilities.iter().filter(|held| *held != lacking).cloned().collect();
        let examined = examined(&runtime, &Described { capabilities: fewer, ..whole.clone() })?;
        ensure!(!is_possible(&examined, "adaptive"), "it does without {lacking}: {examined:#}");
    }
    Ok(())
}

#[test]
fn without_the_nodes_control_groups_it_sees_its_own_only() -> Result<()> {
    interrupt::catch()?;
    let whole = Described::by_the_manifest()?;
    let blind = Described { mounts: Vec::new(), ..whole.clone() };
    let examined = examined(&Runtime::start()?, &blind)?;
    let root = examined["cgroup"]["root"].as_str().unwrap_or_default();
    ensure!(!root.starts_with(whole.cgroups()?), "the control groups are taken from {root}");
    Ok(())
}
