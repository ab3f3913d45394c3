//! What the sidecar says itself is in the finding: its log, followed while it is written in each format, and its
//! configuration, from a file and from its admin port.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use mtlsnoop::source::kernel::Capture;
use mtlsnoop_tests::cluster::Cluster;
use mtlsnoop_tests::envoy::{LogFormat, Voice};
use mtlsnoop_tests::privilege::Privileges;
use mtlsnoop_tests::program;
use mtlsnoop_tests::scene::{Scene, SceneSpec};
use mtlsnoop_tests::server::Backend;
use serde_json::Value;

use mtlsnoop_tests::watched::Watched;

const CONFIGURED: &str =
    "its cluster outbound|6379||redis.default.svc.cluster.local is ORIGINAL_DST with TLS for every endpoint";

fn scene(service: &str, port: u16, backend: Backend) -> Result<Scene> {
    let mut scene = SceneSpec::new(service, port).start(Cluster::start()?)?;
    scene.serve(backend)?;
    Ok(scene)
}

/// How many sentences of the evidence have this part.
fn count(finding: &Value, part: &str) -> usize {
    let evidence = finding["evidence"].as_array().map(Vec::as_slice).unwrap_or_default();
    evidence.iter().filter(|sentence| sentence.as_str().is_some_and(|text| text.contains(part))).count()
}

#[test]
fn the_log_is_followed_and_the_dump_is_read() -> Result<()> {
    for log in [LogFormat::Text, LogFormat::NewText, LogFormat::Json] {
        let scene = scene("redis", 6379, Backend::Redis)?;
        let voice = Voice { log, has_admin_port: false };
        let sidecar = scene.client_sidecar_with(&scene.unconditional_mtls()?, voice)?;
        let dump = scene.cluster.folder().join("dump.json");
        fs::write(&dump, sidecar.config_dump()?)?;
        let (log_file, dump) =
            (sidecar.access_log_path(), dump.to_str().context("the folder's name is UTF-8")?);
        let log_file = log_file.to_str().context("the folder's name is UTF-8")?.to_owned();
        let mut watched = Watched::start(scene, &["--envoy-log", &log_file, "--config-dump", dump])?;
        let server = watched.scene.address();
        watched.app_sends(b"PING\r\n", server)?;
        let finding =
            watched.finding_like(server, |finding| count(finding, "Envoy logged UF,URX after") == 1)?;
        assert_eq!(
            count(
                &finding,
                "for outbound|6379||redis.default.svc.cluster.local, which is its connect timeout"
            ),
            1,
            "{log:?}: {finding:#}"
        );
        assert_eq!(count(&finding, CONFIGURED), 1, "{log:?}: {finding:#}");
        assert_eq!(count(&finding, "contradiction"), 0, "{log:?}: {finding:#}");
        assert_eq!((&finding["count"], &finding["confidence"]), (&1.into(), &"likely".into()), "{finding:#}");
        let lines = watched.end()?;
        let findings = lines.iter().filter(|line| line["kind"] == "finding").count();
        assert!((1..=2).contains(&findings), "said once, and once more when the log came: {lines:#?}");
    }
    Ok(())
}

#[test]
fn an_answer_in_plaintext_is_in_the_log_too() -> Result<()> {
    let scene = scene("memcached", 11211, Backend::Memcached)?;
    let voice = Voice { log: LogFormat::Text, has_admin_port: false };
    let sidecar = scene.client_sidecar_with(&scene.unconditional_mtls()?, voice)?;
    let log = sidecar.access_log_path();
    let log = log.to_str().context("the folder's name is UTF-8")?.to_owned();
    let mut watched = Watched::start(scene, &["--envoy-log", &log])?;
    let server = watched.scene.address();
    watched.app_sends(b"version\r\n", server)?;
    let said = "what came back was no TLS (WRONG_VERSION_NUMBER)";
    let finding = watched.finding_like(server, |finding| count(finding, said) == 1)?;
    assert_eq!(count(&finding, "contradiction"), 0, "{finding:#}");
    watched.end().map(drop)
}

#[test]
fn proxies_are_asked_in_their_pods() -> Result<()> {
    let scene = scene("redis", 6379, Backend::Redis)?;
    let voice = Voice { log: LogFormat::Text, has_admin_port: true };
    let _sidecar = scene.client_sidecar_with(&scene.unconditional_mtls()?, voice)?;
    let recording = scene.cluster.folder().join("incident.mtlsnoop");
    let path = recording.to_str().context("the folder's name is UTF-8")?.to_owned();
    let mut watched = Watched::start(scene, &["--config-dump", "auto", "-w", &path])?;
    let server = watched.scene.address();
    watched.app_sends(b"PING\r\n", server)?;
    let finding = watched.finding_like(server, |finding| count(finding, CONFIGURED) == 1)?;
    assert_eq!(finding["count"], 1, "{finding:#}");
    assert_eq!(count(&finding, "contradiction"), 0, "{finding:#}");
    assert!(!watched.tracer.stderr().contains("--config-dump"), "{}", watched.tracer.stderr());
    let live = watched.tracer.stop()?.stdout();
    let analyzed =
        Command::new(program::TRACER.find()?).args(["analyze", "-o", "json", "--all", &path]).output()?;
    assert_eq!(String::from_utf8(analyzed.stdout)?, live, "a recording has Envoy's word too");
    Ok(())
}

#[test]
fn a_proxy_that_may_not_be_asked_is_said_once() -> Result<()> {
    let scene = scene("redis", 6379, Backend::Redis)?;
    let voice = Voice { log: LogFormat::Text, has_admin_port: true };
    let _sidecar = scene.client_sidecar_with(&scene.unconditional_mtls()?, voice)?;
    let needed = Capture::Always.needs();
    let names: Vec<&str> = needed.iter().map(|capability| capability.name()).collect();
    let mut watched = Watched::start_as(scene, &Privileges::of(&names), &["--config-dump", "auto"])?;
    let server = watched.scene.address();
    watched.app_sends(b"PING\r\n", server)?;
    let finding = watched.finding(server)?;
    assert_eq!(count(&finding, CONFIGURED), 0, "{finding:#}");
    let given_up = "--config-dump auto is given up";
    mtlsnoop_tests::wait::until_true(given_up, mtlsnoop_tests::watched::SOON, || {
        Ok(watched.tracer.stderr().contains(given_up))
    })?;
    watched.app_sends(b"PING\r\n", server)?;
    let stderr = watched.tracer.stderr();
    assert_eq!(stderr.matches(given_up).count(), 1, "{stderr}");
    assert!(stderr.contains("SYS_ADMIN and SYS_PTRACE"), "{stderr}");
    watched.end().map(drop)
}
