//! What holds for every order of changes of a cluster: what is known then is what its objects tell, an address is that of who had
//! it at the time, and nothing is kept for good.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use mtlsnoop::{
    event::{
        Cgroup, ClusterChanged, Event,
        cluster::{Change, Cluster, Container, Endpoint, Pod, Service, ServicePort, Slice},
        socket::Owner,
        time::Time,
    },
    identity::Identity,
    update::Party,
};
use proptest::prelude::{Strategy, any, prop_oneof, proptest};

use crate::story::{Story, lines, replay};

type Name = (Box<str>, Box<str>);

const NAMES: u8 = 5;
const ADDRESSES: u8 = 6;
const SERVICES: u8 = 3;
const SLICES: u8 = 3;
const PORT: u16 = 6379;
const SECOND_NS: u64 = 1_000_000_000;
/// As long as `identity` remembers who had an address.
const REMEMBERED_NS: u64 = 600 * SECOND_NS;

/// What happens to a cluster.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A pod has an address: the same pod as before, or another of its name. Who had the address goes just before, or, as
    /// watches of several kinds may tell it, just after.
    Pod {
        name: u8,
        address: u8,
        is_another: bool,
        is_early: bool,
    },
    PodGone {
        name: u8,
    },
    Service {
        name: u8,
        is_headless: bool,
    },
    ServiceGone {
        name: u8,
    },
    Slice {
        name: u8,
        service: u8,
        addresses: u8,
    },
    SliceGone {
        name: u8,
    },
    /// The control group of a pod's container is seen, while the pod is there or only after it is gone.
    Cgroup {
        name: u8,
        is_late: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let flags = any::<(bool, bool)>();
    prop_oneof![
        4 => (0..NAMES, 0..ADDRESSES, flags).prop_map(|(name, address, (is_another, is_early))| Step::Pod { name, address, is_another, is_early }),
        2 => (0..NAMES).prop_map(|name| Step::PodGone { name }),
        2 => (0..SERVICES, any::<bool>()).prop_map(|(name, is_headless)| Step::Service { name, is_headless }),
        1 => (0..SERVICES).prop_map(|name| Step::ServiceGone { name }),
        2 => (0..SLICES, 0..SERVICES, any::<u8>()).prop_map(|(name, service, addresses)| Step::Slice { name, service, addresses }),
        1 => (0..SLICES).prop_map(|name| Step::SliceGone { name }),
        2 => (0..NAMES, any::<bool>()).prop_map(|(name, is_late)| Step::Cgroup { name, is_late }),
    ]
}

fn address(number: u8) -> IpAddr {
    [10, 1, 1, number].into()
}

fn text(prefix: &str, number: u8) -> Box<str> {
    format!("{prefix}-{number}").into()
}

fn key(prefix: &str, number: u8) -> Name {
    ("default".into(), text(prefix, number))
}

fn name_of(pod: &Pod) -> Name {
    (pod.namespace.clone(), pod.name.clone())
}

/// Who had an address, from then on and, if it has ended, until then.
#[derive(Clone, Debug)]
struct Tenure {
    address: IpAddr,
    uid: Box<str>,
    from: Time,
    until: Option<Time>,
}

/// A control group, the uid of the pod that it is of, and whether that was gone already.
struct Seen {
    cgroup: Cgroup,
    uid: Box<str>,
    is_late: bool,
}

/// What is so.
#[derive(Default)]
struct Truth {
    pods: BTreeMap<Name, Pod>,
    services: BTreeMap<Name, Service>,
    slices: BTreeMap<Name, Slice>,
    tenures: Vec<Tenure>,
    /// The last of each name that is gone.
    gone: BTreeMap<Name, Pod>,
    cgroups: Vec<Seen>,
    uids: u64,
}

impl Truth {
    /// The changes that a step is, in the order in which they become known.
    fn take(&mut self, step: Step, now: Time) -> Vec<Change> {
        match step {
            Step::Pod { name, address: number, is_another, is_early } => {
                self.pod(name, address(number), (is_another, is_early), now)
            }
            Step::PodGone { name } => {
                let name = key("pod", name);
                self.leave(&name, now);
                self.pods.remove(&name);
                vec![gone(name)]
            }
            Step::Service { name, is_headless } => {
                let service = service(name, is_headless);
                self.services.insert((service.namespace.clone(), service.name.clone()), service.clone());
                vec![Change::Service(Box::new(service))]
            }
            Step::ServiceGone { name } => {
                let (namespace, name) = key("service", name);
                self.services.remove(&(namespace.clone(), name.clone()));
                vec![Change::ServiceGone { namespace, name }]
            }
            Step::Slice { name, service, addresses } => {
                let slice = slice(name, service, addresses);
                self.slices.insert((slice.namespace.clone(), slice.name.clone()), slice.clone());
                vec![Change::Slice(Box::new(slice))]
            }
            Step::SliceGone { name } => {
                let (namespace, name) = key("slice", name);
                self.slices.remove(&(namespace.clone(), name.clone()));
                vec![Change::SliceGone { namespace, name }]
            }
            Step::Cgroup { .. } => Vec::new(),
        }
    }

    fn pod(
        &mut self,
        name: u8,
        address: IpAddr,
        (is_another, is_early): (bool, bool),
        now: Time,
    ) -> Vec<Change> {
        let name = key("pod", name);
        let known = self.pods.get(&name).map(|pod| pod.uid.clone()).filter(|_| !is_another);
        let uid = known.unwrap_or_else(|| {
            self.uids += 1;
            format!("5fbb210e-6bb9-496c-a461-{:012x}", self.uids).into()
        });
        let pod = pod(&name, uid, address);
        let holder = self.pods.values().find(|other| other.addresses[0] == address).map(name_of);
        let holder = holder.filter(|holder| *holder != name);
        if let Some(holder) = &holder {
            self.leave(holder, now);
            self.pods.remove(holder);
        }
        let is_new =
            self.pods.get(&name).is_none_or(|known| known.addresses != pod.addresses || known.uid != pod.uid);
        if is_new {
            self.leave(&name, now);
            self.tenures.push(Tenure { address, uid: pod.uid.clone(), from: now, until: None });
        }
        self.pods.insert(name, pod.clone());
        let comes = Change::Pod(Box::new(pod));
        match holder.map(gone) {
            None => vec![comes],
            Some(goes) if is_early => vec![comes, goes],
            Some(goes) => vec![goes, comes],
        }
    }

    /// A pod has its address no more.
    fn leave(&mut self, name: &Name, now: Time) {
        let Some(pod) = self.pods.get(name) else { return };
        self.gone.insert(name.clone(), pod.clone());
        let tenure = self.tenures.iter_mut().find(|tenure| tenure.uid == pod.uid && tenure.until.is_none());
        tenure.unwrap().until = Some(now);
    }

    fn cluster(&self) -> Cluster {
        Cluster {
            pods: self.pods.values().cloned().collect(),
            services: self.services.values().cloned().collect(),
            endpoints: self.slices.values().flat_map(|slice| slice.endpoints.clone()).collect(),
            ..Cluster::default()
        }
    }

    /// The control group of a pod, if it is as wanted.
    fn cgroup(&mut self, name: u8, is_late: bool) -> Option<Cgroup> {
        let name = key("pod", name);
        let is_there = |gone: &&Pod| self.pods.get(&name).is_some_and(|pod| pod.uid == gone.uid);
        let pod = if is_late {
            self.gone.get(&name).filter(|gone| !is_there(gone))?
        } else {
            self.pods.get(&name)?
        };
        let path = format!(
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{}.slice/cri-containerd-{}.scope",
            pod.uid.replace('-', "_"),
            pod.containers[0].id
        );
        let id = 1000 + self.cgroups.len() as u64;
        let cgroup = Cgroup { time: Time(0), id, path: path.into() };
        self.cgroups.push(Seen { cgroup: cgroup.clone(), uid: pod.uid.clone(), is_late });
        Some(cgroup)
    }
}

fn gone((namespace, name): Name) -> Change {
    Change::PodGone { namespace, name }
}

fn pod((namespace, name): &Name, uid: Box<str>, address: IpAddr) -> Pod {
    let digits = uid.rsplit('-').next().unwrap();
    Pod {
        namespace: namespace.clone(),
        name: name.clone(),
        addresses: vec![address],
        workload: Some(format!("StatefulSet/{name}").into()),
        containers: vec![Container { name: "store".into(), id: format!("{digits:0>64}").into() }],
        uid,
        ..Pod::default()
    }
}

fn service(name: u8, headless: bool) -> Service {
    Service {
        namespace: "default".into(),
        name: text("service", name),
        headless,
        // No two Services have the same one.
        cluster_addresses: if headless { Vec::new() } else { vec![[10, 96, 0, name].into()] },
        ports: vec![ServicePort { name: "tcp".into(), port: PORT, ..ServicePort::default() }],
        ..Service::default()
    }
}

/// The addresses whose bits are set; which pod is behind an address is not what slices differ in.
fn slice(name: u8, service: u8, addresses: u8) -> Slice {
    let chosen = (0..ADDRESSES).filter(|number| addresses >> number & 1 == 1);
    let endpoint = |number| Endpoint {
        namespace: "default".into(),
        service: text("service", service),
        address: address(number),
        port: Some(PORT),
        port_name: "tcp".into(),
        pod: Some(text("pod", number)),
    };
    Slice {
        namespace: "default".into(),
        name: text("slice", name),
        endpoints: chosen.map(endpoint).collect(),
    }
}

/// What came of steps, one a second.
struct Lived {
    identity: Identity,
    truth: Truth,
    now: Time,
}

fn live(steps: &[Step]) -> Lived {
    let mut lived = Lived { identity: Identity::default(), truth: Truth::default(), now: Time(SECOND_NS) };
    for step in steps {
        lived.now = Time(lived.now.0 + SECOND_NS);
        if let Step::Cgroup { name, is_late } = *step
            && let Some(cgroup) = lived.truth.cgroup(name, is_late)
        {
            lived.identity.add_cgroup(&cgroup);
        }
        for change in lived.truth.take(*step, lived.now) {
            lived.identity.change(&change, lived.now);
        }
    }
    lived
}

impl Lived {
    fn party(&self, address: IpAddr, time: Time) -> Party {
        let address = SocketAddr::new(address, PORT);
        let mut party = self.identity.party(address, None, time);
        self.identity.add_details(&mut party, None, time);
        party
    }

    fn assert_like_rebuilt(&self) {
        let Self { identity, truth, now } = self;
        let mut rebuilt = Identity::default();
        rebuilt.set_cluster(&truth.cluster());
        for number in 0..ADDRESSES {
            for port in [PORT, 80] {
                let at = SocketAddr::new(address(number), port);
                let (mut known, mut told) = (identity.party(at, None, *now), rebuilt.party(at, None, *now));
                assert_eq!(identity.service(at), rebuilt.service(at), "{at}");
                assert_eq!(addresses(identity, at), addresses(&rebuilt, at), "{at}");
                if told.pod.is_some() {
                    identity.add_details(&mut known, None, *now);
                    rebuilt.add_details(&mut told, None, *now);
                    assert_eq!(known, told, "{at}");
                } else if known.pod.is_some() {
                    // It is told by name who had it last.
                    let had = |tenure: &Tenure| tenure.address == at.ip() && tenure.until.is_some();
                    assert!(truth.tenures.iter().any(had), "{at} is nobody's, and never was: {known:?}");
                }
            }
        }
        for virtual_address in (0..SERVICES).map(|name| SocketAddr::new([10, 96, 0, name].into(), PORT)) {
            assert_eq!(identity.service(virtual_address), rebuilt.service(virtual_address));
        }
        self.assert_same_objects(&rebuilt);
        self.assert_same_members(&mut rebuilt);
    }

    fn assert_same_objects(&self, rebuilt: &Identity) {
        fn names<T>(all: &[T], name: impl Fn(&T) -> Name) -> Vec<Name> {
            let mut names: Vec<Name> =
                all.iter().map(name).filter(|(namespace, _)| !namespace.is_empty()).collect();
            names.sort();
            names
        }
        let of = |cluster: &Cluster| {
            [
                names(&cluster.pods, name_of),
                names(&cluster.services, |service| (service.namespace.clone(), service.name.clone())),
                names(&cluster.endpoints, |one| (one.namespace.clone(), one.address.to_string().into())),
            ]
        };
        assert_eq!(of(self.identity.cluster()), of(rebuilt.cluster()));
    }

    fn assert_same_members(&self, rebuilt: &mut Identity) {
        for Seen { cgroup, uid, is_late } in &self.truth.cgroups {
            rebuilt.add_cgroup(cgroup);
            let owner = Owner { cgroup: cgroup.id, ..Owner::default() };
            let at = SocketAddr::new([192, 0, 2, 1].into(), PORT);
            let of = |identity: &Identity| {
                let mut party = identity.party(at, Some(&owner), self.now);
                identity.add_details(&mut party, Some(&owner), self.now);
                party
            };
            let known = of(&self.identity);
            // Also after its pod is gone; never another's.
            let is_unknown = known.pod_uid.is_none() && *is_late;
            assert!(known.pod_uid.as_ref() == Some(uid) || is_unknown, "{cgroup:?}: {known:?}");
            if self.truth.pods.values().any(|pod| pod.uid == *uid) {
                assert_eq!(known, of(rebuilt), "{cgroup:?}");
            }
        }
    }

    fn assert_by_time(&self) {
        for tenure in &self.truth.tenures {
            let last = tenure.until.map_or(self.now, |until| Time(until.0 - 1));
            let is_remembered = tenure.until.is_none_or(|until| self.now.since_ns(until) < REMEMBERED_NS);
            for time in [tenure.from, last] {
                let known = self.party(tenure.address, time).pod_uid;
                assert!(
                    known.as_ref() == Some(&tenure.uid) || !is_remembered,
                    "{tenure:?}, {time:?}: {known:?}"
                );
            }
        }
    }
}

fn addresses(identity: &Identity, of: SocketAddr) -> BTreeSet<SocketAddr> {
    identity.virtual_addresses(of).collect()
}

/// The same objects as changes, in an order by these keys.
fn as_changes(cluster: &Cluster, keys: &[u16]) -> Vec<Change> {
    let pods = cluster.pods.iter().map(|pod| Change::Pod(Box::new(pod.clone())));
    let services = cluster.services.iter().map(|service| Change::Service(Box::new(service.clone())));
    let mut slices = BTreeMap::<Name, Vec<Endpoint>>::new();
    for endpoint in &cluster.endpoints {
        let name = (endpoint.namespace.clone(), endpoint.service.clone());
        slices.entry(name).or_default().push(endpoint.clone());
    }
    let slice =
        |((namespace, name), endpoints)| Change::Slice(Box::new(Slice { namespace, name, endpoints }));
    let istio = Change::Istio(Box::new(cluster.istio.clone()));
    let all = pods.chain(services).chain(slices.into_iter().map(slice)).chain([istio]);
    let mut keyed: Vec<_> = all.zip(keys.iter().cycle()).collect();
    keyed.sort_by_key(|(_, key)| **key);
    keyed.into_iter().map(|(change, _)| change).collect()
}

/// The same events with what is known of the cluster told by changes.
fn by_changes(events: &[Event], keys: &[u16]) -> Vec<Event> {
    let mut told = 0;
    let by_changes = |event: &Event| match event {
        // A second one replaces the first, which changes alone do not.
        Event::Cluster(seen) if told == 0 => {
            told += 1;
            let changes = as_changes(&seen.cluster, keys);
            Event::ClusterChanged(Box::new(ClusterChanged { time: seen.time, changes }))
        }
        event => event.clone(),
    };
    events.iter().map(by_changes).collect()
}

#[test]
fn what_comes_and_goes_leaves_no_room_behind() {
    let mut identity = Identity::default();
    for nth in 0..100_000_u32 {
        let now = Time(SECOND_NS + u64::from(nth));
        let name = (Box::from("default"), format!("pod-{nth}").into());
        let [.., a, b, c] = nth.to_be_bytes();
        let of_node = pod(&name, format!("5fbb210e-6bb9-496c-a461-{nth:012x}").into(), [10, a, b, c].into());
        identity.change(&Change::Pod(Box::new(of_node)), now);
        identity.change(&Change::Slice(Box::new(slice(0, 0, 0xff))), now);
        identity.change(&Change::Service(Box::new(service(0, true))), now);
        identity.change(&gone(name), now);
    }
    let Cluster { pods, services, endpoints, .. } = identity.cluster();
    assert_eq!((pods.len(), services.len(), endpoints.len()), (1, 1, usize::from(ADDRESSES)));
}

proptest! {
    #[test]
    fn any_order_of_changes_gives_what_the_objects_tell(steps in proptest::collection::vec(step(), 0..60)) {
        live(&steps).assert_like_rebuilt();
    }

    #[test]
    fn an_address_is_that_of_who_had_it_then(steps in proptest::collection::vec(step(), 0..60)) {
        live(&steps).assert_by_time();
    }
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(8))]
    #[test]
    fn stories_are_the_same_by_changes(keys in proptest::collection::vec(any::<u16>(), 16)) {
        let mut with_cluster = 0;
        for story in Story::all() {
            let events = story.events();
            with_cluster += usize::from(events.iter().any(|event| matches!(event, Event::Cluster(_))));
            let [whole, changed] = [events.clone(), by_changes(&events, &keys)].map(|events| {
                let (updates, summary) = replay(&events, mtlsnoop::engine::Settings::default());
                lines(&updates, summary)
            });
            assert_eq!(whole, changed, "{}", story.name());
        }
        assert!(with_cluster > 10, "only {with_cluster} stories with a cluster");
    }
}
