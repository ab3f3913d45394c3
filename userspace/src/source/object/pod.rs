//! A pod as the API prints it, reduced to a fact; knows no other kind.

use serde::Deserialize;

use crate::{
    event::{
        cluster::{Container, Pod},
        istio::ControlPlane,
        time::SECOND_NS,
    },
    identity::proxy,
    source::object::{
        addresses,
        metadata::{Metadata, OwnerReference},
        or_default,
        tally::Tally,
    },
};

/// Domains under which meshes keep their annotations.
const MESH_DOMAINS: [&str; 5] =
    ["istio.io", "linkerd.io", "consul.hashicorp.com", "kuma.io", "openservicemesh.io"];

/// Label that a Deployment puts on its `ReplicaSet`s and their pods (`DefaultDeploymentUniqueLabelKey`,
/// `k8s.io/api/apps/v1/types.go`).
const POD_TEMPLATE_HASH: &str = "pod-template-hash";

/// Label and container of Istio's control plane (istio `manifests/charts/istio-control/istio-discovery/templates/deployment.yaml`).
pub(in crate::source) const CONTROL_PLANE: (&str, &str, &str) = ("app", "istiod", "discovery");

/// Label that tells the revision of a control plane (`api/label/labels.gen.go`, `IoIstioRev`).
const REVISION: &str = "istio.io/rev";

/// Hex digits of a container id.
const ID_DIGITS: usize = 64;

/// A pod that is created so long after the time in its Job's name is still believed to be one of that schedule: a day.
const LATEST_START_MINUTES: u64 = 24 * 60;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::source) struct WirePod {
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    spec: Spec,
    #[serde(deserialize_with = "or_default")]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    #[serde(deserialize_with = "or_default")]
    host_network: bool,
    #[serde(deserialize_with = "or_default")]
    containers: Vec<WireContainer>,
    #[serde(deserialize_with = "or_default")]
    init_containers: Vec<WireContainer>,
    #[serde(deserialize_with = "or_default")]
    ephemeral_containers: Vec<WireContainer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireContainer {
    #[serde(deserialize_with = "or_default")]
    name: Box<str>,
    #[serde(deserialize_with = "or_default")]
    image: Box<str>,
    #[serde(deserialize_with = "or_default")]
    restart_policy: Box<str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    #[serde(deserialize_with = "or_default")]
    phase: Box<str>,
    #[serde(rename = "podIP", deserialize_with = "or_default")]
    pod_ip: Box<str>,
    #[serde(rename = "podIPs", deserialize_with = "or_default")]
    pod_ips: Vec<PodIp>,
    #[serde(deserialize_with = "or_default")]
    container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    init_container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PodIp {
    #[serde(deserialize_with = "or_default")]
    ip: Box<str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerStatus {
    #[serde(deserialize_with = "or_default")]
    name: Box<str>,
    #[serde(rename = "containerID", deserialize_with = "or_default")]
    container_id: Box<str>,
}

/// The fact that this pod is, and the control plane that it is; why not, where it is none.
pub(in crate::source) fn convert(
    pod: WirePod,
    tally: &mut Tally,
) -> Result<(Pod, Option<ControlPlane>), Box<str>> {
    let WirePod { metadata, spec, status } = pod;
    let metadata = metadata.named()?;
    let control_plane = control_plane(&metadata, &spec);
    let pod = Pod {
        addresses: addresses(held_addresses(&status), "Pod", tally),
        host_network: spec.host_network,
        workload: workload(&metadata),
        containers: containers(&spec, &status),
        proxy_version: version_of(&spec, |name| name == proxy::ISTIO_CONTAINER),
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
        labels: metadata.labels,
        annotations: metadata.annotations.into_iter().filter(|(key, _)| is_of_mesh(key)).collect(),
    };
    Ok((pod, control_plane))
}

fn control_plane(metadata: &Metadata, spec: &Spec) -> Option<ControlPlane> {
    let (label, value, container) = CONTROL_PLANE;
    let is_one = metadata.labels.get(label).is_some_and(|app| &**app == value);
    let version = is_one.then(|| version_of(spec, |name| name == container))??;
    let revision = metadata.labels.get(REVISION).cloned().unwrap_or_default();
    Some(ControlPlane { namespace: metadata.namespace.clone(), revision, version })
}

/// Tag of the image of the container that is meant.
fn version_of(spec: &Spec, is_meant: impl Fn(&str) -> bool) -> Option<Box<str>> {
    let all = spec.containers.iter().chain(&spec.init_containers);
    let image =
        all.filter(|container| is_meant(&container.name)).map(|container| &*container.image).next()?;
    tag(image)
}

/// The tag in `registry:5000/istio/proxyv2:1.20.3@sha256:…`.
fn tag(image: &str) -> Option<Box<str>> {
    let (name, _) = image.split_once('@').unwrap_or((image, ""));
    let (_, tag) = name.rsplit('/').next()?.rsplit_once(':')?;
    (!tag.is_empty()).then(|| tag.into())
}

/// Addresses that it has now: those of a finished pod are free for others, though its status still tells them.
fn held_addresses(status: &Status) -> Vec<&str> {
    if matches!(&*status.phase, "Succeeded" | "Failed") {
        return Vec::new();
    }
    let all = status.pod_ips.iter().map(|address| &*address.ip).filter(|address| !address.is_empty());
    let all: Vec<&str> = all.collect();
    if all.is_empty() && !status.pod_ip.is_empty() { vec![&*status.pod_ip] } else { all }
}

/// Containers that run beside each other: init containers only when they are native sidecars, which never finish.
fn containers(spec: &Spec, status: &Status) -> Vec<Container> {
    let sidecars = spec.init_containers.iter().filter(|container| &*container.restart_policy == "Always");
    let regular = spec.containers.iter().map(|container| (container, &status.container_statuses));
    let sidecars = sidecars.map(|container| (container, &status.init_container_statuses));
    let ephemeral =
        spec.ephemeral_containers.iter().map(|container| (container, &status.ephemeral_container_statuses));
    regular
        .chain(sidecars)
        .chain(ephemeral)
        .map(|(container, statuses)| {
            let id = statuses
                .iter()
                .find(|status| status.name == container.name)
                .map(|found| &*found.container_id);
            Container { name: container.name.clone(), id: id.and_then(runtime_id).unwrap_or_default().into() }
        })
        .collect()
}

/// The id in `containerd://<id>`.
fn runtime_id(container_id: &str) -> Option<&str> {
    let (_, id) = container_id.split_once("://")?;
    (id.len() == ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// What people call the owner: a `ReplicaSet` made by a Deployment is that Deployment.
fn workload(metadata: &Metadata) -> Option<Box<str>> {
    let OwnerReference { kind, name, .. } =
        metadata.owner_references.iter().find(|owner| owner.controller)?;
    match &**kind {
        // The mirror of a static pod: the kubelet made it.
        "Node" => None,
        "ReplicaSet" => {
            let hash = metadata.labels.get(POD_TEMPLATE_HASH);
            let deployment = hash.and_then(|hash| name.strip_suffix(&**hash)?.strip_suffix('-'));
            Some(
                deployment
                    .map_or_else(|| format!("ReplicaSet/{name}"), |name| format!("Deployment/{name}"))
                    .into(),
            )
        }
        "Job" => Some(
            cron_job(name, metadata)
                .map_or_else(|| format!("Job/{name}"), |name| format!("CronJob/{name}"))
                .into(),
        ),
        _ => Some(format!("{kind}/{name}").into()),
    }
}

/// The `CronJob` of a Job, which names its Jobs `NAME-MINUTES`: the minutes since 1970 of the time that was due (`getJobName`
/// in `pkg/controller/cronjob/cronjob_controllerv2.go`). Nobody else names a Job so, shortly before its pod is created.
fn cron_job<'a>(job: &'a str, metadata: &Metadata) -> Option<&'a str> {
    let (name, due) = job.rsplit_once('-')?;
    let due: u64 = due.parse().ok()?;
    let created = metadata.created().0 / (60 * SECOND_NS);
    created.checked_sub(due).is_some_and(|late| late <= LATEST_START_MINUTES).then_some(name)
}

fn is_of_mesh(annotation: &str) -> bool {
    let domain = annotation.split_once('/').map_or("", |(domain, _)| domain);
    MESH_DOMAINS.iter().any(|mesh| {
        domain.strip_suffix(mesh).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}
