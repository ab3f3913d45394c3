//! `lab-api`: the server as a process that is killed and started again.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api as Objects, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use mtlsnoop_tests::command::Launch;
use mtlsnoop_tests::process::Process;
use mtlsnoop_tests::program;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::served::pod;

const SOON: Duration = Duration::from_secs(20);

fn start(folder: &Path, address: &str) -> Result<(Process, String)> {
    let objects = folder.join("objects.json");
    fs::write(&objects, json!({ "items": [pod(0), pod(1)] }).to_string())?;
    let mut process = Launch::new(&program::helper("lab-api")?, folder)
        .args([folder.as_os_str(), address.as_ref(), objects.as_os_str()])
        .start()?;
    let line = process.wait_for_stderr("the server to listen", |line| line.starts_with("serving"))?;
    let address = line.split(['/', ',']).nth(2).context("no address")?.to_owned();
    Ok((process, address))
}

async fn count(folder: &Path) -> Result<usize> {
    let kubeconfig = Kubeconfig::read_from(folder.join("agent.kubeconfig"))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let pods: Objects<Pod> = Objects::all(Client::try_from(config)?);
    Ok(pods.list(&ListParams::default()).await?.items.len())
}

#[tokio::test]
async fn it_serves_its_files_and_comes_back_the_same() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (process, address) = start(folder.path(), "127.0.0.1:0")?;
    assert_eq!(count(folder.path()).await?, 2);
    process.signal(Signal::SIGKILL)?;
    drop(process);
    assert!(count(folder.path()).await.is_err());
    let (process, _) = start(folder.path(), &address)?;
    assert_eq!(count(folder.path()).await?, 2, "certificate, token and objects are the same");
    process.signal(Signal::SIGTERM)?;
    let ended = process.wait(SOON)?;
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stdout.contains("\"resource\":\"pods\"") && ended.stdout.contains("\"code\":200"));
    Ok(())
}
