//! A made-up cluster of 150 000 pods of which only numbers are kept: objects are made when they are asked for. It must not
//! know who asks, nor how.

pub mod pod;
pub mod recipe;
pub mod rule;
pub mod service;
pub mod turnover;

use std::ops::Range;

use pod::Pod;
use service::Service;

/// Nodes.
pub const NODES: usize = 5_000;
/// Pods of each node.
pub const PODS_OF_NODE: usize = 30;
/// All pods.
pub const PODS: usize = NODES * PODS_OF_NODE;
/// Headless Services, each of a `StatefulSet`.
pub const HEADLESS: usize = 1_000;
/// Pods of each `StatefulSet`.
pub const PODS_OF_HEADLESS: usize = 20;
/// Endpoints of headless Services.
pub const HEADLESS_ENDPOINTS: usize = HEADLESS * PODS_OF_HEADLESS;
/// Pods of each Deployment, and of its Service.
const PODS_OF_DEPLOYMENT: usize = 10;
/// All Services.
pub const SERVICES: usize = HEADLESS + (PODS - HEADLESS_ENDPOINTS) / PODS_OF_DEPLOYMENT;
/// Namespaces, of which each has as many Services as any other.
const NAMESPACES: usize = 200;
/// Port of every server.
pub const PORT: u16 = 6379;

/// The cluster at one time.
#[derive(Debug)]
pub struct World {
    /// How often each pod was replaced.
    generations: Vec<u32>,
}

impl Default for World {
    fn default() -> Self {
        Self { generations: vec![0; PODS] }
    }
}

impl World {
    /// A pod that was never replaced.
    pub fn new_pod(nth: usize) -> Pod {
        Pod { nth, generation: 0 }
    }

    /// A pod as it is now.
    pub fn pod(&self, nth: usize) -> Pod {
        Pod { nth, generation: self.generations.get(nth).copied().unwrap_or(0) }
    }

    /// The pods of a node.
    pub fn pods_of_node(&self, node: usize) -> impl Iterator<Item = Pod> {
        (node..PODS).step_by(NODES).map(|nth| self.pod(nth))
    }

    /// The pods of a Service.
    pub fn pods_of(&self, service: Service) -> impl Iterator<Item = Pod> {
        service.pods().map(|nth| self.pod(nth))
    }
}

/// The numbers of the pods of a Service.
fn pods_of_service(service: usize) -> Range<usize> {
    match service.checked_sub(HEADLESS) {
        None => service * PODS_OF_HEADLESS..(service + 1) * PODS_OF_HEADLESS,
        Some(deployment) => {
            let first = HEADLESS_ENDPOINTS + deployment * PODS_OF_DEPLOYMENT;
            first..first + PODS_OF_DEPLOYMENT
        }
    }
}

/// The number of the Service of a pod.
fn service_of_pod(nth: usize) -> usize {
    match nth.checked_sub(HEADLESS_ENDPOINTS) {
        None => nth / PODS_OF_HEADLESS,
        Some(deployed) => HEADLESS + deployed / PODS_OF_DEPLOYMENT,
    }
}

/// Name of a node.
pub fn node_name(node: usize) -> String {
    format!("node-{node:04}")
}

/// Different identifiers for different pairs, in the form of a version 4 UUID (RFC 9562, section 5.4).
fn uid(kind: u8, nth: usize, generation: u32) -> String {
    format!("{kind:02x}{:06x}-{:04x}-4{:03x}-a000-{nth:012x}", generation >> 12, kind, generation & 0xfff)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::pod::Stage;
    use super::turnover::{Change, Turnover};
    use super::*;

    #[test]
    fn no_two_pods_have_anything_in_common() {
        let mut world = World::default();
        let mut seen = HashSet::new();
        let pods: Vec<Pod> = (0..PODS).map(|nth| world.pod(nth)).collect();
        assert!(pods.iter().all(|pod| seen.insert(pod.address().to_string()) && seen.insert(pod.uid())));
        let names = pods.iter().map(|pod| format!("{}/{}", pod.service().namespace(), pod.name()));
        assert!(names.into_iter().all(|name| seen.insert(name)));
        for nth in [0, HEADLESS_ENDPOINTS, PODS - 1] {
            world.replace(nth);
            let pod = world.pod(nth);
            assert!(seen.insert(pod.address().to_string()) && seen.insert(pod.uid()), "{pod:?}");
            assert_eq!(Pod::numbered(pod.number()), pod);
        }
    }

    #[test]
    fn every_node_has_as_many_pods_and_each_is_complete() {
        let world = World::default();
        for node in [0, 1, NODES - 1] {
            let pods: Vec<Pod> = world.pods_of_node(node).collect();
            assert_eq!(pods.len(), PODS_OF_NODE);
            for pod in pods {
                let object = pod.object();
                assert_eq!(object["spec"]["nodeName"], node_name(node));
                assert_eq!(object["status"]["podIP"], pod.address().to_string());
                assert!(!object.to_string().contains("{name}"), "{object:#}");
                for key in ["app", "security.istio.io/tlsMode", "pod-template-hash", "missing"] {
                    assert_eq!(
                        pod.label(key).as_deref(),
                        object["metadata"]["labels"][key].as_str(),
                        "{key}"
                    );
                }
                assert!(object["status"]["containerStatuses"][0]["containerID"].as_str().unwrap().len() > 64);
                assert_eq!(pod.object_at(Stage::Pending)["spec"]["nodeName"], serde_json::Value::Null);
            }
        }
        assert_eq!((0..SERVICES).map(|service| pods_of_service(service).len()).sum::<usize>(), PODS);
        assert!((0..PODS).all(|nth| pods_of_service(service_of_pod(nth)).contains(&nth)));
    }

    #[test]
    fn a_service_has_as_many_endpoints_when_a_pod_was_replaced() {
        for nth in [7, HEADLESS_ENDPOINTS + 7] {
            let mut world = World::default();
            let (before, changes) = (world.pod(nth), world.replace(nth));
            let last = changes.iter().rev().find_map(|change| match change {
                Change::Slice(service, endpoints) => Some((*service, endpoints)),
                Change::Pod(..) | Change::PodGone(_) => None,
            });
            let (service, endpoints) = last.unwrap();
            assert_eq!(endpoints.len(), service.pods().len());
            assert!(endpoints.iter().all(|(pod, _)| *pod != before));
            assert!(changes.iter().any(|change| matches!(change, Change::PodGone(pod) if *pod == before)));
        }
    }

    #[test]
    fn pods_are_replaced_at_their_rate() {
        let mut turnover = Turnover::default();
        // 130 000 in 8 hours and 20 000 in 48.
        assert_eq!(turnover.due(Duration::from_hours(1)).len(), 16_250 + 416);
        assert!(turnover.due(Duration::from_hours(1)).is_empty());
    }
}
