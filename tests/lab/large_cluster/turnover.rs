//! What changes in the made-up cluster while nothing is wrong: pods are replaced, and slices follow. It must not know who is
//! told of it.

use std::time::Duration;

use super::pod::{Pod, Stage};
use super::service::{Condition, Service};
use super::{HEADLESS_ENDPOINTS, PODS, World};
use crate::scatter::scatter;

/// How long a pod of a Deployment lives: there are a few rollouts a day.
pub const DEPLOYED_LIFE: Duration = Duration::from_hours(8);
/// How long a pod of a `StatefulSet` lives.
pub const STATEFUL_LIFE: Duration = Duration::from_hours(48);

/// Something that changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// A pod came, or is another than it was.
    Pod(Pod, Stage),
    /// A pod is gone.
    PodGone(Pod),
    /// A slice is another than it was.
    Slice(Service, Endpoints),
}

/// What a slice tells.
pub type Endpoints = Vec<(Pod, Condition)>;

/// Which pods are replaced when.
#[derive(Debug, Default)]
pub struct Turnover {
    deployed: u64,
    stateful: u64,
}

impl Turnover {
    /// The pods that are due by now and were not before; `now` is counted from the beginning.
    pub fn due(&mut self, now: Duration) -> Vec<usize> {
        let deployed = count(now, PODS - HEADLESS_ENDPOINTS, DEPLOYED_LIFE);
        let stateful = count(now, HEADLESS_ENDPOINTS, STATEFUL_LIFE);
        let place = |nth: u64, of: usize| usize::try_from(scatter(nth) % of as u64).unwrap_or(0);
        let of_deployments =
            (self.deployed..deployed).map(|nth| HEADLESS_ENDPOINTS + place(nth, PODS - HEADLESS_ENDPOINTS));
        let of_sets = (self.stateful..stateful).map(|nth| place(nth, HEADLESS_ENDPOINTS));
        let due = of_deployments.chain(of_sets).collect();
        (self.deployed, self.stateful) = (deployed.max(self.deployed), stateful.max(self.stateful));
        due
    }
}

/// How many of these pods were replaced after so long.
fn count(now: Duration, pods: usize, life: Duration) -> u64 {
    let replaced = now.as_micros() * pods as u128 / life.as_micros();
    u64::try_from(replaced).unwrap_or(u64::MAX)
}

impl World {
    /// Replaces a pod, in the order in which a real cluster tells it: a Deployment's next pod is there before the one
    /// before it goes, a `StatefulSet`'s has the same name and comes after.
    pub fn replace(&mut self, nth: usize) -> Vec<Change> {
        let old = self.pod(nth);
        if let Some(generation) = self.generations.get_mut(nth) {
            *generation += 1;
        }
        let (new, service) = (self.pod(nth), old.service());
        let slice = |old_is, new_is| {
            let changing = [(old, old_is), (new, new_is)];
            Change::Slice(service, self.endpoints_with(service, nth, changing))
        };
        // The kubelet says twice of a pod how far it is on its way.
        let comes = |old_is| {
            [
                Change::Pod(new, Stage::Pending),
                Change::Pod(new, Stage::Scheduled),
                Change::Pod(new, Stage::Scheduled),
                slice(old_is, Some(Condition::NotReady)),
                Change::Pod(new, Stage::Ready),
                slice(old_is, Some(Condition::Ready)),
            ]
        };
        let goes = |new_is| {
            [
                Change::Pod(old, Stage::Terminating),
                slice(Some(Condition::Terminating), new_is),
                Change::Pod(old, Stage::Terminating),
                Change::PodGone(old),
                slice(None, new_is),
            ]
        };
        if service.is_headless() {
            goes(None).into_iter().chain(comes(None)).collect()
        } else {
            comes(Some(Condition::Ready)).into_iter().chain(goes(Some(Condition::Ready))).collect()
        }
    }

    /// What the slice of a Service told when none of its pods was replaced.
    pub fn new_endpoints(service: Service) -> Endpoints {
        service.pods().map(|nth| (Self::new_pod(nth), Condition::Ready)).collect()
    }

    /// What it tells while pod number `nth` is replaced.
    fn endpoints_with(
        &self,
        service: Service,
        nth: usize,
        changing: [(Pod, Option<Condition>); 2],
    ) -> Endpoints {
        let others = self.pods_of(service).filter(|pod| pod.nth != nth);
        others
            .map(|pod| (pod, Condition::Ready))
            .chain(changing.into_iter().filter_map(|(pod, is)| Some((pod, is?))))
            .collect()
    }
}
