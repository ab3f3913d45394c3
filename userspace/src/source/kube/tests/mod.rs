//! The source as a whole against a small API: what it watches, what it looks up, and what it does when the API does not.

mod server;

use std::{sync::Arc, thread, time::Duration};

use kube::client::ClientBuilder;
use serde_json::{Value, json};
use tokio::runtime;
use tower::service_fn;

use super::{Board, Condition, Counting, Kube, Limits, Options, State};
use crate::{
    event::{
        Event,
        cluster::{Change, Lookup, LookupFailure},
        istio::Istio,
        time::Time,
    },
    source::kube::tests::server::Server,
};

/// Something that does not come within this time does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// The source, and what it has told.
struct Running {
    kube: Kube,
    told: Vec<Change>,
}

fn hurried() -> Limits {
    Limits {
        forbidden_pause: Duration::from_millis(50),
        discovery_pause: Duration::from_millis(50),
        mesh_pause: Duration::from_millis(50),
        ..Limits::default()
    }
}

fn start(server: &Server, limits: Limits) -> Running {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let board = Arc::new(Board::default());
    let client = {
        let _inside = runtime.enter();
        let server = server.clone();
        let service = service_fn(move |request| {
            let answer = server.answer(&request);
            async move { Ok::<_, std::convert::Infallible>(answer) }
        });
        ClientBuilder::new(service, "default").with_layer(&Counting(Arc::clone(&board))).build()
    };
    let options = Options { node: "node-1".into(), kubeconfig: None, limits };
    let kube = Kube::begin(&options, runtime, client, board).unwrap();
    Running { kube, told: Vec::new() }
}

impl Running {
    /// Waits until it holds; what was told so far is looked at too.
    fn until(&mut self, what: &str, mut holds: impl FnMut(&[Change], &State) -> bool) {
        let begin = std::time::Instant::now();
        loop {
            let told = &mut self.told;
            self.kube.poll(Time(1), &mut |event| match event {
                Event::ClusterChanged(changed) => told.extend(changed.changes),
                other => panic!("{other:?}"),
            });
            let state = self.kube.state();
            if holds(&self.told, &state) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "{what}: told {:#?}, {state:#?}", names(&self.told));
            thread::yield_now();
        }
    }

    fn until_told(&mut self, expected: &[&str]) {
        self.until(&format!("{expected:?}"), |told, _| {
            let told = names(told);
            expected.iter().all(|name| told.contains(&(*name).to_owned()))
        });
    }

    /// What was told, which is forgotten.
    fn take(&mut self) -> Vec<String> {
        names(&std::mem::take(&mut self.told))
    }

    fn until_ready(&mut self) {
        self.until("ready", |_, state| state.is_ready());
    }

    fn until_condition(&mut self, kind: &str, expected: Condition) {
        self.until(&format!("{kind} {expected:?}"), |_, state| condition(state, kind) == expected);
    }

    fn look_up(&mut self, address: &str, service: Option<&str>) {
        let service = service.map(|name| ("n".into(), name.into()));
        self.kube.look_up(vec![Lookup { address: address.parse().unwrap(), service }]);
    }

    fn istio(&self) -> Option<&Istio> {
        self.told
            .iter()
            .rev()
            .find_map(|change| if let Change::Istio(istio) = change { Some(&**istio) } else { None })
    }
}

fn condition(state: &State, kind: &str) -> Condition {
    state.watches.iter().find(|watch| watch.kind == kind).unwrap().condition
}

/// `pod a`, `pod a gone`, `looked up 10.0.0.1`, in their order.
fn names(changes: &[Change]) -> Vec<String> {
    let name = |change: &Change| match change {
        Change::Pod(pod) => format!("pod {}", pod.name),
        Change::PodGone { name, .. } => format!("pod {name} gone"),
        Change::Service(service) => format!("service {}", service.name),
        Change::ServiceGone { name, .. } => format!("service {name} gone"),
        Change::Slice(slice) => format!("slice {}", slice.name),
        Change::SliceGone { name, .. } => format!("slice {name} gone"),
        Change::Istio(_) => "istio".to_owned(),
        Change::LookedUp(done) => {
            let failure = done.failure.map(|failure| format!(" {failure:?}")).unwrap_or_default();
            format!("looked up {}{failure}", done.lookup.address)
        }
    };
    changes.iter().map(name).collect()
}

fn pod(name: &str, node: &str, address: &str) -> Value {
    json!({"metadata": {"namespace": "n", "name": name, "labels": {"app": name.split('-').next()}},
        "spec": {"nodeName": node, "containers": [{"name": "c"}]}, "status": {"podIP": address}})
}

fn service(name: &str, cluster_ip: &str) -> Value {
    json!({"metadata": {"namespace": "n", "name": name},
        "spec": {"clusterIP": cluster_ip, "selector": {"app": name}, "ports": [{"port": 80}]}})
}

fn slice(name: &str, service: &str, is_headless: bool, targets: &[(&str, &str)]) -> Value {
    let mut labels = json!({"kubernetes.io/service-name": service});
    if is_headless {
        labels["service.kubernetes.io/headless"] = "".into();
    }
    let endpoint = |(address, pod): &(&str, &str)| json!({"addresses": [address], "targetRef": {"kind": "Pod", "name": pod}});
    let endpoints: Vec<Value> = targets.iter().map(endpoint).collect();
    json!({"metadata": {"namespace": "n", "name": name, "labels": labels}, "addressType": "IPv4",
        "endpoints": endpoints, "ports": [{"port": 80}, {"port": 81}]})
}

fn object(name: &str, spec: &Value) -> Value {
    json!({"metadata": {"namespace": "n", "name": name}, "spec": spec})
}

#[test]
fn little_is_watched_and_changes_are_told() {
    for is_old in [false, true] {
        let server = Server::default();
        if is_old {
            server.make_old();
        }
        watch_little(&server, if is_old { ("list", 3) } else { ("watch", 1) });
    }
}

/// `listing` is how often slices are asked for in which way: there are five of them, and two in a page.
fn watch_little(server: &Server, listing: (&str, u64)) {
    server.put("pods", pod("web-1", "node-1", "10.0.0.1"));
    server.put("pods", pod("web-2", "node-2", "10.0.0.2"));
    server.put("services", service("redis", "None"));
    server.put("services", service("web", "10.96.0.1"));
    for number in 1..=5 {
        let address = format!("10.0.1.{number}");
        server.put(
            "endpointslices",
            slice(&format!("redis-{number}"), "redis", true, &[(&address, "redis-0")]),
        );
    }
    server.put("endpointslices", slice("web-1", "web", false, &[("10.0.0.2", "web-2")]));
    let mut running = start(server, hurried());
    running.until_ready();
    running.until_told(&["pod web-1", "service redis", "slice redis-1", "slice redis-5"]);
    let told = running.take();
    assert_eq!(told.len(), 7, "nothing else, and nothing twice: {told:?}");
    let state = running.kube.state();
    for (kind, expected, objects) in [
        ("pods", Condition::Listed, 1),
        ("services", Condition::Listed, 1),
        ("endpointslices", Condition::Listed, 5),
        ("destinationrules", Condition::Absent, 0),
    ] {
        let watch = state.watches.iter().find(|watch| watch.kind == kind).unwrap();
        assert_eq!((watch.condition, watch.objects), (expected, objects), "{kind}");
    }
    assert!(state.received_bytes > 1000, "{state:?}");
    let listed = state
        .requests
        .iter()
        .find(|one| (one.verb, one.resource, one.code) == (listing.0, "endpointslices", 200));
    assert_eq!(listed.map(|listed| listed.count), Some(listing.1));

    running.until("watches", |_, state| {
        ["pods", "services", "endpointslices"].iter().all(|kind| {
            state.requests.iter().any(|one| (one.verb, one.resource, one.code) == ("watch", *kind, 200))
        })
    });
    let moved = slice("redis-1", "redis", true, &[("10.0.1.9", "redis-0")]);
    server.put("endpointslices", moved);
    server.delete("pods", &pod("web-1", "node-1", ""));
    running.until_told(&["slice redis-1", "pod web-1 gone"]);
    running.kube.stop();
}

#[test]
fn a_new_list_tells_what_is_gone_and_nothing_again() {
    let server = Server::default();
    for name in ["a", "b", "c"] {
        server.put("services", service(name, "None"));
    }
    let mut running = start(&server, hurried());
    running.until_ready();
    running.until("a watch", |_, state| {
        state.requests.iter().any(|one| (one.verb, one.resource) == ("watch", "services"))
    });
    running.until_told(&["service a", "service b", "service c"]);
    running.take();
    server.delete_silently("services", &service("b", ""));
    server.expire("services");
    running.until_told(&["service b gone"]);
    assert_eq!(running.take(), ["service b gone"]);
}

#[test]
fn istio_is_told_as_one_when_all_of_it_is_listed() {
    let server = Server::default();
    let mut running = start(&server, hurried());
    running.until_ready();
    running.until_condition("destinationrules", Condition::Absent);
    assert_eq!(running.istio(), None);

    server.put("destinationrules", object("rule", &json!({"host": "redis"})));
    server.put("peerauthentications", object("strict", &json!({"mtls": {"mode": "STRICT"}})));
    let mut istiod = pod("istiod-1", "node-3", "10.0.3.1");
    istiod["spec"]["containers"] = json!([{"name": "discovery", "image": "pilot:1.29.1"}]);
    istiod["metadata"]["labels"] = json!({"app": "istiod", "istio.io/rev": "canary"});
    server.put("pods", istiod);
    let mut config = object("istio-canary", &json!({}));
    config["data"] = json!({"mesh": "enableAutoMtls: false\nrootNamespace: mesh-root\n"});
    server.put("configmaps", config);
    server.install_istio();
    running.until_condition("destinationrules", Condition::Listed);
    let mut known = None;
    running.until("all of Istio", |told, _| {
        let last = told
            .iter()
            .rev()
            .find_map(|change| if let Change::Istio(istio) = change { Some(istio.clone()) } else { None });
        known = last.filter(|istio| istio.is_listed);
        known.is_some()
    });
    let istio = known.unwrap();
    assert_eq!((istio.destination_rules.len(), istio.peer_authentications.len()), (1, 1));
    assert_eq!((istio.auto_mtls, istio.root_namespace.as_deref()), (Some(false), Some("mesh-root")));
    assert_eq!(istio.control_planes.first().map(|plane| &*plane.version), Some("1.29.1"));
}

#[test]
fn forbidden_kinds_are_said_and_the_rest_goes_on() {
    let server = Server::default();
    server.install_istio();
    server.put("services", service("redis", "None"));
    server.refuse("pods", 403);
    server.refuse("peerauthentications", 403);
    let mut running = start(&server, hurried());
    running.until_ready();
    running.until_told(&["service redis"]);
    running.until_condition("pods", Condition::Forbidden);
    running.until_condition("peerauthentications", Condition::Forbidden);
    running.until_condition("destinationrules", Condition::Listed);
    assert!(running.istio().is_none_or(|istio| !istio.is_listed), "not all of it is known");

    server.put("pods", pod("web-1", "node-1", "10.0.0.1"));
    server.refuse("pods", 0);
    running.until_told(&["pod web-1"]);
    running.until_condition("pods", Condition::Listed);
}

#[test]
fn it_goes_on_without_a_server_and_when_there_is_one_again() {
    let server = Server::default();
    server.put("pods", pod("web-1", "node-1", "10.0.0.1"));
    server.refuse("pods", 401);
    let mut running = start(&server, hurried());
    running.until_condition("pods", Condition::Failing);
    let state = running.kube.state();
    let error = state.watches.iter().find(|watch| watch.kind == "pods").and_then(|watch| watch.error.clone());
    assert!(error.is_some_and(|error| error.contains("401")), "{state:?}");
    assert!(!state.is_ready());
    server.refuse("pods", 0);
    running.until_told(&["pod web-1"]);
    running.until_ready();
}

#[test]
fn a_pod_is_looked_up_by_the_name_in_its_slice_and_else_by_its_address() {
    let server = Server::default();
    server.put("endpointslices", slice("redis-1", "redis", true, &[("10.0.2.1", "redis-0")]));
    server.put("pods", pod("redis-0", "node-2", "10.0.2.1"));
    server.put("pods", pod("web-2", "node-2", "10.0.2.2"));
    server.put("pods", pod("own-1", "node-1", "10.0.0.1"));
    server.put("services", service("api", "10.96.0.7"));
    let mut running = start(&server, hurried());
    running.until_ready();
    running.until_told(&["pod own-1", "slice redis-1"]);
    for (address, expected, requests) in [
        ("10.0.2.1", vec!["pod redis-0", "looked up 10.0.2.1"], vec!["/api/v1/namespaces/n/pods/redis-0"]),
        (
            "10.0.2.2",
            vec!["pod web-2", "looked up 10.0.2.2"],
            vec![
                "/api/v1/pods?&fieldSelector=status.podIP%3D10.0.2.2&resourceVersion=0&resourceVersionMatch=NotOlderThan",
            ],
        ),
        (
            "10.96.0.7",
            vec!["service api", "looked up 10.96.0.7"],
            vec!["status.podIP%3D10.96.0.7", "spec.clusterIP%3D10.96.0.7"],
        ),
        (
            "192.0.2.1",
            vec!["looked up 192.0.2.1"],
            vec!["status.podIP%3D192.0.2.1", "spec.clusterIP%3D192.0.2.1"],
        ),
        ("10.0.0.1", vec!["looked up 10.0.0.1"], vec![]),
        ("10.0.2.2", vec!["looked up 10.0.2.2"], vec![]),
    ] {
        running.take();
        let before = lookups(&server);
        running.look_up(address, None);
        running.until(address, |told, _| names(told).iter().any(|name| name.starts_with("looked up")));
        assert_eq!(running.take(), expected, "{address}");
        let asked = lookups(&server).split_off(before.len());
        assert_eq!(asked.len(), requests.len(), "{address}: {asked:?}");
        for (asked, part) in asked.iter().zip(requests) {
            assert!(asked.contains(part), "{address}: {asked}");
        }
    }
}

/// Requests that are neither watched for nor discovery.
fn lookups(server: &Server) -> Vec<String> {
    let is_lookup = |request: &String| {
        ["status.podIP", "spec.clusterIP%3D1", "/namespaces/"].iter().any(|part| request.contains(part))
    };
    server.requests().into_iter().filter(is_lookup).collect()
}

#[test]
fn a_service_is_looked_up_with_its_slices_and_pods_and_forgotten_later() {
    let server = Server::default();
    server.put("services", service("web", "10.96.0.1"));
    for number in 1..=3 {
        let (name, address) = (format!("web-{number}"), format!("10.0.2.{number}"));
        server.put("pods", pod(&name, "node-2", &address));
        server.put("endpointslices", slice(&format!("s-{number}"), "web", false, &[(&address, &name)]));
    }
    server.put("pods", pod("web-own", "node-1", "10.0.0.1"));
    let limits = Limits { kept_for: Duration::from_millis(300), found_for: Duration::ZERO, ..hurried() };
    let mut running = start(&server, limits);
    running.until_ready();
    running.until_told(&["pod web-own"]);
    running.take();
    running.look_up("10.0.0.1", Some("web"));
    let mut found =
        ["pod web-1", "pod web-2", "pod web-3", "service web", "slice s-1", "slice s-2", "slice s-3"];
    let gone = found.map(|name| format!("{name} gone"));
    running.until_told(&gone.each_ref().map(String::as_str));
    let told = running.take();
    let end = told.iter().position(|name| name == "looked up 10.0.0.1").unwrap();
    let mut before: Vec<&str> = told[..end].iter().map(String::as_str).collect();
    before.sort_unstable();
    found.sort_unstable();
    assert_eq!(before, found, "all of it comes before the word that it was looked up");
    assert_eq!(told.len(), 2 * found.len() + 1, "a watch tells of the other pod: {told:?}");
}

#[test]
fn failures_of_lookups_have_names() {
    for (code, expected) in [
        (403, LookupFailure::Forbidden),
        (400, LookupFailure::Refused),
        (429, LookupFailure::RateLimited),
        (503, LookupFailure::Unreachable),
    ] {
        let server = Server::default();
        let mut running = start(&server, hurried());
        running.until_ready();
        server.refuse("pods", code);
        running.look_up("10.0.2.1", None);
        running.until_told(&[&format!("looked up 10.0.2.1 {expected:?}")]);
    }
}

#[test]
fn too_many_lookups_are_refused_and_none_is_without_an_answer() {
    let server = Server::default();
    let limits = Limits { most_waiting: 10, lookup_burst: 5, lookups_per_second: 1000, ..hurried() };
    let mut running = start(&server, limits);
    running.until_ready();
    let lookup = |last: u8| Lookup { address: [192, 0, 2, last].into(), service: None };
    running.kube.look_up((0..=255).map(lookup).collect());
    running.until("answers", |told, _| told.len() == 256);
    let refused = names(&running.told).iter().filter(|name| name.ends_with("RateLimited")).count();
    assert_eq!(refused, 246, "those that wait are answered");
    assert_eq!(lookups(&server).len(), 20, "two requests for each");
}
