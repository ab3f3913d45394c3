//! How cost grows with the pods of a cluster file: reading it, what it takes in memory, and what an event takes then.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use mtlsnoop::{
    engine::{Connections, Engine, Settings},
    event::{ClusterSeen, Event, time::Time},
    source::cluster_file,
};
use mtlsnoop_tests::interrupt;
use serde_json::{Value, json};

use crate::figure::{
    self,
    traffic::{Connection, PORT, pod_address},
};

/// What each number of pods costs, the fewest first.
pub(crate) struct Pods(Vec<Point>);

struct Point {
    pods: u64,
    load_ms: f64,
    event_ns: f64,
    pod_bytes: f64,
    json: Value,
}

const COUNTS: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];
/// Each Service has so many.
const PODS_OF_SERVICE: usize = 10;
/// With so many of them, here and there in the cluster, the connections of one node go.
const KNOWN: u64 = 500;
const CONNECTIONS: u64 = 100_000;
const BATCH: u64 = 500;

pub(crate) fn measure() -> Result<Pods> {
    let point = |count: &usize| {
        interrupt::check()?;
        eprintln!("bench: growth, {count} pods");
        Point::from_json(figure::in_own_process(&["pods", &count.to_string()])?)
    };
    COUNTS.iter().map(point).collect::<Result<_>>().map(Pods)
}

impl Point {
    fn from_json(json: Value) -> Result<Self> {
        let number = |name: &str| json[name].as_f64().with_context(|| format!("no {name} was measured"));
        Ok(Self {
            pods: json["pods"].as_u64().context("no number of pods")?,
            load_ms: number("load_ms")?,
            event_ns: number("event_ns")?,
            pod_bytes: number("pod_bytes")?,
            json,
        })
    }
}

impl Pods {
    /// How many times as long an event takes with most pods as with fewest.
    pub(crate) fn growth(&self) -> f64 {
        let of = |point: Option<&Point>| point.map_or(f64::NAN, |point| point.event_ns);
        of(self.0.last()) / of(self.0.first())
    }

    pub(crate) fn lines(&self) -> Vec<[String; 4]> {
        let line = |point: &Point| {
            [
                format!("pods (read in {:.0} ms)", point.load_ms),
                point.pods.to_string(),
                format!("{:.0}", point.event_ns),
                format!("{:.0}", point.pod_bytes),
            ]
        };
        self.0.iter().map(line).collect()
    }

    pub(crate) fn json(&self) -> Value {
        self.0.iter().map(|point| point.json.clone()).collect()
    }
}

/// The process that measures one number of pods.
pub(crate) fn run(count: usize) -> Result<()> {
    let before = figure::allocated_bytes()?;
    let file = file(count)?;
    let begun = Instant::now();
    let reading = cluster_file::parse(file.as_bytes()).context("the made-up cluster file is not one")?;
    let load_ms = begun.elapsed().as_secs_f64() * 1e3;
    let file_bytes = file.len();
    drop(file);
    let mut engine = Engine::new(settings());
    let seen = Event::Cluster(Box::new(ClusterSeen { time: Time(1), cluster: reading.cluster }));
    engine.apply(&seen, &mut Vec::new());
    let used = figure::allocated_bytes()?.saturating_sub(before);
    let event_ns = event_ns(&mut engine, count as u64);
    #[expect(clippy::cast_precision_loss, reason = "bytes of one machine")]
    let pod_bytes = used as f64 / count as f64;
    let result = json!({
        "pods": count,
        "file_bytes": file_bytes,
        "load_ms": load_ms,
        "event_ns": event_ns,
        "pod_bytes": pod_bytes,
    });
    writeln!(io::stdout(), "{result}").context("could not print the result")
}

/// Every connection is told, so that every address is looked up.
pub(crate) fn settings() -> Settings {
    Settings { connections: Connections::All, ..Settings::default() }
}

/// Nanoseconds that an event takes while connections go to some of so many pods.
pub(crate) fn event_ns(engine: &mut Engine, pods: u64) -> f64 {
    let known = pods.min(KNOWN);
    let mut updates = Vec::new();
    let (mut took, mut events) = (Duration::ZERO, 0);
    for batch in 0..CONNECTIONS / BATCH {
        let connections =
            (batch * BATCH..(batch + 1) * BATCH).map(|nth| Connection::new(nth, known, pods / known));
        let made: Vec<Event> =
            connections.flat_map(|one| one.opening().into_iter().chain(one.ending())).collect();
        events += made.len();
        let begun = Instant::now();
        for event in &made {
            engine.apply(event, &mut updates);
            updates.clear();
        }
        took += begun.elapsed();
    }
    #[expect(clippy::cast_precision_loss, reason = "events of a second")]
    let events = events as f64;
    took.as_secs_f64() * 1e9 / events
}

/// What `kubectl get pods,services,endpointslices -A -o json` would print, without what nobody reads.
fn file(count: usize) -> Result<String> {
    let mut text = String::from(r#"{"apiVersion":"v1","kind":"List","items":["#);
    for nth in 0..count {
        write!(text, "{},", pod(nth))?;
    }
    for service in 0..count.div_ceil(PODS_OF_SERVICE) {
        write!(text, "{},{},", service_object(service), slice(service, count))?;
    }
    text.pop();
    text.push_str("]}");
    Ok(text)
}

fn namespace(service: usize) -> String {
    format!("team-{}", service % 50)
}

fn pod(nth: usize) -> Value {
    let service = nth / PODS_OF_SERVICE;
    let address = pod_address(nth as u64);
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("store-{service}-{}", nth % PODS_OF_SERVICE),
            "namespace": namespace(service),
            "uid": format!("5fbb210e-6bb9-496c-a461-{nth:012x}"),
            "labels": {
                "app": format!("store-{service}"),
                "controller-revision-hash": "store-6c5f9b7d8",
                "security.istio.io/tlsMode": "istio",
                "statefulset.kubernetes.io/pod-name": format!("store-{service}-{}", nth % PODS_OF_SERVICE)
            },
            "annotations": { "istio.io/rev": "default" },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "StatefulSet", "controller": true,
                "name": format!("store-{service}"), "uid": format!("2aa04bcc-c581-4e8c-ae10-{service:012x}")
            }]
        },
        "spec": {
            "nodeName": format!("node-{}", nth % 100),
            "containers": [{ "name": "store" }, { "name": "istio-proxy" }]
        },
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{ "ip": address }],
            "containerStatuses": [
                { "name": "store", "containerID": format!("containerd://{:064x}", 2 * nth) },
                { "name": "istio-proxy", "containerID": format!("containerd://{:064x}", 2 * nth + 1) }
            ]
        }
    })
}

fn service_object(service: usize) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": format!("store-{service}"), "namespace": namespace(service) },
        "spec": { "clusterIP": "None", "clusterIPs": ["None"], "ports": [{ "name": "tcp-store", "port": PORT }] }
    })
}

fn slice(service: usize, count: usize) -> Value {
    let pods = service * PODS_OF_SERVICE..count.min((service + 1) * PODS_OF_SERVICE);
    let endpoint = |nth: usize| {
        let name = format!("store-{service}-{}", nth % PODS_OF_SERVICE);
        json!({
            "addresses": [pod_address(nth as u64)],
            "targetRef": { "kind": "Pod", "name": name, "namespace": namespace(service) }
        })
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("store-{service}-v4slc"),
            "namespace": namespace(service),
            "labels": { "kubernetes.io/service-name": format!("store-{service}") }
        },
        "addressType": "IPv4",
        "endpoints": pods.map(endpoint).collect::<Vec<_>>(),
        "ports": [{ "name": "tcp-store", "port": PORT, "protocol": "TCP" }]
    })
}
