//! Which pod and container the sockets of control groups and network namespaces belong to; must not know addresses. Pure.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::{
    event::{
        Cgroup,
        cluster::Pod,
        time::{SECOND_NS, Time},
    },
    identity::{
        container_id,
        former::REMEMBERED_NS,
        objects::{Objects, Place},
        proxy,
    },
};

/// Most control groups and namespaces that are kept. A node has some hundreds at a time; sources name one again when it is
/// seen after they have forgotten it, so forgetting all costs little.
const MAX_KEPT: usize = 16_384;

/// Those that are gone for so long are looked for at most this often.
const FORGET_PAUSE_NS: u64 = 60 * SECOND_NS;

/// A pod that is there, or one that is gone.
#[derive(Clone, Debug)]
enum Holder {
    There(Place),
    /// Since then.
    Gone(Arc<Pod>, Time),
}

impl Holder {
    fn pod<'a>(&'a self, objects: &'a Objects) -> Option<&'a Pod> {
        match self {
            Self::There(place) => objects.pod(*place),
            Self::Gone(pod, _) => Some(pod),
        }
    }

    /// The pod leaves its place.
    fn leave(&mut self, left: Place, pod: &Arc<Pod>, now: Time) {
        if matches!(self, Self::There(place) if *place == left) {
            *self = Self::Gone(pod.clone(), now);
        }
    }

    fn is_long_gone(&self, now: Time) -> bool {
        matches!(self, Self::Gone(_, since) if now.since_ns(*since) > REMEMBERED_NS)
    }
}

/// Who the sockets of a control group belong to.
#[derive(Debug)]
struct Member {
    /// Runtime id of the container, by the path.
    container_id: Option<Box<str>>,
    /// uid of the pod, by the path.
    pod_uid: Option<Box<str>>,
    pod: Option<Holder>,
    /// Name of the container, or the short form of its runtime id outside a known cluster.
    container: Option<Box<str>>,
    /// The container is a mesh proxy.
    is_proxy: bool,
}

impl Member {
    fn of(path: &str) -> Self {
        let container_id = container_id::container_id(path).map(Into::into);
        Self::unknown(container_id, container_id::pod_uid(path).map(Into::into))
    }

    /// Of a container that no known pod has.
    fn unknown(container_id: Option<Box<str>>, pod_uid: Option<Box<str>>) -> Self {
        const SHORT_ID: usize = 12;
        let container = container_id.as_deref().and_then(|id| id.get(..SHORT_ID)).map(Into::into);
        Self { container_id, pod_uid, pod: None, container, is_proxy: false }
    }

    /// Looks among the objects; what is not found stays what it was.
    fn find(&mut self, objects: &Objects) {
        let known = self.container_id.as_deref().and_then(|id| objects.pod_of_container(id));
        if let Some((place, container)) = known {
            self.is_proxy = objects.pod(place).is_some_and(|pod| proxy::is_container(pod, container));
            self.container = Some(container.into());
            self.pod = Some(Holder::There(place));
        } else if let Some(place) = self.pod_uid.as_deref().and_then(|uid| objects.pod_of_uid(uid)) {
            self.pod = Some(Holder::There(place));
        }
    }

    fn is_of(&self, pod: &Pod) -> bool {
        let has_uid = self.pod_uid.as_deref().is_some_and(|uid| *uid == *pod.uid);
        let id = self.container_id.as_deref();
        has_uid || id.is_some_and(|id| pod.containers.iter().any(|container| *container.id == *id))
    }
}

/// Control groups and network namespaces.
#[derive(Debug, Default)]
pub(super) struct Members {
    cgroups: FxHashMap<u64, Member>,
    /// Learned from sockets whose control group tells the pod.
    namespaces: FxHashMap<u32, Holder>,
    forgotten_at: Time,
}

impl Members {
    /// A control group has this path.
    pub(super) fn add(&mut self, cgroup: &Cgroup, objects: &Objects) {
        if self.cgroups.len() >= MAX_KEPT {
            self.cgroups.clear();
        }
        let mut member = Member::of(&cgroup.path);
        member.find(objects);
        self.cgroups.insert(cgroup.id, member);
    }

    /// All objects are others: nothing that was learned of them holds.
    pub(super) fn replaced(&mut self, objects: &Objects) {
        self.namespaces.clear();
        for member in self.cgroups.values_mut() {
            *member = Member::unknown(member.container_id.take(), member.pod_uid.take());
            member.find(objects);
        }
    }

    /// A pod is there, or has other containers than before.
    pub(super) fn changed(&mut self, place: Place, objects: &Objects) {
        let Some(pod) = objects.pod(place) else { return };
        for member in self.cgroups.values_mut().filter(|member| member.is_of(pod)) {
            member.find(objects);
        }
    }

    /// A pod is gone; its sockets stay its own.
    pub(super) fn gone(&mut self, place: Place, pod: &Arc<Pod>, now: Time) {
        self.forget(now);
        let of_cgroups = self.cgroups.values_mut().filter_map(|member| member.pod.as_mut());
        for holder in of_cgroups.chain(self.namespaces.values_mut()) {
            holder.leave(place, pod, now);
        }
    }

    fn forget(&mut self, now: Time) {
        if now.since_ns(self.forgotten_at) < FORGET_PAUSE_NS {
            return;
        }
        self.forgotten_at = now;
        let is_kept = |holder: &Holder| !holder.is_long_gone(now);
        self.cgroups.retain(|_, member| member.pod.as_ref().is_none_or(is_kept));
        self.namespaces.retain(|_, holder| is_kept(holder));
    }

    /// A socket of this control group is in this namespace. Numbers of namespaces are used again, so the newest is believed.
    pub(super) fn observe(&mut self, cgroup: u64, netns: u32, objects: &Objects) {
        let Some(holder) = self.cgroups.get(&cgroup).and_then(|member| member.pod.as_ref()) else { return };
        if holder.pod(objects).is_none_or(|pod| pod.host_network) {
            return;
        }
        if let (Holder::There(new), Some(Holder::There(known))) = (holder, self.namespaces.get(&netns))
            && new == known
        {
            return;
        }
        if self.namespaces.len() >= MAX_KEPT {
            self.namespaces.clear();
        }
        self.namespaces.insert(netns, holder.clone());
    }

    /// The pod of a control group.
    pub(super) fn pod_of_cgroup<'a>(&'a self, cgroup: u64, objects: &'a Objects) -> Option<&'a Pod> {
        self.cgroups.get(&cgroup)?.pod.as_ref()?.pod(objects)
    }

    /// The pod of a network namespace.
    pub(super) fn pod_of_namespace<'a>(&'a self, netns: u32, objects: &'a Objects) -> Option<&'a Pod> {
        self.namespaces.get(&netns)?.pod(objects)
    }

    /// The container of a control group: its name, or the short form of its runtime id outside a known cluster.
    pub(super) fn container(&self, cgroup: u64) -> Option<&str> {
        self.cgroups.get(&cgroup)?.container.as_deref()
    }

    /// The control group is that of a mesh proxy's container.
    pub(super) fn is_proxy(&self, cgroup: u64) -> bool {
        self.cgroups.get(&cgroup).is_some_and(|member| member.is_proxy)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Members;
    use crate::{
        event::{Cgroup, cluster::Pod, time::Time},
        identity::{former::REMEMBERED_NS, objects::Objects},
    };

    #[test]
    fn control_groups_of_pods_that_are_gone_are_forgotten_after_a_while() {
        let (mut objects, mut members) = (Objects::default(), Members::default());
        let churn = 300_u64;
        for number in 0..churn {
            let now = Time(number * REMEMBERED_NS / 10);
            let name = number.to_string();
            let uid = format!("11111111-2222-3333-4444-{number:012}");
            let pod = Pod {
                namespace: "n".into(),
                name: name.as_str().into(),
                uid: uid.as_str().into(),
                ..Pod::default()
            };
            let place = objects.set_pod(&pod, now);
            let path = format!("/kubepods.slice/kubepods-pod{}.slice", uid.replace('-', "_"));
            members.add(&Cgroup { time: now, id: number, path: path.into() }, &objects);
            members.observe(number, u32::try_from(number).unwrap(), &objects);
            assert!(members.pod_of_cgroup(number, &objects).is_some(), "{number}");
            objects.remove_pod("n", &name, now);
            members.gone(place, &Arc::new(pod), now);
            let named = members.pod_of_cgroup(number.saturating_sub(5), &objects);
            assert!(named.is_some(), "its last connections are still told of: {number}");
        }
        assert!(members.cgroups.len() <= 12 && members.namespaces.len() <= 12, "{}", members.cgroups.len());
    }
}
