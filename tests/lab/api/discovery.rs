//! What the server says of itself: version, groups, resources; it must not know the objects.

use serde_json::{Value, json};

use super::resource::{GROUPS, Group, RESOURCES, group};

/// `/version`. The minor version is the one whose API the objects here are of.
pub(crate) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "gitVersion": "v1.36.0",
        "gitCommit": "0000000000000000000000000000000000000000",
        "gitTreeState": "clean",
        "buildDate": "2026-04-22T00:00:00Z",
        "goVersion": "go1.26.0",
        "compiler": "gc",
        "platform": "linux/amd64"
    })
}

/// `/api`.
pub(crate) fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": address }]
    })
}

/// `/apis`.
pub(crate) fn groups(is_absent: impl Fn(&str) -> bool) -> Value {
    let present = GROUPS.iter().filter(|group| !group.name.is_empty() && !is_absent(group.name));
    let groups: Vec<Value> = present.map(described).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// `/apis/GROUP`.
pub(crate) fn versions(name: &str) -> Value {
    let mut described = group(name).map_or(Value::Null, described);
    described["kind"] = "APIGroup".into();
    described["apiVersion"] = "v1".into();
    described
}

/// `/api/v1`, `/apis/GROUP/VERSION`.
pub(crate) fn resources(name: &str, version: &str) -> Value {
    let own = RESOURCES.iter().filter(|resource| resource.group == name);
    let group_version = if name.is_empty() { version.to_owned() } else { format!("{name}/{version}") };
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": own.map(super::resource::Resource::discovered).collect::<Vec<_>>()
    })
}

fn described(group: &Group) -> Value {
    let version =
        |version: &&str| json!({ "groupVersion": format!("{}/{version}", group.name), "version": version });
    let versions: Vec<Value> = group.versions.iter().map(version).collect();
    json!({ "name": group.name, "preferredVersion": versions.first(), "versions": versions })
}
