//! The kinds of objects that the server has, with what real servers allow of each; it must not know which objects
//! there are.

use serde_json::{Value, json};

/// A kind of objects.
#[derive(Debug)]
pub(crate) struct Resource {
    /// API group; empty for the core.
    pub(crate) group: &'static str,
    /// Name in paths.
    pub(crate) plural: &'static str,
    /// `kind` of one.
    pub(crate) kind: &'static str,
    /// Names that people use for short.
    pub(crate) short: &'static [&'static str],
    pub(crate) namespaced: bool,
    /// Field selectors beside `metadata.name` and `metadata.namespace`.
    pub(crate) fields: &'static [&'static str],
    /// How an unknown field selector is refused.
    pub(crate) unknown_field: UnknownField,
}

/// Field labels are checked in one of two places, which word it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownField {
    /// The kind has a conversion of its own: `pkg/apis/*/v1/conversion.go`; also those of custom resources.
    NotSupported,
    /// apimachinery `pkg/runtime/conversion.go`: `DefaultMetaV1FieldSelectorConversion`.
    NotKnown,
}

/// An API group and its versions, the preferred one first.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) versions: &'static [&'static str],
    /// Custom resources: a cluster need not have them.
    pub(crate) custom: bool,
}

pub(crate) const GROUPS: [Group; 7] = [
    Group { name: "", versions: &["v1"], custom: false },
    Group { name: "apps", versions: &["v1"], custom: false },
    Group { name: "batch", versions: &["v1"], custom: false },
    Group { name: "discovery.k8s.io", versions: &["v1"], custom: false },
    Group { name: "events.k8s.io", versions: &["v1"], custom: false },
    Group { name: "networking.istio.io", versions: &["v1", "v1beta1", "v1alpha3"], custom: true },
    Group { name: "security.istio.io", versions: &["v1", "v1beta1"], custom: true },
];

/// `pkg/apis/core/v1/conversion.go`, `AddFieldLabelConversionsForPod`.
const POD_FIELDS: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
];

/// `AddFieldLabelConversionsForEvent` in the same file.
const CORE_EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

/// `pkg/apis/events/v1/conversion.go`.
const EVENT_FIELDS: &[&str] = &[
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
    "reason",
    "reportingController",
    "type",
];

use UnknownField::{NotKnown, NotSupported};

/// Number of the Events, as the group `events.k8s.io` has them.
pub(crate) const EVENTS: usize = 13;

pub(crate) const RESOURCES: [Resource; 18] = [
    Resource::new("", "pods", "Pod").short(&["po"]).fields(POD_FIELDS, NotSupported),
    // AddFieldLabelConversionsForService.
    Resource::new("", "services", "Service")
        .short(&["svc"])
        .fields(&["spec.clusterIP", "spec.type"], NotSupported),
    Resource::new("", "configmaps", "ConfigMap").short(&["cm"]),
    // AddFieldLabelConversionsForNamespace.
    Resource::new("", "namespaces", "Namespace")
        .short(&["ns"])
        .everywhere()
        .fields(&["status.phase"], NotSupported),
    // AddFieldLabelConversionsForNode.
    Resource::new("", "nodes", "Node")
        .short(&["no"])
        .everywhere()
        .fields(&["spec.unschedulable"], NotSupported),
    Resource::new("", "events", "Event").short(&["ev"]).fields(CORE_EVENT_FIELDS, NotSupported),
    // `pkg/apis/apps/v1/conversion.go`.
    Resource::new("apps", "replicasets", "ReplicaSet")
        .short(&["rs"])
        .fields(&["status.replicas"], NotSupported),
    Resource::new("apps", "deployments", "Deployment").short(&["deploy"]),
    Resource::new("apps", "statefulsets", "StatefulSet").short(&["sts"]),
    Resource::new("apps", "daemonsets", "DaemonSet").short(&["ds"]),
    // `pkg/apis/batch/v1/conversion.go`.
    Resource::new("batch", "jobs", "Job").fields(&["status.successful"], NotSupported),
    Resource::new("batch", "cronjobs", "CronJob").short(&["cj"]),
    Resource::new("discovery.k8s.io", "endpointslices", "EndpointSlice"),
    Resource::new("events.k8s.io", "events", "Event").short(&["ev"]).fields(EVENT_FIELDS, NotSupported),
    Resource::new("networking.istio.io", "destinationrules", "DestinationRule")
        .short(&["dr"])
        .fields(&[], NotSupported),
    Resource::new("networking.istio.io", "serviceentries", "ServiceEntry")
        .short(&["se"])
        .fields(&[], NotSupported),
    Resource::new("networking.istio.io", "workloadentries", "WorkloadEntry")
        .short(&["we"])
        .fields(&[], NotSupported),
    Resource::new("security.istio.io", "peerauthentications", "PeerAuthentication")
        .short(&["pa"])
        .fields(&[], NotSupported),
];

impl Resource {
    const fn new(group: &'static str, plural: &'static str, kind: &'static str) -> Self {
        Self { group, plural, kind, short: &[], namespaced: true, fields: &[], unknown_field: NotKnown }
    }

    const fn short(self, short: &'static [&'static str]) -> Self {
        Self { short, ..self }
    }

    const fn everywhere(self) -> Self {
        Self { namespaced: false, ..self }
    }

    const fn fields(self, fields: &'static [&'static str], unknown_field: UnknownField) -> Self {
        Self { fields, unknown_field, ..self }
    }

    /// As messages name it: `destinationrules.networking.istio.io`.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Objects of custom resources are printed as they are; those of built-in ones lack kind and version in lists.
    pub(crate) fn is_custom(&self) -> bool {
        group(self.group).is_some_and(|group| group.custom)
    }

    /// `apiVersion` of an object in a version of its group.
    pub(crate) fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }

    /// What discovery says of it.
    pub(crate) fn discovered(&self) -> Value {
        let mut resource = json!({
            "name": self.plural,
            "singularName": self.kind.to_lowercase(),
            "namespaced": self.namespaced,
            "kind": self.kind,
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            "storageVersionHash": "xPOwRZ+Yhw8="
        });
        if !self.short.is_empty() {
            resource["shortNames"] = json!(self.short);
        }
        resource
    }
}

/// The group of this name.
pub(crate) fn group(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.name == name)
}

/// The resource with this name in paths, by its number.
pub(crate) fn numbered(group: &str, plural: &str) -> Option<usize> {
    RESOURCES.iter().position(|resource| resource.group == group && resource.plural == plural)
}

/// The resource that an object is of, by its number.
pub(crate) fn of_object(object: &Value) -> Option<usize> {
    let api_version = object["apiVersion"].as_str()?;
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let kind = object["kind"].as_str()?;
    RESOURCES.iter().position(|resource| resource.group == group && resource.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_is_of_a_group_and_has_a_name_of_its_own() {
        for (number, resource) in RESOURCES.iter().enumerate() {
            assert!(group(resource.group).is_some(), "{resource:?}");
            assert_eq!(numbered(resource.group, resource.plural), Some(number));
        }
        assert_eq!(numbered("events.k8s.io", "events"), Some(EVENTS));
    }
}
