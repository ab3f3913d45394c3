//! The incident's pods, an API server that tells of them, and an agent that watches; what all tests here ask of them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use mtlsnoop_tests::api::Api;
use mtlsnoop_tests::cluster::Cluster;
use mtlsnoop_tests::declared;
use mtlsnoop_tests::envoy::Sidecar;
use mtlsnoop_tests::scene::{Scene, SceneSpec};
use mtlsnoop_tests::server::Backend;
use mtlsnoop_tests::tracer::Tracer;
use mtlsnoop_tests::{client, wait, watched};
use serde_json::Value;

use crate::port;

/// The node that all pods are on, as their objects say.
pub(crate) const NODE: &str = "node-1";

/// Longer than anything here takes; the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The rights that the manifests give, and nothing else.
const MANIFESTS: &str = include_str!("../../deploy/manifests/mtlsnoop.yaml");

/// The pods of the incident, and who tells of them.
pub(crate) struct Ground {
    pub(crate) api: Api,
    pub(crate) sidecar: Sidecar,
    pub(crate) scene: Scene,
}

/// A ground with an agent.
pub(crate) struct Watched {
    // Dropped before the ground: it must not see its end.
    pub(crate) agent: Tracer,
    pub(crate) ground: Ground,
    port: SocketAddr,
}

impl Ground {
    pub(crate) fn new() -> Result<Self> {
        let mut scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
        scene.serve(Backend::Redis)?;
        let sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
        let api = Api::start_in(&scene.cluster.folder().join("api"))?;
        api.restrict(&manifests()?)?;
        api.put_all([
            declared::mesh_config("rootNamespace: istio-system"),
            declared::istiod("1.6.0", "node-2"),
        ])?;
        let list = scene.objects();
        api.put_all(list["items"].as_array().context("no items")?.iter().cloned())?;
        Ok(Self { api, sidecar, scene })
    }

    /// Starts the agent, and waits until it is attached; the API may not be there yet.
    pub(crate) fn watch(self) -> Result<Watched> {
        self.watch_with(&[])
    }

    pub(crate) fn watch_with(self, more: &[&str]) -> Result<Watched> {
        let kubeconfig = self.api.kubeconfig()?;
        let kubeconfig = kubeconfig.to_str().context("the folder's name is not UTF-8")?;
        let fixed = ["--kubeconfig", kubeconfig, "--node", NODE, "--listen", "127.0.0.1:0"];
        // Every attempt is seen whole, so that the first failure makes the finding.
        let agent =
            Tracer::start_agent(&self.scene.cluster, &[&fixed[..], &["--capture", "always"], more].concat())?;
        let said = agent.stderr();
        let line = said.lines().find(|line| line.contains("are served at")).context("no address")?;
        let port = line.rsplit(' ').next().and_then(|address| address.parse().ok());
        let port = port.with_context(|| format!("no address in: {line}"))?;
        Ok(Watched { agent, ground: self, port })
    }
}

impl Watched {
    /// Starts everything, and waits until the agent knows the cluster.
    pub(crate) fn start() -> Result<Self> {
        let watched = Ground::new()?.watch()?;
        watched.wait_until_ready()?;
        Ok(watched)
    }

    pub(crate) fn server(&self) -> SocketAddr {
        self.ground.scene.address()
    }

    /// The app asks, through its sidecar, and gets no answer.
    pub(crate) fn fail(&self) -> Result<()> {
        watched::send(&self.ground.scene.client, b"PING\r\n", self.server()).map(drop)
    }

    /// The fix of the finding is applied, and the app asks again.
    pub(crate) fn mend(&mut self) -> Result<()> {
        let plain = self.ground.scene.unconditional_mtls()?.disabled();
        self.ground.sidecar.replace_clusters(&[plain])?;
        let container = self.ground.scene.client.app_container()?;
        let said = client::redis(container, self.server(), &["PING"])?.stdout;
        ensure!(said == "PONG\n", "it is not mended: {said}");
        Ok(())
    }

    /// The first finding like this about the server.
    pub(crate) fn finding(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let server = self.server();
        let found = self.agent.wait_for(what, SOON, |line| {
            line["kind"] == "finding" && watched::is_at(&line["server"], server) && wanted(line)
        });
        Ok(found.with_context(|| self.metrics().unwrap_or_default())?.1)
    }

    /// The finding with all names.
    pub(crate) fn named_finding(&mut self) -> Result<Value> {
        self.finding("a finding with both pods", |line| {
            line["client"].get("pod").is_some() && line["server"].get("pod").is_some()
        })
    }

    pub(crate) fn resolved(&mut self) -> Result<Value> {
        Ok(self.agent.wait_for("the resolution", SOON, |line| line["kind"] == "resolved")?.1)
    }

    pub(crate) fn wait_until_ready(&self) -> Result<()> {
        wait::until_true("the agent to be ready", SOON, || self.is_ready())
            .with_context(|| format!("{:?}\n{}", port::get(self.port, "/readyz"), self.agent.stderr()))
    }

    pub(crate) fn is_ready(&self) -> Result<bool> {
        Ok(port::get(self.port, "/readyz")?.0 == 200)
    }

    pub(crate) fn metrics(&self) -> Result<String> {
        Ok(port::get(self.port, "/metrics")?.1)
    }

    /// Waits until a metric's series with these labels are as many as wanted.
    pub(crate) fn wait_for_metric(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        wanted: impl Fn(f64) -> bool,
    ) -> Result<()> {
        let is_reached = || Ok(wanted(port::sum(&self.metrics()?, name, labels)));
        wait::until_true(format!("{name} {labels:?}"), SOON, is_reached)
            .with_context(|| self.metrics().unwrap_or_default())
    }

    /// Waits until the watch of a kind is in this state.
    pub(crate) fn wait_for_watch(&self, kind: &str, state: &str) -> Result<()> {
        let labels = [("kind", kind), ("state", state)];
        self.wait_for_metric("mtlsnoop_kube_watch_state", &labels, |value| value > 0.5)
    }

    /// Ends the agent, checks that nothing was lost and that no request was one that a real server refuses.
    pub(crate) fn end(self) -> Result<(Ground, Vec<Value>)> {
        let ended = self.agent.terminate()?;
        ensure!(ended.status.success(), "the agent ended with {}: {}", ended.status, ended.stderr);
        let lines = ended.objects(self.ground.scene.cluster.range())?;
        let summary = lines.last().context("the agent said nothing")?;
        ensure!(summary["kind"] == "summary", "the last line is no summary: {summary}");
        ensure!(summary["lost"] == serde_json::json!({}), "something was lost: {summary}");
        self.ground.api.check()?;
        Ok((self.ground, lines))
    }
}

/// The objects of the manifests.
fn manifests() -> Result<Vec<Value>> {
    serde_saphyr::from_multiple(MANIFESTS).context("the manifests are no YAML")
}
