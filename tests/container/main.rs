//! The agent's container, as deploy/manifests describes it, in a real container runtime: containerd with runc, and the
//! seccomp profile that Kubernetes calls `RuntimeDefault` there. What needs a kubelet is not tested here.
//!
//! Network and API are not there: what the container may and sees is the question.

#![cfg(test)]

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use data_encoding::HEXLOWER;
use mtlsnoop_tests::{
    client::Sending,
    cluster::Cluster,
    command::Launch,
    interception::{Interception, SIDECAR_UID},
    interrupt,
    netns::Netns,
    program,
    scene::SceneSpec,
    server::Backend,
    wait,
};
use serde_json::Value;

mod described;
mod runtime;

use described::Described;
use runtime::Runtime;

/// A real hello of Envoy, as hexadecimal digits with comments.
const HELLO: &str = include_str!("../../userspace/src/tls/testdata/istio_tls12.hex");

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

/// As on nodes with version 2 alone, where a container's own control group is the root of all that it is told.
#[test]
fn in_a_namespace_of_control_groups_it_takes_the_nodes_too() -> Result<()> {
    interrupt::catch()?;
    let (whole, runtime, cluster) = (Described::by_the_manifest()?, Runtime::start()?, Cluster::start()?);
    let mut holder = Launch::new(&program::system("unshare")?, cluster.folder())
        .args(["--cgroup", "sleep", "60"])
        .in_cgroup(cluster.cgroup())
        .start()?;
    let path = format!("/proc/{}/ns/cgroup", holder.pid());
    wait::until_true("a namespace of control groups", wait::LONG, || {
        holder.check_alive()?;
        Ok(fs::read_link(&path)? != fs::read_link("/proc/self/ns/cgroup")?)
    })?;
    // What a runtime mounts on such a node: the control group of its own, which looks like the root of all.
    let own = (cluster.cgroup().display().to_string(), "/run".to_owned());
    let mounts = [vec![own], whole.mounts.clone()].concat();
    let examined = examined(&runtime, &Described { cgroup_namespace: Some(path), mounts, ..whole.clone() })?;
    let root = examined["cgroup"]["root"].as_str().unwrap_or_default();
    ensure!(root.starts_with(whole.cgroups()?), "the control groups are taken from {root}");
    Ok(())
}

/// The incident in small, seen from within the container: a suspect in another pod arms the microscope for it, through the
/// node's control groups, and containers have their names.
#[test]
fn a_finding_in_another_pod_is_certain() -> Result<()> {
    interrupt::catch()?;
    let (container, runtime, netns) = (Described::by_the_manifest()?, Runtime::start()?, Netns::create()?);
    let scene = SceneSpec::new("redis", 6379).client(|pod| pod.interception(Interception::Nothing));
    let mut scene = scene.start(Cluster::start()?)?;
    scene.serve(Backend::Answers)?;
    fs::copy(scene.cluster_file()?, runtime.recordings().join("cluster.json"))?;
    let arguments = "trace -o json --capture adaptive --verbose --cluster /recordings/cluster.json";
    let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
    let mut tracer = runtime.start_tracer(&container, &arguments, &netns)?;
    tracer.wait_until_said("tracing")?;
    let greet = || {
        let hello: Vec<u8> = hello()?;
        let sending = Sending::pieces(&[&hello]).as_id(SIDECAR_UID).waiting(Duration::from_secs(1));
        sending.run(scene.client.sidecar_container()?, scene.address())
    };
    greet()?;
    tracer.wait_until_said("closely")?;
    greet()?;
    let finding = wait::until("a finding that is certain", wait::LONG, || {
        tracer.line(|line| line["kind"] == "finding" && line["confidence"] == "certain")
    })?;
    for (key, value) in [("/client/container", "istio-proxy"), ("/server/pod", "redis-0")] {
        ensure!(
            finding.pointer(key).is_some_and(|found| found == value),
            "{key} is not {value}: {finding:#}"
        );
    }
    Ok(())
}

fn hello() -> Result<Vec<u8>> {
    let digits: String = HELLO.lines().filter(|line| !line.starts_with('#')).map(str::trim).collect();
    Ok(HEXLOWER.decode(digits.as_bytes())?)
}

#[test]
fn the_agent_becomes_ready_within_its_memory_and_ends_when_it_is_told() -> Result<()> {
    interrupt::catch()?;
    let (container, runtime, netns) = (Described::by_the_manifest()?, Runtime::start()?, Netns::create()?);
    netns.run("ip", &["link", "set", "lo", "up"], "")?;
    let mut agent = runtime.start_tracer(&container, &container.arguments, &netns)?;
    let get = |path: &str| {
        let address = format!("http://127.0.0.1:9469{path}");
        netns.run("curl", &["--silent", "--show-error", "--fail", "--noproxy", "*", &address], "")
    };
    wait::until("the agent to be ready", wait::LONG, || {
        agent.check_alive()?;
        Ok(get("/readyz").ok())
    })?;
    get("/livez")?;
    let metrics = get("/metrics")?;
    for wanted in [
        "mtlsnoop_build_info{",
        "mtlsnoop_hook_attached{hook=\"ends of sockets\",program=\"socket_destroyed\"} 1",
    ] {
        ensure!(metrics.contains(wanted), "no {wanted} in:\n{metrics}");
    }
    // It fails on anything that it would name otherwise, too.
    netns.run("promtool", &["check", "metrics"], &metrics)?;
    let peak = agent.memory_bytes("memory.max_usage_in_bytes", "memory.peak")?;
    let usage = agent.memory_bytes("memory.usage_in_bytes", "memory.current")?;
    eprintln!("memory of the container: {} MiB at most, {} MiB when ready", peak >> 20, usage >> 20);
    // Half of it is for what comes with traffic.
    ensure!(peak < container.memory_limit_bytes / 2, "it took {} MiB while it started", peak >> 20);
    ensure!(usage < container.memory_request_bytes / 2, "it takes {} MiB when it is ready", usage >> 20);
    let output = agent.stop()?;
    ensure!(output.status.success(), "it ended with {}:\n{}", output.status, output.stderr);
    ensure!(output.stdout.contains("\"kind\":\"summary\""), "it ended without a summary:\n{}", output.stdout);
    Ok(())
}
