//! What Envoys say beside a recording: it becomes evidence, and what cannot be used is named.

use std::{fs, path::Path, process::Stdio};

use serde_json::{Value, json};

use crate::program::{Run, incident, mtlsnoop, run};

/// The article's log line: what Envoy said of the attempt in the recording.
const SEED: &str = r#"[2020-09-12T13:38:23.077Z] "- - -" 0 UF,URX "-" "-" 0 0 1001 - "-" "-" "-" "-" "10.1.1.24:6379" outbound|6379||redis.default.svc.cluster.local - 10.1.1.24:6379 10.1.1.25:45940 - -"#;

const LOGGED: &str = "Envoy logged UF,URX after 1001 ms for outbound|6379||redis.default.svc.cluster.local";

const CONFIGURED: &str = "its cluster outbound|6379||redis.default.svc.cluster.local is ORIGINAL_DST with TLS for every endpoint \
                          (no transport_socket_matches), to spiffe://cluster.local/ns/default/sa/default and nobody else, \
                          connect timeout 1 s, made with no DestinationRule";

/// The article's dump.
fn dump() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../userspace/src/source/config_dump/testdata");
    folder.join("istio_1_5.json").to_str().unwrap().to_owned()
}

/// The evidence of the only finding.
#[track_caller]
fn evidence(run: &Run) -> Vec<String> {
    assert_eq!(run.code, Some(0), "{run:?}");
    let lines = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let findings: Vec<Value> = lines.filter(|line| line["kind"] == "finding").collect();
    let [finding] = &*findings else { panic!("{run:?}") };
    serde_json::from_value(finding["evidence"].clone()).unwrap()
}

#[track_caller]
fn count(evidence: &[String], beginning: &str) -> usize {
    evidence.iter().filter(|sentence| sentence.starts_with(beginning)).count()
}

#[test]
fn log_and_dump_are_evidence_of_the_finding() {
    let (folder, path) = incident();
    let log = folder.path().join("istio-proxy.log");
    fs::write(
        &log,
        format!(
            "2020-09-12T13:38:20.1Z stdout F an agent's message\n2020-09-12T13:38:24.2Z stdout F {SEED}\n"
        ),
    )
    .unwrap();
    let (log, dump) = (log.to_str().unwrap(), dump());
    for (arguments, logged, configured) in [
        (&[] as &[&str], 0, 0),
        (&["--envoy-log", log], 1, 0),
        (&["--config-dump", &dump], 0, 1),
        (&["--envoy-log", log, "--config-dump", &dump], 1, 1),
    ] {
        let analyzed = run(&[&["analyze", &path, "-o", "json"], arguments].concat());
        let evidence = evidence(&analyzed);
        assert_eq!(count(&evidence, LOGGED), logged, "{arguments:?}: {evidence:#?}");
        assert_eq!(count(&evidence, CONFIGURED), configured, "{arguments:?}: {evidence:#?}");
        assert_eq!(count(&evidence, "contradiction"), 0, "{arguments:?}: {evidence:#?}");
        assert_eq!(analyzed.stderr, "", "{arguments:?}");
    }
    let both = run(&["analyze", &path, "-o", "json", "--envoy-log", log, "--config-dump", &dump]);
    assert_eq!(count(&evidence(&both), &format!("{LOGGED}, which is its connect timeout")), 1, "{both:?}");
}

#[test]
fn a_log_comes_through_standard_input_too() {
    let (folder, path) = incident();
    let log = folder.path().join("log");
    let line = json!({
        "start_time": "2020-09-12T13:38:23.077Z", "response_code": 0, "response_flags": "UF,URX", "duration": 1001,
        "bytes_received": 0, "bytes_sent": 0, "upstream_host": "10.1.1.24:6379", "downstream_remote_address": "10.1.1.25:45940",
        "upstream_cluster": "outbound|6379||redis.default.svc.cluster.local", "path": "/secret",
    });
    fs::write(&log, line.to_string()).unwrap();
    let mut command = mtlsnoop(&["analyze", &path, "-o", "json", "--envoy-log", "-"]);
    let output = command.stdin(fs::File::open(log).unwrap()).stderr(Stdio::piped()).output().unwrap();
    let analyzed = Run::from(output);
    assert_eq!(count(&evidence(&analyzed), LOGGED), 1, "{analyzed:?}");
    assert!(!analyzed.stdout.contains("secret"), "{analyzed:?}");
}

#[test]
fn of_another_time_or_pod_nothing_is_said() {
    let (folder, path) = incident();
    let log = folder.path().join("istio-proxy.log");
    let later = SEED.replace("13:38:23", "13:38:25");
    let other = SEED.replace("10.1.1.25", "10.1.1.77");
    fs::write(&log, format!("{later}\n{other}\n{}\n", SEED.replace(":6379\"", ":6380\""))).unwrap();
    let analyzed = run(&["analyze", &path, "-o", "json", "--envoy-log", log.to_str().unwrap()]);
    assert_eq!(count(&evidence(&analyzed), "Envoy"), 0, "{analyzed:?}");
}

#[test]
fn what_cannot_be_read_in_a_log_is_counted_and_said() {
    let (folder, path) = incident();
    let log = folder.path().join("istio-proxy.log");
    let name = log.to_str().unwrap();
    fs::write(&log, format!("[2020-09-12T13:38:23.077Z] \"my own format\" 503\n{SEED}\n")).unwrap();
    let analyzed = run(&["analyze", &path, "-o", "json", "--envoy-log", name]);
    assert_eq!(count(&evidence(&analyzed), LOGGED), 1, "{analyzed:?}");
    for part in [
        name,
        "1 entries of failures",
        "1 entries that cannot be read (the first is line 1)",
        "accessLogFormat",
    ] {
        assert!(analyzed.stderr.contains(part), "`{part}` is not in: {}", analyzed.stderr);
    }
    fs::write(&log, "nothing of an access log\n").unwrap();
    let analyzed = run(&["analyze", &path, "-o", "json", "--envoy-log", name]);
    assert!(analyzed.stderr.contains("no entry of an access log"), "{analyzed:?}");
}

#[test]
fn what_is_whole_of_a_dump_is_used() {
    let (folder, path) = incident();
    let cut = folder.path().join("cut.json");
    let whole = fs::read_to_string(dump()).unwrap();
    fs::write(&cut, &whole[..whole.find("redis.dubbo").unwrap()]).unwrap();
    let analyzed = run(&["analyze", &path, "-o", "json", "--config-dump", cut.to_str().unwrap()]);
    assert_eq!(count(&evidence(&analyzed), CONFIGURED), 1, "{analyzed:?}");
    assert!(analyzed.stderr.contains("cut.json") && analyzed.stderr.contains("(line "), "{analyzed:?}");
}

#[test]
fn files_that_cannot_be_used_are_named_with_what_to_try() {
    let (folder, path) = incident();
    let none = folder.path().join("none");
    let none = none.to_str().unwrap();
    let yaml = folder.path().join("dump.yaml");
    fs::write(&yaml, "configs:\n- clusters\n").unwrap();
    let yaml = yaml.to_str().unwrap();
    for (command, arguments, says) in [
        ("analyze", ["--envoy-log", none], [none, "No such file", "kubectl logs"]),
        ("analyze", ["--config-dump", none], [none, "No such file", "pilot-agent request GET config_dump"]),
        (
            "analyze",
            ["--config-dump", yaml],
            [yaml, "line 1, column 1", "pilot-agent request GET config_dump"],
        ),
        ("trace", ["--envoy-log", none], [none, "No such file", "kubectl logs"]),
        ("trace", ["--config-dump", yaml], [yaml, "line 1, column 1", "pilot-agent request GET config_dump"]),
    ] {
        let file: &[&str] = if command == "analyze" { &[&path] } else { &[] };
        run(&[&[command], file, &arguments].concat()).fails_with(1, &says);
    }
}

#[test]
fn a_recording_has_no_proxies_to_ask() {
    let (_folder, path) = incident();
    let says = ["--config-dump auto", "has none", "pilot-agent request GET config_dump"];
    run(&["analyze", &path, "--config-dump", "auto"]).fails_with(2, &says);
}
