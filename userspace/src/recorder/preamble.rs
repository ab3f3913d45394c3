//! What a file of a recording has to begin with to be understood alone: that tracing goes on, the cluster, the control groups. It knows
//! the objects' names, and not what they mean.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::event::{
    Began, Cgroup, ClusterChanged, ClusterSeen, Event,
    cluster::{Change, Cluster},
    time::Time,
};

/// Most control groups that are remembered, as the live source does.
const MAX_CGROUPS: usize = 65_536;

/// Namespace and name.
type Key = (Box<str>, Box<str>);

/// What was told so far that later events rest on.
#[derive(Debug, Default)]
pub(super) struct Preamble {
    began: Option<Began>,
    cluster: Option<Box<Cluster>>,
    changed: Changed,
    cgroups: FxHashMap<u64, Box<str>>,
}

/// What changed since the whole cluster was told, the last state of each object.
#[derive(Debug, Default)]
struct Changed {
    pods: BTreeMap<Key, Change>,
    services: BTreeMap<Key, Change>,
    slices: BTreeMap<Key, Change>,
    istio: Option<Change>,
}

impl Preamble {
    /// Remembers what the event tells.
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::Began(began) => self.began = Some(began.clone()),
            Event::Cluster(seen) => {
                self.cluster = Some(Box::new(seen.cluster.clone()));
                self.changed = Changed::default();
            }
            Event::ClusterChanged(changed) => {
                for change in &changed.changes {
                    self.changed.note(change, self.cluster.is_some());
                }
            }
            Event::Cgroup(cgroup) => {
                if self.cgroups.len() >= MAX_CGROUPS {
                    self.cgroups.clear();
                }
                self.cgroups.insert(cgroup.id, cgroup.path.clone());
            }
            _ => {}
        }
    }

    /// All of it, as known at this time.
    pub(super) fn events(&self, now: Time) -> Vec<Event> {
        let began = self.began.iter().map(|began| Event::Began(Began { time: now, ..began.clone() }));
        let cluster = self.cluster.iter().map(|cluster| {
            Event::Cluster(Box::new(ClusterSeen { time: now, cluster: Cluster::clone(cluster) }))
        });
        let changes = self.changed.all();
        let since = (!changes.is_empty())
            .then(|| Event::ClusterChanged(Box::new(ClusterChanged { time: now, changes })));
        let cgroups = self
            .cgroups
            .iter()
            .map(|(&id, path)| Event::Cgroup(Cgroup { time: now, id, path: path.clone() }));
        began.chain(cluster).chain(since).chain(cgroups).collect()
    }
}

impl Changed {
    /// Something that went is forgotten, unless the whole cluster has it.
    fn note(&mut self, change: &Change, is_over_whole: bool) {
        let key = |namespace: &str, name: &str| (namespace.into(), name.into());
        let (objects, key, is_gone) = match change {
            Change::Pod(pod) => (&mut self.pods, key(&pod.namespace, &pod.name), false),
            Change::PodGone { namespace, name } => (&mut self.pods, key(namespace, name), true),
            Change::Service(service) => (&mut self.services, key(&service.namespace, &service.name), false),
            Change::ServiceGone { namespace, name } => (&mut self.services, key(namespace, name), true),
            Change::Slice(slice) => (&mut self.slices, key(&slice.namespace, &slice.name), false),
            Change::SliceGone { namespace, name } => (&mut self.slices, key(namespace, name), true),
            Change::Istio(_) => {
                self.istio = Some(change.clone());
                return;
            }
            Change::LookedUp(_) => return,
        };
        if is_gone && !is_over_whole {
            objects.remove(&key);
        } else {
            objects.insert(key, change.clone());
        }
    }

    fn all(&self) -> Vec<Change> {
        let Self { pods, services, slices, istio } = self;
        let objects = services.values().chain(slices.values()).chain(pods.values());
        objects.chain(istio).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Preamble;
    use crate::event::{
        Began, Capture, Cgroup, ClusterChanged, ClusterSeen, Event,
        cluster::{Change, Cluster, Pod},
        time::Time,
    };

    fn pod(name: &str, uid: &str) -> Change {
        Change::Pod(Box::new(Pod { name: name.into(), uid: uid.into(), ..Pod::default() }))
    }

    fn gone(name: &str) -> Change {
        Change::PodGone { namespace: "".into(), name: name.into() }
    }

    fn changed(time: u64, changes: Vec<Change>) -> Event {
        Event::ClusterChanged(Box::new(ClusterChanged { time: Time(time), changes }))
    }

    fn began(time: u64) -> Event {
        Event::Began(Began {
            time: Time(time),
            node: "node".into(),
            capture: Capture::Adaptive,
            looks_up: false,
        })
    }

    #[test]
    fn it_is_the_last_state_of_everything() {
        let cgroup = |time| Event::Cgroup(Cgroup { time: Time(time), id: 7, path: "/kubepods".into() });
        let mut preamble = Preamble::default();
        for event in [
            began(1),
            changed(2, vec![pod("a", "1"), pod("b", "1")]),
            cgroup(3),
            Event::Tick(Time(4)),
            changed(5, vec![gone("b"), pod("a", "2")]),
        ] {
            preamble.note(&event);
        }
        assert_eq!(preamble.events(Time(9)), [began(9), changed(9, vec![pod("a", "2")]), cgroup(9)]);
    }

    #[test]
    fn what_went_of_a_whole_cluster_is_told_to_be_gone() {
        let seen =
            |time| Event::Cluster(Box::new(ClusterSeen { time: Time(time), cluster: Cluster::default() }));
        let mut preamble = Preamble::default();
        for event in [began(1), changed(1, vec![pod("c", "1")]), seen(2), changed(3, vec![gone("a")])] {
            preamble.note(&event);
        }
        assert_eq!(preamble.events(Time(9)), [began(9), seen(9), changed(9, vec![gone("a")])]);
    }
}
