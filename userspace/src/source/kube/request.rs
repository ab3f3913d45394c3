//! What a request asks the API for, as RBAC and metrics call it, from its method and address. Knows no answer.

use http::{Method, Uri};

use crate::source::kube::kind::{
    Entries, Kind as _, Maps, Pods, Policies, Rules, Services, Slices, Workloads,
};

/// Kinds that are told apart; whatever else is asked for has one name.
const RESOURCES: [&str; 9] = [
    Pods::PLURAL,
    Services::PLURAL,
    Slices::PLURAL,
    Rules::PLURAL,
    Policies::PLURAL,
    Entries::PLURAL,
    Workloads::PLURAL,
    Maps::PLURAL,
    "events",
];

/// What the server tells of itself: its groups and their kinds.
const DISCOVERY: &str = "apis";

const OTHER: &str = "other";

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Request {
    pub(super) verb: &'static str,
    pub(super) resource: &'static str,
}

impl Request {
    /// What is asked for (`pkg/endpoints/request/requestinfo.go` of apiserver has the same rules).
    pub(super) fn of(method: &Method, uri: &Uri) -> Self {
        let (resource, is_named) = resource(uri.path());
        let query = uri.query().unwrap_or_default();
        let is_watch = query.split('&').any(|part| matches!(part, "watch=true" | "watch=1"));
        let verb = match (method.as_str(), is_named) {
            ("GET", _) if is_watch => "watch",
            ("GET", true) => "get",
            ("GET", false) => "list",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", _) => "delete",
            _ => OTHER,
        };
        Self { verb, resource }
    }

    /// The kind that it watches.
    pub(super) fn watched(self) -> Option<&'static str> {
        (self.verb == "watch").then_some(self.resource)
    }
}

/// The kind that a path is of, and whether it names one object.
fn resource(path: &str) -> (&'static str, bool) {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match parts.next() {
        Some("api") => {}
        Some("apis") => drop(parts.next()),
        _ => return (OTHER, true),
    }
    let _version = parts.next();
    let rest: Vec<&str> = parts.collect();
    let (kind, is_named) = match rest.as_slice() {
        [] => return (DISCOVERY, true),
        ["namespaces", _, kind, rest @ ..] | [kind, rest @ ..] => (*kind, !rest.is_empty()),
    };
    let known = RESOURCES.into_iter().find(|resource| *resource == kind);
    (known.unwrap_or(OTHER), is_named)
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::Request;

    #[test]
    fn requests_are_named_as_rbac_names_them() {
        for (method, address, verb, resource) in [
            ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Da", "list", "pods"),
            ("GET", "/api/v1/pods?&watch=true&resourceVersion=7", "watch", "pods"),
            ("GET", "/api/v1/namespaces/n/pods/a", "get", "pods"),
            ("GET", "/api/v1/namespaces/n/pods?labelSelector=app%3Da", "list", "pods"),
            ("GET", "https://a:6443/apis/discovery.k8s.io/v1/endpointslices", "list", "endpointslices"),
            ("GET", "/apis/networking.istio.io/v1/destinationrules?watch=true", "watch", "destinationrules"),
            ("GET", "/apis", "get", "apis"),
            ("GET", "/apis/networking.istio.io/v1", "get", "apis"),
            ("GET", "/api/v1/namespaces/a/configmaps/istio", "get", "configmaps"),
            ("POST", "/apis/events.k8s.io/v1/namespaces/n/events", "create", "events"),
            ("PATCH", "/apis/events.k8s.io/v1/namespaces/n/events/a", "patch", "events"),
            ("GET", "/apis/example.com/v1/widgets", "list", "other"),
            ("GET", "/version", "get", "other"),
            ("OPTIONS", "/api/v1/pods", "other", "pods"),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request = Request::of(&method, &address.parse::<Uri>().unwrap());
            assert_eq!(request, Request { verb, resource }, "{address}");
        }
    }
}
