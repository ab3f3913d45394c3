//! Pods as the API server prints them: their names, addresses and objects follow from two numbers. It must not know which
//! pods there are.

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::service::Service;
use super::{HEADLESS, NODES, PODS, PODS_OF_NODE, node_name, pods_of_service, service_of_pod, uid};

/// One pod: its place, and how often it was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Which place it has.
    pub nth: usize,
    /// How many were there before it.
    pub generation: u32,
}

/// How far a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// All of it runs.
    Ready,
    /// It has no node yet.
    Pending,
    /// Its containers do not run yet.
    Scheduled,
    /// It was asked to end.
    Terminating,
}

impl Stage {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Ready, Self::Pending, Self::Scheduled, Self::Terminating];
}

/// More than there are in any place.
const PODS_TOLD_APART: u32 = 1 << 18;
const _: () = assert!(PODS < PODS_TOLD_APART as usize);
/// An address comes again after so many replacements: an IPAM plugin hands out a node's addresses in turn.
const ADDRESSES: u32 = 8;
/// First host number of a node's range that a pod may have.
const FIRST_HOST: usize = 2;
/// What `ReplicaSet`s and their pods are told apart by (`SafeEncodeString` of `k8s.io/apimachinery/pkg/util/rand`).
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// Length of that part of a pod's name.
const SUFFIX: usize = 5;
/// Of every Deployment's only `ReplicaSet`.
const HASH: &str = "6c5f9b7d8";
const TIME: &str = "2026-05-04T09:00:00Z";

/// A complete pod as an API server prints it, with a name in braces for what differs.
struct Template {
    text: String,
    labels: Value,
}

/// Those that there are.
struct Templates {
    stateful: Template,
    with_sidecar: Template,
    without_sidecar: Template,
}

static TEMPLATES: LazyLock<Templates> = LazyLock::new(|| Templates {
    stateful: Template::read(include_str!("stateful_pod.json")),
    with_sidecar: Template::read(include_str!("deployed_pod.json")),
    without_sidecar: Template::read(include_str!("plain_pod.json")),
});

impl Template {
    /// As it goes over the network. That each gives an object is tested.
    fn read(text: &str) -> Self {
        let object: Value = serde_json::from_str(text).unwrap_or_default();
        Self { text: object.to_string(), labels: object["metadata"]["labels"].clone() }
    }
}

impl Pod {
    /// A number for it and no other, nor for what was in its place before.
    pub fn number(self) -> u32 {
        u32::try_from(self.nth).unwrap_or(0) + self.generation * PODS_TOLD_APART
    }

    /// The pod with this number.
    pub fn numbered(number: u32) -> Self {
        Self { nth: (number % PODS_TOLD_APART) as usize, generation: number / PODS_TOLD_APART }
    }

    /// Its Service.
    pub fn service(self) -> Service {
        Service(service_of_pod(self.nth))
    }

    /// The number of its node.
    pub fn node(self) -> usize {
        self.nth % NODES
    }

    /// Its place among the pods of its Service.
    fn ordinal(self) -> usize {
        self.nth - pods_of_service(self.service().0).start
    }

    /// Its name.
    pub fn name(self) -> String {
        let service = self.service();
        if service.is_headless() {
            return format!("{}-{}", service.name(), self.ordinal());
        }
        let count = service.pods().len() as u64;
        let suffix = suffix(self.ordinal() as u64 + u64::from(self.generation) * count);
        format!("{}-{HASH}-{suffix}", service.name())
    }

    /// `metadata.uid`.
    pub fn uid(self) -> String {
        uid(1, self.nth, self.generation)
    }

    /// Each node has a range of its own.
    pub fn address(self) -> Ipv4Addr {
        let turn = (self.generation % ADDRESSES) as usize;
        let host = FIRST_HOST + self.nth / NODES + turn * PODS_OF_NODE;
        let [.., high, low] = self.node().to_be_bytes();
        Ipv4Addr::new(10, high, low, u8::try_from(host).unwrap_or(u8::MAX))
    }

    /// It has a sidecar: three of four Deployments' do.
    pub fn has_sidecar(self) -> bool {
        !self.service().is_headless() && !(self.service().0 - HEADLESS).is_multiple_of(4)
    }

    /// The runtime's id of a container, by its place among all of the pod's.
    pub fn container_id(self, place: u8) -> String {
        format!("{:032x}{:024x}{:08x}", self.nth * 8 + usize::from(place), self.nth, self.generation)
    }

    /// The place of the sidecar among the pod's containers, the one that sets it up included.
    pub const SIDECAR: u8 = 2;

    fn template(self) -> &'static Template {
        match (self.service().is_headless(), self.has_sidecar()) {
            (true, _) => &TEMPLATES.stateful,
            (false, true) => &TEMPLATES.with_sidecar,
            (false, false) => &TEMPLATES.without_sidecar,
        }
    }

    /// A label, found without making the object: selectors ask all pods for one that most do not have.
    pub fn label(self, key: &str) -> Option<String> {
        let value = self.template().labels.get(key)?.as_str()?;
        Some(self.filled(value))
    }

    /// The object, when all of it runs.
    pub fn object(self) -> Value {
        serde_json::from_str(&self.filled(&self.template().text)).unwrap_or_default()
    }

    /// A part of a template with what differs.
    fn filled(self, text: &str) -> String {
        let service = self.service();
        let owner = if service.is_headless() { service.name() } else { format!("{}-{HASH}", service.name()) };
        let [.., high, low] = self.node().to_be_bytes();
        let mut text = text.to_owned();
        for (name, value) in [
            ("{name}", self.name()),
            ("{namespace}", service.namespace()),
            ("{uid}", self.uid()),
            ("{app}", service.name()),
            ("{owner}", owner),
            ("{owner_uid}", uid(2, service.0, 0)),
            ("{hash}", HASH.to_owned()),
            ("{ordinal}", self.ordinal().to_string()),
            ("{node}", node_name(self.node())),
            ("{host}", Ipv4Addr::new(172, 16, high, low).to_string()),
            ("{address}", self.address().to_string()),
            ("{container_0}", self.container_id(0)),
            ("{container_1}", self.container_id(1)),
            ("{container_2}", self.container_id(2)),
        ] {
            text = text.replace(name, &value);
        }
        text
    }

    /// The object on its way there or from there.
    pub fn object_at(self, stage: Stage) -> Value {
        let mut object = self.object();
        let qos = object["status"]["qosClass"].take();
        match stage {
            Stage::Ready => object["status"]["qosClass"] = qos,
            Stage::Pending => {
                object["status"] = json!({ "phase": "Pending", "qosClass": qos });
                if let Some(spec) = object["spec"].as_object_mut() {
                    spec.remove("nodeName");
                }
            }
            Stage::Scheduled => {
                let status = &object["status"];
                object["status"] = json!({
                    "phase": "Pending",
                    "qosClass": qos,
                    "conditions": status["conditions"],
                    "hostIP": status["hostIP"],
                    "hostIPs": status["hostIPs"],
                    "startTime": status["startTime"],
                });
            }
            Stage::Terminating => {
                object["status"]["qosClass"] = qos;
                object["metadata"]["deletionTimestamp"] = TIME.into();
                object["metadata"]["deletionGracePeriodSeconds"] = 30.into();
            }
        }
        object
    }
}

/// The end of a pod's name.
fn suffix(mut number: u64) -> String {
    let letters = LETTERS.len() as u64;
    let mut text = [LETTERS[0]; SUFFIX];
    for letter in text.iter_mut().rev() {
        *letter = LETTERS[usize::try_from(number % letters).unwrap_or(0)];
        number /= letters;
    }
    text.map(char::from).iter().collect()
}
