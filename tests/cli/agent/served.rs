//! What the port answers.

use std::{
    io::Write as _,
    net::TcpStream,
    process::{Command, Stdio},
};

use mtlsnoop_ebpf::config::MAX_HELLOS;
use mtlsnoop_tests::{program, wait};

use crate::{
    agent::{Agent, load},
    program::run,
};

#[test]
fn probes_and_metrics_are_answered() {
    let Some(agent) = Agent::start(&[], Stdio::null()) else { return };
    for path in ["/livez", "/readyz"] {
        let answer = agent.get(path);
        assert_eq!((answer.status, answer.body.as_str()), (200, "{\"ok\":true}\n"), "{path}");
        assert!(answer.headers.contains("content-type: application/json"), "{answer:?}");
    }
    let nowhere = agent.get("/");
    assert_eq!(nowhere.status, 404);
    assert!(nowhere.body.contains("/metrics"), "{nowhere:?}");
    assert_eq!(agent.ask("POST /metrics HTTP/1.1\r\nHost: node\r\nContent-Length: 0\r\n\r\n").status, 405);
    load::exchange(10);
    wait::until_true("ends in the metrics", wait::LONG, || {
        Ok(agent.metric("mtlsnoop_connections_total{result=\"seen\"}") >= 20.0)
    })
    .unwrap();
    let metrics = agent.get("/metrics");
    assert!(metrics.headers.contains("content-type: text/plain; version=0.0.4"), "{}", metrics.headers);
    for name in ["mtlsnoop_events_total{kind=\"ended\"}", "mtlsnoop_lost_total{loss=\"lost_ended\"} 0\n"] {
        assert!(metrics.body.contains(name), "{name} in {}", metrics.body);
    }
    assert!(agent.metric("mtlsnoop_hook_attached{hook=\"ends of sockets\"") > 0.0);
    let request = "GET /metrics HTTP/1.1\r\nHost: node\r\nAccept: application/openmetrics-text\r\n\r\n";
    assert!(agent.ask(request).body.ends_with("# EOF\n"));
}

#[test]
fn the_map_of_hellos_is_as_full_as_there_are_some_without_an_answer() {
    const CONNECTIONS: u16 = 64;

    let Some(agent) = Agent::start(&["--capture", "always"], Stdio::null()) else { return };
    // Both ends are on this node. Whoever else waits for an answer here only adds to it.
    let filled = f64::from(2 * CONNECTIONS) / f64::from(MAX_HELLOS);
    let is_filled = || agent.metric("mtlsnoop_kernel_map_fill_ratio{map=\"hellos\"}") >= filled;
    assert!(!is_filled());
    let waiting = load::unanswered_hellos(CONNECTIONS.into());
    wait::until_true("hellos in the metrics", wait::LONG, || Ok(is_filled())).unwrap();
    drop(waiting);
    // The map keeps them: nothing is deleted.
    wait::until_true("no hellos in the metrics", wait::LONG, || Ok(!is_filled())).unwrap();
}

#[test]
fn promtool_has_nothing_to_say_about_the_metrics() {
    let Some(agent) = Agent::start(&[], Stdio::null()) else { return };
    load::exchange(10);
    wait::until_true("ends in the metrics", wait::LONG, || {
        Ok(agent.metric("mtlsnoop_connections_total{result=\"seen\"}") >= 20.0)
    })
    .unwrap();
    let promtool = program::system("promtool").unwrap();
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(agent.get("/metrics").body.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success() && said.iter().all(String::is_empty), "{said:?}");
}

#[test]
fn who_says_nothing_keeps_nobody_from_the_port() {
    let Some(agent) = Agent::start(&[], Stdio::null()) else { return };
    let silent: Vec<_> = (0..63).map(|_| TcpStream::connect(agent.address).unwrap()).collect();
    assert_eq!(agent.get("/livez").status, 200);
    drop(silent);
}

#[test]
fn a_port_in_use_is_an_error_that_says_what_to_do() {
    let Some(agent) = Agent::start(&[], Stdio::null()) else { return };
    let address = agent.address.to_string();
    run(&["agent", "--cluster", "none", "--listen", &address])
        .fails_with(1, &[&address, "Address already in use", "--listen"]);
}

#[test]
fn without_its_api_server_it_traces_and_says_why_it_is_not_ready() {
    /// Nobody listens at this port (RFC 6335: tcpmux, which is not in use any more).
    const KUBECONFIG: &str = "\
apiVersion: v1
kind: Config
clusters: [{name: away, cluster: {server: 'https://127.0.0.1:1'}}]
users: [{name: nobody, user: {token: none}}]
contexts: [{name: away, context: {cluster: away, user: nobody}}]
current-context: away
";
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: an agent needs root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, KUBECONFIG).unwrap();
    let agent = Agent::begin(&["--kubeconfig", path.to_str().unwrap(), "--node", "a-node"], Stdio::null());
    wait::until_true("a watch that fails", wait::LONG, || {
        Ok(agent.metric("mtlsnoop_kube_watch_state{kind=\"pods\",state=\"failing\"}") > 0.0)
    })
    .unwrap();
    let ready = agent.get("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("pods are not listed yet"), "{ready:?}");
    assert_eq!(agent.get("/livez").status, 200);
    load::exchange(10);
    wait::until_true("ends in the metrics", wait::LONG, || {
        Ok(agent.metric("mtlsnoop_connections_total{result=\"seen\"}") >= 20.0)
    })
    .unwrap();
    let ended = agent.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("tracing TCP on node a-node"), "{ended:?}");
}
