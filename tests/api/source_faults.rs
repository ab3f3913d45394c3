//! What the server's faults cost the tracer's own source of the cluster: nothing is lost, nothing is told twice, and what is not known
//! is said.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use mtlsnoop::event::Event;
use mtlsnoop::event::cluster::{Change, Lookup, LookupFailure};
use mtlsnoop::event::time::Time;
use mtlsnoop::source::kube::{Condition, Kube, Limits, Options, State};
use mtlsnoop_tests::wait;
use serde_json::{Value, json};

use crate::served::{Served, rule};

/// What the source has told.
struct Told {
    kube: Kube,
    /// By kind and name, as it is known now; false for what is gone.
    known: BTreeMap<String, bool>,
    changes: Vec<String>,
    rules: usize,
}

impl Told {
    fn start(served: &Served, limits: Limits) -> Result<Self> {
        let kubeconfig = Some(served.api.kubeconfig()?);
        let kube = Kube::start(&Options { node: "node-1".into(), kubeconfig, limits })?;
        let kube = kube.context("there is a cluster")?;
        Ok(Self { kube, known: BTreeMap::new(), changes: Vec::new(), rules: 0 })
    }

    fn poll(&mut self) -> State {
        let Self { kube, known, changes, rules } = self;
        kube.poll(Time(1), &mut |event| {
            let Event::ClusterChanged(changed) = event else { return };
            for change in changed.changes {
                let (name, is_there) = match &change {
                    Change::Pod(pod) => (format!("pod {}", pod.name), true),
                    Change::PodGone { name, .. } => (format!("pod {name}"), false),
                    Change::Service(service) => (format!("service {}", service.name), true),
                    Change::ServiceGone { name, .. } => (format!("service {name}"), false),
                    Change::Slice(slice) => (format!("slice {}", slice.name), true),
                    Change::SliceGone { name, .. } => (format!("slice {name}"), false),
                    Change::Istio(istio) => {
                        *rules = istio.destination_rules.len();
                        (format!("istio {}", istio.is_listed), true)
                    }
                    Change::LookedUp(done) => {
                        (format!("lookup {} {:?}", done.lookup.address, done.failure), true)
                    }
                };
                changes.push(name.clone());
                known.insert(name, is_there);
            }
        });
        self.kube.state()
    }

    fn until(&mut self, what: &str, mut holds: impl FnMut(&Self, &State) -> bool) -> Result<()> {
        let waited = wait::until_true(what, wait::LONG, || {
            let state = self.poll();
            Ok(holds(self, &state))
        });
        waited.with_context(|| format!("{:?} {:#?}", self.known, self.kube.state()))
    }

    fn until_ready(&mut self) -> Result<()> {
        self.until("ready", |_, state| state.is_ready())
    }

    fn until_known(&mut self, name: &str, is_there: bool) -> Result<()> {
        self.until(&format!("{name} {is_there}"), |told, _| told.known.get(name) == Some(&is_there))
    }

    fn until_condition(&mut self, kind: &str, condition: Condition) -> Result<()> {
        self.until(&format!("{kind} {condition:?}"), |_, state| {
            state.watches.iter().any(|watch| watch.kind == kind && watch.condition == condition)
        })
    }

    fn look_up(&mut self, address: &str) -> Result<()> {
        self.kube.look_up(vec![Lookup { address: address.parse()?, service: None }]);
        Ok(())
    }
}

fn hurried() -> Limits {
    Limits {
        missing_for: Duration::ZERO,
        forbidden_pause: Duration::from_millis(100),
        discovery_pause: Duration::from_millis(100),
        mesh_pause: Duration::from_millis(100),
        ..Limits::default()
    }
}

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": name},
        "spec": {"clusterIP": "None", "clusterIPs": ["None"], "selector": {"app": name}, "ports": [{"port": 6379, "protocol": "TCP"}]}})
}

fn slice(service: &str, pod: &str, address: &str) -> Value {
    let labels = json!({"kubernetes.io/service-name": service, "service.kubernetes.io/headless": ""});
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "default", "name": format!("{service}-1"), "labels": labels},
        "endpoints": [{"addresses": [address], "targetRef": {"kind": "Pod", "namespace": "default", "name": pod}}],
        "ports": [{"name": "", "port": 6379, "protocol": "TCP"}]})
}

/// Two pods, of which `redis-1` is on this node, a headless Service of theirs and a rule.
fn served() -> Result<Served> {
    let served = Served::with_pods(2)?;
    served.api.put_all([service("redis"), slice("redis", "redis-0", "10.0.0.0"), rule("redis")])?;
    Ok(served)
}

#[test]
fn it_lists_watches_and_looks_up_with_requests_that_a_real_server_takes() -> Result<()> {
    for no_streaming_lists in [false, true] {
        let served = served()?;
        served.api.faults().no_streaming_lists = no_streaming_lists;
        let mut told = Told::start(&served, Limits::default())?;
        told.until_ready()?;
        for name in ["pod redis-1", "service redis", "slice redis-1", "istio true"] {
            told.until_known(name, true)?;
        }
        ensure!(!told.known.contains_key("pod redis-0"), "it is on another node");
        told.look_up("10.0.0.0")?;
        told.until_known("lookup 10.0.0.0 None", true)?;
        ensure!(told.known.contains_key("pod redis-0"), "what was found comes first");
        told.look_up("192.0.2.1")?;
        told.until_known("lookup 192.0.2.1 None", true)?;
        served.api.put(service("later"))?;
        told.until_known("service later", true)?;
        served.api.delete("services", "default", "later")?;
        told.until_known("service later", false)?;
        told.kube.stop();
        served.api.check()?;
    }
    Ok(())
}

#[test]
fn watches_that_are_cut_all_the_time_lose_nothing() -> Result<()> {
    let served = served()?;
    let mut told = Told::start(&served, hurried())?;
    told.until_ready()?;
    served.api.faults().cut_watches_after = Some(Duration::from_millis(30));
    served.api.break_connections();
    for nth in 0..20 {
        served.api.put(service(&format!("s-{nth}")))?;
        told.until_known(&format!("service s-{nth}"), true)?;
    }
    let twice = told.changes.iter().filter(|name| *name == "service s-3").count();
    ensure!(twice == 1, "told {twice} times");
    served.api.check()
}

#[test]
fn what_went_while_the_server_was_away_is_gone_afterwards() -> Result<()> {
    let mut served = served()?;
    let mut told = Told::start(&served, hurried())?;
    told.until_ready()?;
    told.until_known("service redis", true)?;
    served.api.stop();
    told.until_condition("services", Condition::Failing)?;
    told.look_up("10.0.0.0")?;
    told.until_known(&format!("lookup 10.0.0.0 {:?}", Some(LookupFailure::Unreachable)), true)?;
    served.api.delete("services", "default", "redis")?;
    served.api.put(service("other"))?;
    told.changes.clear();
    served.api.start()?;
    told.until_known("service redis", false)?;
    told.until_known("service other", true)?;
    told.until_condition("services", Condition::Listed)?;
    told.until_condition("pods", Condition::Listed)?;
    ensure!(!told.changes.contains(&"pod redis-1".to_owned()), "it is the same as before");
    told.look_up("10.0.0.0")?;
    told.until_known("lookup 10.0.0.0 None", true)?;
    served.api.check()
}

#[test]
fn versions_that_are_too_old_cost_a_new_list() -> Result<()> {
    let served = served()?;
    let mut told = Told::start(&served, hurried())?;
    told.until_ready()?;
    told.until_known("service redis", true)?;
    served.api.put(service("a"))?;
    served.api.expire_versions();
    served.api.break_connections();
    served.api.put(service("b"))?;
    told.until_known("service a", true)?;
    told.until_known("service b", true)?;
    let again = told.changes.iter().filter(|name| *name == "service redis").count();
    ensure!(again == 1, "it was the same all the time");
    served.api.check()
}

#[test]
fn forbidden_and_absent_kinds_are_said_and_the_rest_goes_on() -> Result<()> {
    let served = served()?;
    served.api.remove_group("networking.istio.io");
    served.api.remove_group("security.istio.io");
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "agent"},
        "rules": [{"apiGroups": [""], "resources": ["services"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["networking.istio.io"], "resources": ["destinationrules"], "verbs": ["list", "watch"]}]});
    served.api.restrict(&[role])?;
    let mut told = Told::start(&served, hurried())?;
    told.until_ready()?;
    told.until_known("service redis", true)?;
    told.until_condition("pods", Condition::Forbidden)?;
    told.until_condition("endpointslices", Condition::Forbidden)?;
    told.until_condition("destinationrules", Condition::Absent)?;
    told.look_up("10.0.0.0")?;
    told.until_known(&format!("lookup 10.0.0.0 {:?}", Some(LookupFailure::Forbidden)), true)?;
    served.api.add_group("networking.istio.io");
    told.until_condition("destinationrules", Condition::Listed)?;
    told.until("the rule", |told, _| told.rules == 1)?;
    told.until_condition("serviceentries", Condition::Forbidden)?;
    ensure!(!told.known.contains_key("istio true"), "not all of it is known");
    served.api.remove_group("networking.istio.io");
    served.api.break_connections();
    told.until_condition("destinationrules", Condition::Absent)?;
    told.until("no rule", |told, _| told.rules == 0)?;
    served.api.check()
}

#[test]
fn a_slow_server_is_waited_for() -> Result<()> {
    let served = served()?;
    served.api.faults().delay = Duration::from_millis(300);
    let mut told = Told::start(&served, hurried())?;
    told.until_ready()?;
    told.until_known("pod redis-1", true)?;
    served.api.check()
}
