//! A scene with a tracer that watches it, and what all stories ask of it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::client::{Reply, Sending};
use crate::pod::Pod;
use crate::privilege::Privileges;
use crate::scene::Scene;
use crate::tracer::Tracer;
use crate::wait;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Longer than anything here takes: Envoy's connect timeout is 1 s, ARP gives up after 3 s.
pub const SOON: Duration = Duration::from_secs(15);

/// A scene and its tracer.
pub struct Watched {
    // Dropped before the scene: it must not see its end.
    /// The tracer.
    pub tracer: Tracer,
    /// What it watches.
    pub scene: Scene,
}

impl Watched {
    /// Starts to watch, connections included.
    pub fn start(scene: Scene, arguments: &[&str]) -> Result<Self> {
        let tracer =
            Tracer::start_json(&scene.cluster, &scene.cluster_file()?, &[&["--all"], arguments].concat())?;
        Ok(Self { tracer, scene })
    }

    /// As [`Self::start`], with a tracer that has these capabilities alone and is not root.
    pub fn start_as(scene: Scene, privileges: &Privileges, arguments: &[&str]) -> Result<Self> {
        let file = scene.cluster_file()?;
        let file = file.to_str().context("the folder's name is not UTF-8")?;
        let arguments = [&["-o", "json", "--cluster", file, "--all"], arguments].concat();
        Ok(Self { tracer: Tracer::start_as(&scene.cluster, privileges, &arguments)?, scene })
    }

    /// The app sends a request to the server, through its sidecar.
    pub fn app_sends(&self, request: &[u8], server: SocketAddr) -> Result<Reply> {
        send(&self.scene.client, request, server)
    }

    /// The next finding about this server.
    pub fn finding(&mut self, server: SocketAddr) -> Result<Value> {
        let (_, finding) = self.tracer.wait_for("a finding", SOON, |line| {
            line["kind"] == "finding" && is_at(&line["server"], server)
        })?;
        Ok(finding)
    }

    /// The first finding about this server that is like this.
    pub fn finding_like(&mut self, server: SocketAddr, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let found = self.tracer.wait_for("a finding like this", SOON, |line| {
            line["kind"] == "finding" && is_at(&line["server"], server) && wanted(line)
        });
        Ok(found.with_context(|| self.tracer.stderr())?.1)
    }

    /// The tracer, which runs with `--capture adaptive --verbose`, has said that it watches a pod of this cluster so.
    pub fn has_said(&self, how: &str) -> Result<bool> {
        let group = self.scene.cluster.cgroup().file_name().context("the cluster has no control group")?;
        let group = group.to_string_lossy().into_owned();
        let is_told =
            |line: &str| line.starts_with("watching") && line.contains(&group) && line.contains(how);
        Ok(self.tracer.stderr().lines().any(is_told))
    }

    /// Waits until it has said so.
    pub fn wait_until_said(&self, how: &str) -> Result<()> {
        wait::until_true(how, SOON, || self.has_said(how))
    }

    /// The end of the sidecar's (or another connecting end's) connection to this server.
    pub fn connection(&mut self, server: SocketAddr, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let (_, connection) = self.tracer.wait_for("the end of a connection", SOON, |line| {
            let is_connecting = line["kind"] == "connection" && line["role"] == "connector";
            is_connecting && is_at(&line["server"], server) && wanted(line)
        })?;
        Ok(connection)
    }

    /// Ends the tracer, checks its accounting, and gives all lines.
    pub fn end(self) -> Result<Vec<Value>> {
        let ended = self.tracer.stop()?;
        ensure!(ended.status.success(), "the tracer ended with {}: {}", ended.status, ended.stderr);
        let lines = ended.objects(self.scene.cluster.range())?;
        let summary = lines.last().context("the tracer said nothing")?;
        check_accounting(summary)?;
        Ok(lines)
    }

    /// Ends the tracer, which must not have found anything.
    pub fn end_without_finding(self) -> Result<()> {
        let lines = self.end()?;
        let found: Vec<_> = lines.iter().filter(|line| line["kind"] == "finding").collect();
        ensure!(found.is_empty(), "accused wrongly: {found:#?}");
        Ok(())
    }
}

/// A raw client in the pod's first container.
pub fn send(pod: &Pod, request: &[u8], server: SocketAddr) -> Result<Reply> {
    Sending::pieces(&[request]).waiting(SOON).run(pod.app_container()?, server)
}

/// It has this address and port.
pub fn is_at(party: &Value, address: SocketAddr) -> bool {
    party["address"] == address.ip().to_string() && party["port"] == address.port()
}

/// Nothing was lost, and the numbers add up.
fn check_accounting(summary: &Value) -> Result<()> {
    ensure!(summary["kind"] == "summary", "the last line is no summary: {summary}");
    ensure!(summary["lost"] == serde_json::json!({}), "something was lost: {summary}");
    let number = |key: &str| summary[key].as_u64().with_context(|| format!("no {key} in {summary}"));
    let accounted = number("reported")? + number("filtered")? + number("open")?;
    ensure!(number("seen")? == accounted, "{accounted} of {summary} are accounted for");
    Ok(())
}
