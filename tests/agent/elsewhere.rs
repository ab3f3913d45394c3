//! The other end is on another node, whose pods this agent does not watch: it is looked up, and nothing else is.

use anyhow::Result;

use crate::watched::Ground;

#[test]
fn a_pod_of_another_node_is_looked_up_once() -> Result<()> {
    let ground = Ground::new()?;
    ground.api.change("pods", "default", "redis-0", |pod| pod["spec"]["nodeName"] = "node-2".into())?;
    let mut watched = ground.watch()?;
    watched.wait_until_ready()?;
    for _ in 0..3 {
        watched.fail()?;
    }
    let finding = watched.named_finding()?;
    assert_eq!(finding["server"]["pod"], "redis-0", "{finding:#}");
    assert_eq!(finding["server"]["workload"], "StatefulSet/redis", "{finding:#}");
    assert_eq!(finding["server"]["sidecar"], false, "{finding:#}");
    watched.wait_for_metric("mtlsnoop_kube_lookups_total", &[], |count| count > 0.5)?;
    let requests = watched.ground.api.requests();
    let asked = requests.iter().filter(|request| {
        request.resource == "pods" && (request.uri.contains("redis-0") || request.uri.contains("podIP"))
    });
    assert_eq!(asked.count(), 1, "{requests:#?}");
    let everywhere = requests.iter().filter(|request| {
        request.resource == "pods" && request.verb != "get" && !request.uri.contains("Selector=")
    });
    assert_eq!(everywhere.count(), 0, "all pods of the cluster were asked for: {requests:#?}");
    watched.end().map(drop)
}

#[test]
fn without_istio_its_kinds_are_absent_and_nothing_is_wrong() -> Result<()> {
    let ground = Ground::new()?;
    for group in ["networking.istio.io", "security.istio.io"] {
        ground.api.remove_group(group);
    }
    let mut watched = ground.watch()?;
    watched.wait_until_ready()?;
    watched.wait_for_watch("destinationrules", "absent")?;
    watched.fail()?;
    watched.named_finding()?;
    watched.end().map(drop)
}
