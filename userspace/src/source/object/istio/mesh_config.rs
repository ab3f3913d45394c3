//! The mesh's configuration, which Istio keeps as YAML in a `ConfigMap`, reduced to facts; knows no other kind.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    event::istio::Istio,
    source::object::{metadata::Metadata, or_default},
};

/// Name of the `ConfigMap`; with a revision, `istio-REVISION` (istio `pilot/pkg/bootstrap/mesh.go`, `getMeshConfigMapName`).
const NAME: &str = "istio";

/// Key of the configuration (istio `pilot/pkg/bootstrap/mesh.go`).
const KEY: &str = "mesh";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::source) struct WireConfigMap {
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    data: BTreeMap<Box<str>, Box<str>>,
}

/// What is used of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source) struct MeshConfig {
    auto_mtls: Option<bool>,
    root_namespace: Option<Box<str>>,
}

impl MeshConfig {
    /// Adds it to what is known; of several, the last one is believed.
    pub(in crate::source) fn add_to(self, istio: &mut Istio) {
        istio.auto_mtls = self.auto_mtls.or(istio.auto_mtls);
        istio.root_namespace = self.root_namespace.or(istio.root_namespace.take());
    }
}

/// Name of the `ConfigMap` of a control plane with this revision.
pub(in crate::source) fn name(revision: &str) -> String {
    if matches!(revision, "" | "default") { NAME.to_owned() } else { format!("{NAME}-{revision}") }
}

/// What a `ConfigMap` tells of the mesh; none where it is another one.
pub(in crate::source) fn convert(map: &WireConfigMap) -> Option<MeshConfig> {
    let name = map.metadata.name.strip_prefix(NAME)?;
    let text = map.data.get(KEY).filter(|_| name.is_empty() || name.starts_with('-'))?;
    Some(MeshConfig {
        auto_mtls: scalar(text, "enableAutoMtls").and_then(|value| value.parse().ok()),
        root_namespace: scalar(text, "rootNamespace").map(Into::into),
    })
}

/// The value of a key at the top level of a YAML mapping, which is all that is needed of it.
fn scalar<'a>(yaml: &'a str, key: &str) -> Option<&'a str> {
    let value = yaml.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let (value, _comment) = value.split_once(" #").unwrap_or((value, ""));
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::scalar;

    #[test]
    fn top_level_scalars_are_read() {
        let yaml = "defaultConfig:\n  rootNamespace: nested\nenableAutoMtls: false # because\nrootNamespace: \"mesh\"\ntrustDomain:\n";
        for (key, expected) in [
            ("enableAutoMtls", Some("false")),
            ("rootNamespace", Some("mesh")),
            ("trustDomain", None),
            ("root", None),
            ("accessLogFile", None),
        ] {
            assert_eq!(scalar(yaml, key), expected, "{key}");
        }
    }
}
