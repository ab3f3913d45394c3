//! What the mesh is configured to and which control planes run, looked at now and then: it changes rarely, and is not worth a
//! watch. Knows nothing of rules.

use std::time::Duration;

use kube::{Api, Client, Error, api::ListParams, runtime::watcher::DefaultBackoff};
use rustc_hash::FxHashSet;
use tokio::{
    sync::{mpsc::Sender, watch as latest},
    time::{sleep, timeout},
};

use crate::source::{
    kube::{
        book::Mesh,
        kind::{Arrived, Fact, Kind as _, Maps, Pods},
        limits::Limits,
        watch::Heard,
    },
    object::{istio::mesh_config, pod},
};

/// Patience with one look.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks while there is a mesh, as long as somebody wants to know.
pub(super) async fn run(
    client: Client,
    news: Sender<Heard>,
    limits: Limits,
    mut is_mesh: latest::Receiver<bool>,
) {
    if is_mesh.wait_for(|is_mesh| *is_mesh).await.is_err() {
        return;
    }
    let mut backoff = DefaultBackoff::default();
    while !news.is_closed() {
        let pause = match timeout(PATIENCE, look(&client)).await {
            Ok(Ok(mesh)) => {
                backoff = DefaultBackoff::default();
                // Fails when nobody wants to know any more; the loop ends then.
                let _ = news.send(Heard::Mesh(mesh)).await;
                limits.mesh_pause
            }
            Ok(Err(_)) | Err(_) => backoff.next().unwrap_or(limits.mesh_pause),
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = news.closed() => return,
        }
    }
}

/// What there is. What is forbidden stays unknown: the mesh's defaults are assumed for it.
async fn look(client: &Client) -> Result<Mesh, Error> {
    let label = pod::CONTROL_PLANE.0;
    // From the server's cache: the store would have to read every pod there is.
    let parameters = ListParams::default().labels(&format!("{label}={}", pod::CONTROL_PLANE.1)).match_any();
    let pods = Api::<Arrived<Pods>>::all_with(client.clone(), &Pods::resource("v1"));
    let pods = unless_forbidden(pods.list(&parameters).await.map(|list| list.items))?;
    let mut mesh = Mesh::default();
    for pod in pods {
        if let Ok(Fact::Pod(_, Some(plane))) = pod.fact {
            mesh.control_planes.push(plane);
        }
    }
    mesh.control_planes.sort_by(|a, b| {
        (&a.namespace, &a.revision, &a.version).cmp(&(&b.namespace, &b.revision, &b.version))
    });
    mesh.control_planes.dedup();
    let mut asked = FxHashSet::default();
    for plane in &mesh.control_planes {
        let name = mesh_config::name(&plane.revision);
        if !asked.insert((plane.namespace.clone(), name.clone())) {
            continue;
        }
        let maps =
            Api::<Arrived<Maps>>::namespaced_with(client.clone(), &plane.namespace, &Maps::resource("v1"));
        let map = unless_forbidden(maps.get_opt(&name).await)?;
        if let Some(Ok(Fact::Mesh(Some(config)))) = map.map(|map| map.fact) {
            mesh.configs.push(config);
        }
    }
    Ok(mesh)
}

fn unless_forbidden<T: Default>(answer: Result<T, Error>) -> Result<T, Error> {
    match answer {
        Err(Error::Api(status)) if status.is_forbidden() => Ok(T::default()),
        answer => answer,
    }
}
