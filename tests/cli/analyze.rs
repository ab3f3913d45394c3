//! `analyze`: recordings give what the events gave; selection, exit codes and colours.

use std::{fs, io::Read as _, process::Stdio};

use nix::pty::openpty;

use crate::program::{
    INCIDENT, Run, expected, incident, mtlsnoop, recording, run, scenario, scenarios, written,
};

#[test]
fn every_scenario_as_a_recording_gives_its_lines_byte_for_byte() {
    for scenario in scenarios() {
        let (_folder, path) = written(&recording(&scenario));
        let analyzed = run(&["analyze", &path, "-o", "json"]);
        assert_eq!(analyzed.stdout, expected(&scenario), "{}", scenario.display());
        assert_eq!((analyzed.code, analyzed.stderr.as_str()), (Some(0), ""), "{}", scenario.display());
    }
}

#[test]
fn connections_come_with_all_and_the_accounting_is_the_same() {
    let (_folder, path) = incident();
    let few = run(&["analyze", &path, "-o", "json"]);
    let all = run(&["analyze", &path, "-o", "json", "--all"]);
    let is_connection = |line: &&str| line.starts_with(r#"{"kind":"connection","#);
    assert_eq!(few.stdout.lines().filter(is_connection).count(), 0, "{few:?}");
    assert_ne!(all.stdout.lines().filter(is_connection).count(), 0, "{all:?}");
    let others: Vec<_> = all.stdout.lines().filter(|line| !is_connection(line)).collect();
    assert_eq!(others, few.stdout.lines().collect::<Vec<_>>());
}

/// The summary of a run, and how many findings it wrote.
fn findings_and_summary(run: &Run) -> (usize, serde_json::Value) {
    let lines: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, others) = lines.split_last().unwrap();
    assert_eq!(summary["kind"], "summary", "{run:?}");
    (others.iter().filter(|line| line["kind"] == "finding").count(), summary.clone())
}

#[test]
fn a_selection_shows_its_pods_and_counts_the_rest_as_filtered() {
    let (_folder, path) = incident();
    let (findings, everything) = findings_and_summary(&run(&["analyze", &path, "-o", "json"]));
    assert_eq!((findings, &everything["filtered"]), (1, &0.into()));
    // The client's pod has three of the four ends: the app's, and both of the sidecar; all but the one that the sidecar accepted
    // lead to the server.
    for (selection, findings, filtered) in [
        (&["-n", "default"] as &[&str], 1, 0),
        (&["-p", "redis-0"], 1, 1),
        (&["-p", "default/redis-0"], 1, 1),
        (&["-A"], 1, 0),
        (&["-n", "elsewhere"], 0, 4),
        (&["-p", "elsewhere/redis-0"], 0, 4),
    ] {
        let arguments = [&["analyze", &path, "-o", "json", "--fail-on-finding"], selection].concat();
        let analyzed = run(&arguments);
        let (found, summary) = findings_and_summary(&analyzed);
        assert_eq!(found, findings, "{selection:?}");
        assert_eq!(summary["findings"], findings, "{selection:?}");
        assert_eq!(analyzed.code, Some(if findings == 0 { 0 } else { 3 }), "{selection:?}");
        let number = |key: &str| summary[key].as_u64().unwrap();
        assert_eq!(summary["lost"], serde_json::json!({}), "{selection:?}");
        assert_eq!(number("seen"), number("reported") + number("filtered") + number("open"), "{selection:?}");
        assert_eq!(number("filtered"), filtered, "{selection:?}");
    }
}

#[test]
fn a_finding_is_a_failure_only_when_that_is_asked_for() {
    let (_folder, path) = incident();
    assert_eq!(run(&["analyze", &path]).code, Some(0));
    assert_eq!(run(&["analyze", &path, "--fail-on-finding"]).code, Some(3));
    let (_folder, well) = written(&recording(&scenario("plaintext-is-well")));
    assert_eq!(run(&["analyze", &well, "--fail-on-finding"]).code, Some(0));
}

#[test]
fn the_recorded_cluster_can_be_left_out_or_replaced() {
    let (folder, path) = incident();
    let pod_of = |cluster: &str| {
        let analyzed = run(&["analyze", &path, "-o", "json", "--cluster", cluster]);
        let finding: serde_json::Value =
            serde_json::from_str(analyzed.stdout.lines().next().unwrap()).unwrap();
        assert_eq!(finding["kind"], "finding", "{analyzed:?}");
        finding["server"].get("pod").cloned()
    };
    let other = folder.path().join("cluster.json");
    let pods = serde_json::json!({
        "apiVersion": "v1", "kind": "List", "items": [{
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "other-0", "namespace": "default", "uid": "u" },
            "spec": { "containers": [{ "name": "redis" }] },
            "status": { "phase": "Running", "podIP": "10.1.1.24", "podIPs": [{ "ip": "10.1.1.24" }] },
        }],
    });
    fs::write(&other, pods.to_string()).unwrap();
    assert_eq!(pod_of("auto"), Some("redis-0".into()));
    assert_eq!(pod_of("none"), None);
    assert_eq!(pod_of(other.to_str().unwrap()), Some("other-0".into()));
}

#[test]
fn text_for_people_names_what_is_wrong_and_how_to_mend_it() {
    let (_folder, path) = written(&recording(&scenario("resolved-after-the-fix")));
    let analyzed = run(&["analyze", &path]);
    for part in
        ["FINDING  mtls-to-plaintext", "kind: DestinationRule", "resolved  mtls-to-plaintext", "SUMMARY"]
    {
        assert!(analyzed.stdout.contains(part), "`{part}` is not in: {}", analyzed.stdout);
    }
    assert!(!analyzed.stdout.contains('\x1b'), "colours in a pipe: {}", analyzed.stdout);
}

#[test]
fn colours_are_for_terminals_unless_told_otherwise() {
    let (_folder, path) = incident();
    for (choice, no_color, is_colored) in
        [("auto", "", true), ("auto", "1", false), ("always", "1", true), ("never", "", false)]
    {
        let terminal = openpty(None, None).unwrap();
        let mut command = mtlsnoop(&["analyze", &path, "--color", choice]);
        command.env("TERM", "xterm").env("NO_COLOR", no_color).stdout(terminal.slave);
        let mut child = command.spawn().unwrap();
        // The only other holder of the terminal's end, so that reading ends with the child.
        drop(command);
        let mut text = Vec::new();
        // EIO is how the end of a terminal reads.
        let _ = fs::File::from(terminal.master).read_to_end(&mut text);
        assert!(child.wait().unwrap().success());
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("FINDING"), "{text}");
        assert_eq!(text.contains('\x1b'), is_colored, "--color {choice}, NO_COLOR={no_color}: {text:?}");
    }
    let forced = run(&["analyze", &path, "--color", "always"]);
    assert!(forced.stdout.contains('\x1b'), "{}", forced.stdout);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (_folder, path) = incident();
    for arguments in [
        &["analyze", &path, "--all"] as &[&str],
        &["analyze", &path, "-o", "json"],
        &["schema"],
        &["completions", "bash"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = mtlsnoop(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let run = Run::from(output);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let (_folder, path) = incident();
    for arguments in [&["analyze", &path] as &[&str], &["schema"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let run = Run::from(mtlsnoop(arguments).stdout(full).stderr(Stdio::piped()).output().unwrap());
        run.fails_with(1, &["cannot write to standard output: No space left on device"]);
    }
}

#[test]
fn the_incident_is_the_one_that_these_tests_think_it_is() {
    assert_eq!(expected(&scenario(INCIDENT)).matches(r#""kind":"finding""#).count(), 1);
}
