//! What a path and a method ask for; it must not know whether it is there.

use axum::http::Method;

use super::resource::{EVENTS, GROUPS, Group, RESOURCES, Resource, group, numbered};
use super::status::Refusal;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/version`.
    Version,
    /// `/healthz`, `/livez`, `/readyz`.
    Health,
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Versions(&'static str),
    /// `/api/v1`, `/apis/GROUP/VERSION`.
    Resources { group: &'static str, version: &'static str },
    /// Objects.
    Objects(Objects),
}

/// Objects of one kind, by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Objects {
    /// Number in `RESOURCES`.
    pub(crate) resource: usize,
    pub(crate) version: &'static str,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
}

impl Objects {
    pub(crate) fn resource(&self) -> &'static Resource {
        &RESOURCES[self.resource]
    }

    /// Number of the resource that these are stored as: Events of both groups are the same objects.
    pub(crate) fn stored(&self) -> usize {
        if self.resource().plural == "events" { EVENTS } else { self.resource }
    }

    /// apiserver `pkg/endpoints/request/requestinfo.go`.
    pub(crate) fn verb(&self, method: &Method, is_watch: bool) -> Result<&'static str, Refusal> {
        match (method, self.name.is_some()) {
            (&Method::GET, _) if is_watch => Ok("watch"),
            (&Method::GET, true) => Ok("get"),
            (&Method::GET, false) => Ok("list"),
            (&Method::POST, false) => Ok("create"),
            (&Method::PUT, true) => Ok("update"),
            (&Method::PATCH, true) => Ok("patch"),
            (&Method::DELETE, true) => Ok("delete"),
            (&Method::DELETE, false) => Ok("deletecollection"),
            _ => Err(Refusal::method_not_allowed()),
        }
    }
}

/// Reads a path. `is_absent` tells of groups that this cluster does not have.
pub(crate) fn route(path: &str, is_absent: impl Fn(&str) -> bool) -> Result<Target, Refusal> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        ["version" | "version/"] => Ok(Target::Version),
        ["healthz" | "livez" | "readyz"] => Ok(Target::Health),
        ["api"] => Ok(Target::CoreVersions),
        ["apis"] => Ok(Target::Groups),
        ["api", version] => resources("", version),
        ["apis", name] => Ok(Target::Versions(present(name, &is_absent)?.name)),
        ["apis", name, version] => resources(present(name, &is_absent)?.name, version),
        ["api", version, rest @ ..] => objects("", version, rest),
        ["apis", name, version, rest @ ..] => objects(present(name, &is_absent)?.name, version, rest),
        _ => Err(Refusal::no_such_path()),
    }
}

fn present(name: &str, is_absent: impl Fn(&str) -> bool) -> Result<&'static Group, Refusal> {
    let group = group(name).filter(|group| !group.name.is_empty()).ok_or_else(Refusal::no_such_path)?;
    if is_absent(name) { Err(Refusal::absent_group()) } else { Ok(group) }
}

fn resources(name: &'static str, version: &str) -> Result<Target, Refusal> {
    Ok(Target::Resources { group: name, version: known_version(name, version)? })
}

fn known_version(name: &str, version: &str) -> Result<&'static str, Refusal> {
    let group = GROUPS.iter().find(|group| group.name == name);
    let known = group.and_then(|group| group.versions.iter().find(|known| **known == version));
    known.copied().ok_or_else(Refusal::no_such_path)
}

fn objects(name: &'static str, version: &str, rest: &[&str]) -> Result<Target, Refusal> {
    let version = known_version(name, version)?;
    let (namespace, plural, object) = match rest {
        // A namespace is an object itself.
        ["namespaces", namespace] => (None, "namespaces", Some(*namespace)),
        ["namespaces", namespace, plural] => (Some(*namespace), *plural, None),
        ["namespaces", namespace, plural, object] => (Some(*namespace), *plural, Some(*object)),
        [plural] => (None, *plural, None),
        [plural, object] => (None, *plural, Some(*object)),
        _ => return Err(Refusal::no_such_resource()),
    };
    let resource = numbered(name, plural).ok_or_else(Refusal::no_such_resource)?;
    let is_namespaced = RESOURCES[resource].namespaced;
    let is_malformed = (!is_namespaced && namespace.is_some())
        || (is_namespaced && namespace.is_none() && object.is_some())
        || [namespace, object].into_iter().flatten().any(str::is_empty);
    if is_malformed {
        return Err(Refusal::no_such_resource());
    }
    let (namespace, object) = (namespace.map(str::to_owned), object.map(str::to_owned));
    Ok(Target::Objects(Objects { resource, version, namespace, name: object }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Result<Target, Refusal> {
        route(path, |group| group == "security.istio.io")
    }

    #[test]
    fn paths_of_objects_are_read() {
        for (path, plural, version, namespace, name) in [
            ("/api/v1/pods", "pods", "v1", None, None),
            ("/api/v1/namespaces/default/pods", "pods", "v1", Some("default"), None),
            ("/api/v1/namespaces/default/pods/redis-0", "pods", "v1", Some("default"), Some("redis-0")),
            ("/api/v1/namespaces/default", "namespaces", "v1", None, Some("default")),
            ("/api/v1/nodes/node-1", "nodes", "v1", None, Some("node-1")),
            ("/apis/networking.istio.io/v1beta1/destinationrules", "destinationrules", "v1beta1", None, None),
        ] {
            let Ok(Target::Objects(objects)) = read(path) else { panic!("{path}") };
            assert_eq!(objects.resource().plural, plural, "{path}");
            assert_eq!((objects.version, objects.namespace.as_deref()), (version, namespace), "{path}");
            assert_eq!(objects.name.as_deref(), name, "{path}");
        }
    }

    #[test]
    fn paths_that_no_server_has_are_mistakes_and_absent_groups_are_not() {
        for (path, code, is_mistake) in [
            ("/apis/security.istio.io/v1/peerauthentications", 404, false),
            ("/apis/security.istio.io", 404, false),
            ("/apis/example.com/v1/things", 404, true),
            ("/api/v2/pods", 404, true),
            ("/api/v1/things", 404, true),
            ("/api/v1/pods/redis-0", 404, true),
            ("/api/v1/namespaces/default/nodes", 404, true),
            ("/api/v1/namespaces//pods", 404, true),
            ("/metrics", 404, true),
        ] {
            let refusal = read(path).unwrap_err();
            assert_eq!((refusal.code, refusal.is_mistake), (code, is_mistake), "{path}");
        }
    }
}
