//! What the source knows of the cluster, as far as it must to tell changes: keys, addresses, and Istio's objects. Knows no
//! request and no time but what it is given.

use std::{net::IpAddr, time::Instant};

use crate::{
    event::cluster::{Change, Pod, Slice},
    source::kube::{
        book::Book,
        kind::{Fact, Key},
        known::{Known, Told},
        limits::Limits,
        lookup::{
            fetch::Answer,
            kept::{Id, Kept},
        },
        state::{Board, Watch},
        watch::News,
    },
};

/// What is known.
#[derive(Debug)]
pub(super) struct World {
    /// Pods of this node, with the addresses that are theirs alone.
    pods: Known<Box<[IpAddr]>>,
    /// Headless Services.
    services: Known<()>,
    /// Their slices.
    slices: Known<Targets>,
    pub(super) book: Book,
    pub(super) kept: Kept,
}

/// Which pods a slice names.
#[derive(Debug, Default)]
struct Targets {
    service: Box<str>,
    pods: Box<[(IpAddr, Box<str>)]>,
}

impl Targets {
    fn of(slice: &Slice) -> Self {
        let named = slice.endpoints.iter().filter_map(|one| Some((one.address, one.pod.clone()?)));
        let mut pods: Vec<(IpAddr, Box<str>)> = named.collect();
        // An address is there once for each port.
        pods.sort();
        pods.dedup();
        let service = slice.endpoints.first().map(|one| one.service.clone()).unwrap_or_default();
        Self { service, pods: pods.into() }
    }
}

/// Addresses that tell the pod: those of the node tell no pod of its network.
fn own_addresses(pod: &Pod) -> &[IpAddr] {
    if pod.host_network { &[] } else { &pod.addresses }
}

impl World {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            pods: Known::new(limits.most_pods),
            services: Known::new(limits.most_services),
            slices: Known::new(limits.most_slices),
            book: Book::new(limits.most_istio),
            kept: Kept::new(limits.most_kept),
        }
    }

    /// Takes what a watch of pods, Services or slices tells, and tells what changes by it.
    pub(super) fn hear(&mut self, watch: Watch, news: News, tell: &mut Vec<Change>) {
        match news {
            News::Began => self.begin(watch),
            News::Is { key, version, fact } => {
                // One that cannot be read is there, but nothing is known of it.
                let told = fact.map(|fact| self.is(key.clone(), &version, *fact, tell));
                if told.is_none() {
                    self.remove(watch, &key, tell);
                }
            }
            News::Gone(key) => self.remove(watch, &key, tell),
            News::Present => {}
            News::Listed => {
                let gone = self.finish(watch);
                tell.extend(gone.into_iter().filter_map(|key| Some(id(watch, key)?.gone())));
            }
            News::Absent => {
                self.begin(watch);
                self.hear(watch, News::Listed, tell);
            }
        }
    }

    /// Writes down how much is known.
    pub(super) fn count(&self, watch: Watch, board: &Board) {
        let (known, refused) = match watch {
            Watch::Pods => (self.pods.len(), self.pods.refused()),
            Watch::Services => (self.services.len(), self.services.refused()),
            Watch::Slices => (self.slices.len(), self.slices.refused()),
            Watch::Rules | Watch::Policies | Watch::Entries | Watch::Workloads => self.book.count(watch),
        };
        board.objects(watch, known, refused);
    }

    /// A watch tells whose the address is.
    pub(super) fn is_held(&self, address: IpAddr) -> bool {
        self.pods.iter().any(|(_, addresses)| addresses.contains(&address))
    }

    /// The pod that a slice names for the address.
    pub(super) fn named(&self, address: IpAddr) -> Option<Key> {
        self.slices.iter().find_map(|((namespace, _), targets)| {
            let (_, pod) = targets.pods.iter().find(|(of, _)| *of == address)?;
            Some((namespace.clone(), pod.clone()))
        })
    }

    /// A watch tells of the Service's slices.
    pub(super) fn has_slices(&self, service: &Key) -> bool {
        self.slices
            .iter()
            .any(|((namespace, _), targets)| *namespace == service.0 && targets.service == service.1)
    }

    /// Takes what was looked up, as objects of this Service where it was one, and tells what changes by it.
    pub(super) fn found(
        &mut self,
        answer: Answer,
        service: Option<&Key>,
        now: Instant,
        tell: &mut Vec<Change>,
    ) {
        let Answer { service: found, slices, pods, failure } = answer;
        if let Some(found) = found {
            let key = (found.namespace.clone(), found.name.clone());
            if !self.services.contains(&key) {
                self.keep(Id::Service(key), service, now, tell);
                tell.push(Change::Service(Box::new(found)));
            }
        }
        for slice in slices {
            let key = (slice.namespace.clone(), slice.name.clone());
            if !self.slices.contains(&key) {
                self.keep(Id::Slice(key), service, now, tell);
                tell.push(Change::Slice(Box::new(slice)));
            }
        }
        for pod in pods {
            let key = (pod.namespace.clone(), pod.name.clone());
            if !self.pods.contains(&key) {
                self.keep(Id::Pod(key.clone()), service, now, tell);
                tell.extend(self.kept.displaced(&key, own_addresses(&pod)).into_iter().map(Id::gone));
                self.kept.set_addresses(&key, own_addresses(&pod));
                tell.push(Change::Pod(Box::new(pod)));
            }
        }
        if let Some(service) = service
            && failure.is_none()
        {
            tell.extend(self.kept.outdated(service, now).into_iter().map(Id::gone));
        }
    }

    fn keep(&mut self, id: Id, service: Option<&Key>, now: Instant, tell: &mut Vec<Change>) {
        tell.extend(self.kept.keep(id, service, now).map(Id::gone));
    }

    fn begin(&mut self, watch: Watch) {
        match watch {
            Watch::Pods => self.pods.begin(),
            Watch::Services => self.services.begin(),
            Watch::Slices => self.slices.begin(),
            Watch::Rules | Watch::Policies | Watch::Entries | Watch::Workloads => {}
        }
    }

    fn finish(&mut self, watch: Watch) -> Vec<Key> {
        match watch {
            Watch::Pods => self.pods.finish(),
            Watch::Services => self.services.finish(),
            Watch::Slices => self.slices.finish(),
            Watch::Rules | Watch::Policies | Watch::Entries | Watch::Workloads => Vec::new(),
        }
    }

    /// The object is there. What was looked up of it before is the watch's to tell from now on.
    fn is(&mut self, key: Key, version: &str, fact: Fact, tell: &mut Vec<Change>) {
        match fact {
            Fact::Pod(pod, _) => {
                if self.pods.tell(key.clone(), version, own_addresses(&pod).into()) == Told::Anew {
                    self.kept.remove(&Id::Pod(key.clone()));
                    tell.extend(self.kept.displaced(&key, own_addresses(&pod)).into_iter().map(Id::gone));
                    tell.push(Change::Pod(pod));
                }
            }
            Fact::Service(service, _) => {
                if self.services.tell(key.clone(), version, ()) == Told::Anew {
                    self.kept.remove(&Id::Service(key));
                    tell.push(Change::Service(service));
                }
            }
            Fact::Slice(slice) => {
                let targets = Targets::of(&slice);
                let named = targets.pods.clone();
                if self.slices.tell(key.clone(), version, targets) == Told::Anew {
                    for (address, pod) in named {
                        let pod = (key.0.clone(), pod);
                        tell.extend(self.kept.displaced(&pod, &[address]).into_iter().map(Id::gone));
                    }
                    self.kept.remove(&Id::Slice(key));
                    tell.push(Change::Slice(slice));
                }
            }
            Fact::Rule(_) | Fact::Policy(_) | Fact::Entry(_) | Fact::Workload(_) | Fact::Mesh(_) => {}
        }
    }

    fn remove(&mut self, watch: Watch, key: &Key, tell: &mut Vec<Change>) {
        let was_known = match watch {
            Watch::Pods => self.pods.remove(key),
            Watch::Services => self.services.remove(key),
            Watch::Slices => self.slices.remove(key),
            Watch::Rules | Watch::Policies | Watch::Entries | Watch::Workloads => false,
        };
        if was_known && let Some(id) = id(watch, key.clone()) {
            tell.push(id.gone());
        }
    }
}

fn id(watch: Watch, key: Key) -> Option<Id> {
    match watch {
        Watch::Pods => Some(Id::Pod(key)),
        Watch::Services => Some(Id::Service(key)),
        Watch::Slices => Some(Id::Slice(key)),
        Watch::Rules | Watch::Policies | Watch::Entries | Watch::Workloads => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Answer, Key, World};
    use crate::{
        event::cluster::{Change, Endpoint, Pod, Service, Slice},
        source::kube::{kind::Fact, limits::Limits, state::Watch, watch::News},
    };

    fn key(name: &str) -> Key {
        ("n".into(), name.into())
    }

    fn pod(name: &str, last: u8) -> Pod {
        Pod {
            namespace: "n".into(),
            name: name.into(),
            addresses: vec![[10, 0, 0, last].into()],
            ..Pod::default()
        }
    }

    fn is(name: &str, fact: Fact) -> News {
        News::Is { key: key(name), version: "".into(), fact: Some(Box::new(fact)) }
    }

    fn watched_pod(name: &str, last: u8) -> News {
        is(name, Fact::Pod(Box::new(pod(name, last)), None))
    }

    /// A slice of Service `s` that names this pod for this address, on two ports.
    fn watched_slice(pod: &str, last: u8) -> News {
        let endpoint = |port| Endpoint {
            namespace: "n".into(),
            service: "s".into(),
            address: [10, 0, 0, last].into(),
            port: Some(port),
            port_name: "".into(),
            pod: Some(pod.into()),
        };
        let slice =
            Slice { namespace: "n".into(), name: "s-1".into(), endpoints: vec![endpoint(1), endpoint(2)] };
        is("s-1", Fact::Slice(Box::new(slice)))
    }

    fn found(pods: &[(&str, u8)]) -> Answer {
        Answer { pods: pods.iter().map(|(name, last)| pod(name, *last)).collect(), ..Answer::default() }
    }

    fn hear(world: &mut World, watch: Watch, news: News) -> Vec<Change> {
        let mut told = Vec::new();
        world.hear(watch, news, &mut told);
        told
    }

    fn find(world: &mut World, answer: Answer, service: Option<&Key>, now: Instant) -> Vec<Change> {
        let mut told = Vec::new();
        world.found(answer, service, now, &mut told);
        told
    }

    fn pod_gone(name: &str) -> Change {
        Change::PodGone { namespace: "n".into(), name: name.into() }
    }

    #[test]
    fn what_a_watch_tells_of_is_its_own_to_tell() {
        let (mut world, now) = (World::new(&Limits::default()), Instant::now());
        assert_eq!(find(&mut world, found(&[("a", 1)]), None, now).len(), 1);
        assert_eq!(world.kept.len(), 1);
        assert_eq!(hear(&mut world, Watch::Pods, watched_pod("a", 1)).len(), 1);
        assert_eq!(world.kept.len(), 0, "it is not forgotten after a while");
        assert_eq!(find(&mut world, found(&[("a", 9)]), None, now), [], "the watch knows better");
        assert!(world.is_held([10, 0, 0, 1].into()) && !world.is_held([10, 0, 0, 9].into()));
        assert_eq!(hear(&mut world, Watch::Pods, News::Gone(key("a"))), [pod_gone("a")]);
        assert_eq!(hear(&mut world, Watch::Pods, News::Gone(key("a"))), []);
    }

    #[test]
    fn who_had_the_address_before_is_gone() {
        let now = Instant::now();
        for (watch, news) in [(Watch::Pods, watched_pod("b", 1)), (Watch::Slices, watched_slice("b", 1))] {
            let mut world = World::new(&Limits::default());
            find(&mut world, found(&[("a", 1), ("c", 2)]), None, now);
            let told = hear(&mut world, watch, news);
            assert_eq!((told.first(), told.len()), (Some(&pod_gone("a")), 2), "{watch:?}");
            assert_eq!(world.kept.len(), 1);
        }
        let mut world = World::new(&Limits::default());
        find(&mut world, found(&[("a", 1)]), None, now);
        assert_eq!(find(&mut world, found(&[("b", 1)]), None, now).first(), Some(&pod_gone("a")));
    }

    #[test]
    fn a_service_that_is_looked_up_again_loses_pods() {
        let (mut world, now) = (World::new(&Limits::default()), Instant::now());
        let later = now + Duration::from_secs(1);
        let answer = |pods: &[(&str, u8)]| {
            let service = Service { namespace: "n".into(), name: "s".into(), ..Service::default() };
            Answer { service: Some(service), ..found(pods) }
        };
        let service = key("s");
        assert_eq!(find(&mut world, answer(&[("a", 1), ("b", 2)]), Some(&service), now).len(), 3);
        let told = find(&mut world, answer(&[("b", 2)]), Some(&service), later);
        assert_eq!((told.len(), told.last()), (3, Some(&pod_gone("a"))));
    }

    #[test]
    fn slices_name_pods_for_addresses() {
        let mut world = World::new(&Limits::default());
        hear(&mut world, Watch::Slices, watched_slice("redis-0", 1));
        assert_eq!(world.named([10, 0, 0, 1].into()), Some(key("redis-0")));
        assert_eq!(world.named([10, 0, 0, 2].into()), None);
        assert!(world.has_slices(&key("s")) && !world.has_slices(&key("t")));
        let unreadable = News::Is { key: key("s-1"), version: "2".into(), fact: None };
        assert_eq!(hear(&mut world, Watch::Slices, unreadable).len(), 1, "nothing is known of it any more");
        assert_eq!(world.named([10, 0, 0, 1].into()), None);
    }
}
