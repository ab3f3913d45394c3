//! The kinds of objects that are asked for, and how each is reduced to a fact as it arrives: nothing else of an object is
//! ever held. Knows nothing of requests.

use std::{borrow::Cow, fmt, marker::PhantomData};

use kube::{
    Resource,
    api::{ApiResource, GroupVersionKind, ObjectMeta},
    core::DynamicResourceScope,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::value::RawValue;

use crate::{
    event::{
        cluster::{Pod, Service, Slice},
        istio::{ControlPlane, DestinationRule, Labels, PeerAuthentication, ServiceEntry, WorkloadEntry},
    },
    source::object::{
        self, endpoint,
        istio::{destination_rule, mesh_config, peer_authentication, service_entry},
        metadata::Metadata,
        pod, service,
        tally::Tally,
    },
};

/// Namespace and name.
pub(super) type Key = (Box<str>, Box<str>);

/// What an object tells.
#[derive(Clone, Debug)]
pub(super) enum Fact {
    Pod(Box<Pod>, Option<ControlPlane>),
    /// With the labels of its pods.
    Service(Box<Service>, Labels),
    Slice(Box<Slice>),
    Rule(Box<DestinationRule>),
    Policy(Box<PeerAuthentication>),
    Entry(Box<ServiceEntry>),
    Workload(Box<WorkloadEntry>),
    /// None for a `ConfigMap` that is not the mesh's.
    Mesh(Option<mesh_config::MeshConfig>),
}

/// A kind of objects.
pub(super) trait Kind: Clone + fmt::Debug + Send + Sync + 'static {
    /// API group; empty for the core.
    const GROUP: &'static str;
    const KIND: &'static str;
    /// Its name in paths.
    const PLURAL: &'static str;

    /// What the text of an object tells; why nothing, where it does not.
    fn read(text: &str) -> Result<Fact, Box<str>>;

    /// The kind in this version of its group.
    fn resource(version: &str) -> ApiResource {
        let kind = GroupVersionKind::gvk(Self::GROUP, version, Self::KIND);
        ApiResource::from_gvk_with_plural(&kind, Self::PLURAL)
    }
}

/// An object that arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrived<K> {
    /// Namespace, name and version; nothing else is filled in.
    metadata: ObjectMeta,
    pub(super) fact: Result<Fact, Box<str>>,
    kind: PhantomData<K>,
}

impl<K> Arrived<K> {
    pub(super) fn key(&self) -> Key {
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        (text(&self.metadata.namespace), text(&self.metadata.name))
    }

    pub(super) fn version(&self) -> &str {
        self.metadata.resource_version.as_deref().unwrap_or_default()
    }
}

impl<'de, K: Kind> Deserialize<'de> for Arrived<K> {
    /// An object that cannot be read is one without a fact, so that it costs only itself and not its whole list.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Head {
            metadata: Metadata,
        }
        let text = <&RawValue>::deserialize(deserializer)?.get();
        let Head { metadata: Metadata { namespace, name, resource_version, .. } } =
            serde_json::from_str(text).map_err(D::Error::custom)?;
        let metadata = ObjectMeta {
            namespace: Some(namespace.into()),
            name: Some(name.into()),
            resource_version: Some(resource_version.into()),
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, fact: K::read(text), kind: PhantomData })
    }
}

impl<K: Kind> Resource for Arrived<K> {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Pods.
#[derive(Clone, Debug)]
pub(super) struct Pods;

impl Kind for Pods {
    const GROUP: &'static str = "";
    const KIND: &'static str = "Pod";
    const PLURAL: &'static str = "pods";

    fn read(text: &str) -> Result<Fact, Box<str>> {
        let (pod, control_plane) = pod::convert(object::read(text)?, &mut Tally::default())?;
        Ok(Fact::Pod(Box::new(pod), control_plane))
    }
}

/// Services.
#[derive(Clone, Debug)]
pub(super) struct Services;

impl Kind for Services {
    const GROUP: &'static str = "";
    const KIND: &'static str = "Service";
    const PLURAL: &'static str = "services";

    fn read(text: &str) -> Result<Fact, Box<str>> {
        let wire: service::WireService = object::read(text)?;
        let selector = wire.selector().clone();
        Ok(Fact::Service(Box::new(service::convert(wire, &mut Tally::default())?), selector))
    }
}

/// `EndpointSlice`s.
#[derive(Clone, Debug)]
pub(super) struct Slices;

impl Kind for Slices {
    const GROUP: &'static str = "discovery.k8s.io";
    const KIND: &'static str = "EndpointSlice";
    const PLURAL: &'static str = "endpointslices";

    fn read(text: &str) -> Result<Fact, Box<str>> {
        let slice = endpoint::convert_slice(object::read(text)?, &mut Tally::default())?;
        Ok(Fact::Slice(Box::new(slice)))
    }
}

/// `DestinationRule`s.
#[derive(Clone, Debug)]
pub(super) struct Rules;

impl Kind for Rules {
    const GROUP: &'static str = "networking.istio.io";
    const KIND: &'static str = "DestinationRule";
    const PLURAL: &'static str = "destinationrules";

    fn read(text: &str) -> Result<Fact, Box<str>> {
        Ok(Fact::Rule(Box::new(destination_rule::convert(object::read(text)?)?)))
    }
}

/// `PeerAuthentication`s.
#[derive(Clone, Debug)]
pub(super) struct Policies;

impl Kind for Policies {
    const GROUP: &'static str = "security.istio.io";
    const KIND: &'static str = "PeerAuthentication";
    const PLURAL: &'static str = "peerauthentications";

    fn read(text: &str) -> Result<Fact, Box<str>> {
        Ok(Fact::Policy(Box::new(peer_authentication::convert(object::read(text)?)?)))
    }
}

/// `ServiceEntry`s.
#[derive(Clone, Debug)]
pub(super) struct Entries;

impl Kind for Entries {
    const GROUP: &'static str = "networking.istio.io";
    const KIND: &'static str = "ServiceEntry";
    const PLURAL: &'static str = "serviceentries";

    fn read(text: &str) -> Result<Fact, Box<str>> {
        Ok(Fact::Entry(Box::new(service_entry::convert(object::read(text)?)?)))
    }
}

/// `WorkloadEntry`s.
#[derive(Clone, Debug)]
pub(super) struct Workloads;

impl Kind for Workloads {
    const GROUP: &'static str = "networking.istio.io";
    const KIND: &'static str = "WorkloadEntry";
    const PLURAL: &'static str = "workloadentries";

    fn read(text: &str) -> Result<Fact, Box<str>> {
        Ok(Fact::Workload(Box::new(service_entry::convert_workload(object::read(text)?)?)))
    }
}

/// `ConfigMap`s, of which only a mesh's configuration is read.
#[derive(Clone, Debug)]
pub(super) struct Maps;

impl Kind for Maps {
    const GROUP: &'static str = "";
    const KIND: &'static str = "ConfigMap";
    const PLURAL: &'static str = "configmaps";

    fn read(text: &str) -> Result<Fact, Box<str>> {
        Ok(Fact::Mesh(mesh_config::convert(&object::read(text)?)))
    }
}

#[cfg(test)]
mod tests {
    use kube::{
        api::{ObjectList, WatchEvent},
        core::Resource as _,
    };
    use serde_json::{Value, json};

    use super::{Arrived, Fact, Kind as _, Pods, Rules, Services};

    fn pod(name: &str, ports: &Value) -> Value {
        json!({
            "metadata": {"namespace": "n", "name": name, "resourceVersion": "7", "labels": {"app": "a"},
                "annotations": {"istio.io/rev": "r", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
                "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}]},
            "spec": {"containers": [{"name": "c", "image": "i", "ports": ports, "env": [{"name": "KEY", "value": "word"}]}],
                "volumes": [{"name": "v"}]},
            "status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready"}]}
        })
    }

    #[test]
    fn only_what_is_used_of_an_object_is_held() {
        // What a real list has: no kind in its items.
        let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"},
            "items": [pod("a", &json!(null)), pod("b", &json!([{"containerPort": "any"}]))]});
        let list: ObjectList<Arrived<Pods>> = serde_json::from_str(&list.to_string()).unwrap();
        let [first, second] = list.items.as_slice() else { panic!("two pods") };
        assert_eq!((first.key(), first.version()), (("n".into(), "a".into()), "7"));
        assert_eq!(second.key().1, "b".into());
        let Ok(Fact::Pod(pod, None)) = &first.fact else { panic!("{:?}", first.fact) };
        assert_eq!(pod.annotations.len(), 1);
        let held = format!("{first:?}");
        for left in ["managedFields", "kubelet", "word", "Ready", "last-applied", "volumes"] {
            assert!(!held.contains(left), "{left}");
        }
        assert_eq!(first.meta().managed_fields, None);
    }

    #[test]
    fn an_object_that_cannot_be_read_costs_only_itself() {
        let service = |name: &str, port: u32| json!({"metadata": {"namespace": "n", "name": name}, "spec": {"ports": [{"port": port}]}});
        let list = json!({"metadata": {}, "items": [service("a", 70_000), service("b", 80)]});
        let list: ObjectList<Arrived<Services>> = serde_json::from_str(&list.to_string()).unwrap();
        let readable: Vec<bool> = list.items.iter().map(|item| item.fact.is_ok()).collect();
        assert_eq!(readable, [false, true]);
    }

    #[test]
    fn what_a_watch_tells_is_read() {
        let object = json!({"metadata": {"namespace": "n", "name": "r", "resourceVersion": "8"}, "spec": {"host": "h"}});
        // As Go prints it: the type comes first.
        let text = format!(r#"{{"type":"MODIFIED","object":{object}}}"#);
        let WatchEvent::Modified(arrived) =
            serde_json::from_str::<WatchEvent<Arrived<Rules>>>(&text).unwrap()
        else {
            panic!("{text}")
        };
        assert!(matches!(&arrived.fact, Ok(Fact::Rule(rule)) if &*rule.host == "h"), "{arrived:?}");
        let bookmark = r#"{"type":"BOOKMARK","object":{"kind":"DestinationRule","apiVersion":"a/v1","metadata":{"resourceVersion":"9","creationTimestamp":null},"spec":{}}}"#;
        assert!(matches!(
            serde_json::from_str::<WatchEvent<Arrived<Rules>>>(bookmark),
            Ok(WatchEvent::Bookmark(_))
        ));
        assert_eq!(Rules::resource("v1beta1").api_version, "networking.istio.io/v1beta1");
    }
}
