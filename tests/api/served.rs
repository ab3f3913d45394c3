//! A server with some objects and a client of it; it must not know what is asked.

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api as Objects, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use mtlsnoop_tests::api::Api;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server and its files.
pub(crate) struct Served {
    pub(crate) api: Api,
    pub(crate) folder: TempDir,
}

impl Served {
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        Ok(Self { api: Api::start_in(folder.path())?, folder })
    }

    /// With this many pods in `default`, in turn on `node-0` and `node-1`.
    pub(crate) fn with_pods(count: usize) -> Result<Self> {
        let served = Self::start()?;
        served.api.put_all((0..count).map(pod))?;
        Ok(served)
    }

    pub(crate) async fn client(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.api.kubeconfig()?)?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    pub(crate) async fn pods(&self) -> Result<Objects<Pod>> {
        Ok(Objects::all(self.client().await?))
    }
}

/// Names of the pods that are selected.
pub(crate) async fn names(pods: &Objects<Pod>, params: &ListParams) -> Result<Vec<String>> {
    let listed = pods.list(params).await?;
    Ok(listed.items.into_iter().filter_map(|pod| pod.metadata.name).collect())
}

/// The `nth` pod.
pub(crate) fn pod(nth: usize) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("redis-{nth}"),
            "namespace": "default",
            "labels": { "app": "redis", "apps.kubernetes.io/pod-index": nth.to_string() }
        },
        "spec": {
            "containers": [{ "name": "redis", "image": "redis:7", "resources": {} }],
            "nodeName": format!("node-{}", nth % 2)
        },
        "status": {
            "phase": "Running",
            "podIP": format!("10.0.0.{nth}"),
            "podIPs": [{ "ip": format!("10.0.0.{nth}") }, { "ip": format!("fd00::{nth}") }],
            "containerStatuses": [{
                "name": "redis",
                "containerID": format!("containerd://{nth:064x}"),
                "image": "docker.io/library/redis:7",
                "ready": true,
                "restartCount": 0,
                "started": true,
                "state": { "running": { "startedAt": "2026-05-04T08:12:31Z" } }
            }]
        }
    })
}

/// A `DestinationRule`.
pub(crate) fn rule(name: &str) -> Value {
    mtlsnoop_tests::declared::tls_rule("default", &format!("{name}.default.svc.cluster.local"), "DISABLE")
}
