//! What Envoys say beside a recording: what cannot be used is named.

use std::fs;

use crate::program::{incident, run};

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
