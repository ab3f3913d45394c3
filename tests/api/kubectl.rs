//! kubectl as people use it.

use std::process::Command;

use anyhow::{Result, ensure};
use mtlsnoop_tests::program;

use crate::served::{Served, rule};

fn kubectl(served: &Served, arguments: &[&str]) -> Result<(bool, String, String)> {
    let output = Command::new(program::system("kubectl")?)
        .arg("--kubeconfig")
        .arg(served.api.admin_kubeconfig()?)
        // It keeps what it was told of groups in the home folder.
        .arg("--cache-dir")
        .arg(served.folder.path().join("kubectl"))
        .args(arguments)
        .output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((output.status.success(), text(output.stdout), text(output.stderr)))
}

#[test]
fn objects_are_got_listed_and_selected() -> Result<()> {
    let served = Served::with_pods(3)?;
    served.api.put(rule("redis"))?;
    for (arguments, expected) in [
        (
            vec!["get", "pods", "-A", "--field-selector", "spec.nodeName=node-1", "-o", "name"],
            "pod/redis-1\n",
        ),
        (vec!["get", "po", "redis-2", "-o", "jsonpath={.status.podIP}"], "10.0.0.2"),
        (
            vec![
                "get",
                "pods",
                "-l",
                "apps.kubernetes.io/pod-index in (0)",
                "--chunk-size",
                "1",
                "-o",
                "name",
            ],
            "pod/redis-0\n",
        ),
        (vec!["get", "pods", "--chunk-size", "1", "-o", "name"], "pod/redis-0\npod/redis-1\npod/redis-2\n"),
        (
            vec!["get", "destinationrules", "-A", "-o", "name"],
            "destinationrule.networking.istio.io/redis-tls\n",
        ),
        (vec!["get", "--raw", "/readyz"], "ok"),
    ] {
        let (is_good, said, wrong) = kubectl(&served, &arguments)?;
        ensure!(is_good && said == expected, "{arguments:?}: {said}{wrong}");
    }
    served.api.check()
}

#[test]
fn refusals_are_worded_as_everywhere() -> Result<()> {
    let served = Served::with_pods(1)?;
    for (arguments, expected) in [
        (vec!["get", "pod", "redis-9"], "Error from server (NotFound): pods \"redis-9\" not found"),
        (vec!["get", "pods", "--field-selector", "spec.foo=1"], "field label not supported: spec.foo"),
        (vec!["get", "--raw", "/nowhere"], "the server could not find the requested resource"),
    ] {
        let (is_good, _, said) = kubectl(&served, &arguments)?;
        ensure!(!is_good && said.contains(expected), "{arguments:?}: {said}");
    }
    Ok(())
}

#[test]
fn a_watch_tells_what_is_there() -> Result<()> {
    let served = Served::with_pods(2)?;
    let arguments = ["get", "pods", "--watch", "-o", "name", "--request-timeout", "2s"];
    let (_, said, wrong) = kubectl(&served, &arguments)?;
    ensure!(said == "pod/redis-0\npod/redis-1\n", "{said}{wrong}");
    served.api.check()
}
