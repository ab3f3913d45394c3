//! Options, environment and configuration file of a real process.

use std::{fs, path::PathBuf, process::Stdio};

use nix::sys::signal::Signal;

use crate::{
    agent::Agent,
    program::{Run, mtlsnoop, run},
};

fn written(content: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    fs::write(&path, content).unwrap();
    (folder, path)
}

#[test]
fn a_configuration_can_be_checked() {
    let (_folder, path) = written("log-level: debug\nlisten: \"[::]:9999\"\n");
    let checked = run(&["agent", "--check-config", "--config", path.to_str().unwrap()]);
    assert_eq!(
        (checked.code, checked.stdout.as_str()),
        (Some(0), "the configuration is valid\n"),
        "{checked:?}"
    );
}

#[test]
fn what_is_wrong_is_named_at_the_start() {
    for (content, says) in [
        ("log-level: loud", &["config.yaml", "`log-level`", "error, warn, info, debug"] as &[&str]),
        ("loglevel: info", &["config.yaml", "`loglevel`", "no such key", "log-level"]),
        ("- log-level", &["config.yaml"]),
    ] {
        let (_folder, path) = written(content);
        run(&["agent", "--config", path.to_str().unwrap()]).fails_with(2, says);
    }
    run(&["agent", "--config", "/nonexistent"]).fails_with(2, &["/nonexistent", "No such file"]);
    let output = mtlsnoop(&["agent"]).env("MTLSNOOP_CAPTURE", "sometimes").output().unwrap();
    Run::from(output).fails_with(2, &["--capture", "sometimes", "adaptive, always"]);
}

#[test]
fn the_environment_goes_before_the_file_and_options_before_both() {
    let (_folder, path) = written("capture: sometimes\n");
    // An option does not make a wrong file right.
    let path = path.to_str().unwrap();
    run(&["agent", "--check-config", "--capture", "always", "--config", path]).fails_with(2, &["`capture`"]);
    let checked = mtlsnoop(&["agent", "--check-config"]).env("MTLSNOOP_CONFIG", path).output().unwrap();
    Run::from(checked).fails_with(2, &["`capture`"]);
    let checked = mtlsnoop(&["agent", "--check-config", "--capture", "always"])
        .env("MTLSNOOP_ALL", "true")
        .output()
        .unwrap();
    assert_eq!(Run::from(checked).code, Some(0));
}

#[test]
fn the_log_level_follows_the_file_and_other_keys_are_said_to_need_a_restart() {
    let (_folder, path) = written("log-level: info\n");
    let Some(agent) = Agent::start(&["--config", path.to_str().unwrap()], Stdio::null()) else { return };
    fs::write(&path, "log-level: debug\ncapture: always\nmetrics-series: 7\n").unwrap();
    agent.signal(Signal::SIGHUP);
    agent.wait_until_said("the log level is debug now");
    agent.wait_until_said("take effect at the next start: capture, metrics-series");
    fs::write(&path, "log-level: loud\n").unwrap();
    agent.signal(Signal::SIGHUP);
    agent.wait_until_said("`log-level`");
    agent.wait_until_said("What was configured before stays");
    let ended = agent.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_changed_file_is_noticed_without_a_signal() {
    let (_folder, path) = written("log-level: info\n");
    let Some(agent) = Agent::start(&["--config", path.to_str().unwrap()], Stdio::null()) else { return };
    fs::write(&path, "log-level: warn\nlog-format: json\n").unwrap();
    agent.wait_until_said("take effect at the next start: log-format");
}

#[test]
fn the_log_can_be_json() {
    let Some(agent) = Agent::start(&["--log-format", "json"], Stdio::null()) else { return };
    let ended = agent.end();
    for line in ended.stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["time"].is_string() && line["message"].is_string(), "{line}");
        assert!(["info", "warn"].contains(&line["level"].as_str().unwrap()), "{line}");
    }
    assert!(ended.stderr.contains("tracing TCP on node"), "{ended:?}");
}
