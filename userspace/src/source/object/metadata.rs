//! `metadata` of objects, as far as it is used; knows no kind.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::{event::time::Time, source::object::or_default};

/// `metadata`, as far as it is used.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::source) struct Metadata {
    #[serde(deserialize_with = "or_default")]
    pub(in crate::source) namespace: Box<str>,
    #[serde(deserialize_with = "or_default")]
    pub(in crate::source) name: Box<str>,
    #[serde(deserialize_with = "or_default")]
    pub(in crate::source) uid: Box<str>,
    #[serde(deserialize_with = "or_default")]
    pub(in crate::source) resource_version: Box<str>,
    #[serde(deserialize_with = "or_default")]
    pub(in crate::source) creation_timestamp: Box<str>,
    #[serde(deserialize_with = "or_default")]
    pub(in crate::source) labels: BTreeMap<Box<str>, Box<str>>,
    #[serde(deserialize_with = "or_default")]
    pub(in crate::source) annotations: BTreeMap<Box<str>, Box<str>>,
    #[serde(deserialize_with = "or_default")]
    pub(in crate::source) owner_references: Vec<OwnerReference>,
}

impl Metadata {
    /// Without a name an object is nobody.
    pub(in crate::source) fn named(self) -> Result<Self, Box<str>> {
        if self.name.is_empty() || self.namespace.is_empty() {
            return Err("`metadata` has no name or no namespace".into());
        }
        Ok(self)
    }

    /// When it was created; the oldest of all where that is not told.
    pub(in crate::source) fn created(&self) -> Time {
        let told = self.creation_timestamp.parse::<Timestamp>().ok();
        Time(told.and_then(|told| u64::try_from(told.as_nanosecond()).ok()).unwrap_or_default())
    }
}

/// An entry of `metadata.ownerReferences`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::source) struct OwnerReference {
    #[serde(deserialize_with = "or_default")]
    pub(in crate::source) kind: Box<str>,
    #[serde(deserialize_with = "or_default")]
    pub(in crate::source) name: Box<str>,
    #[serde(deserialize_with = "or_default")]
    pub(in crate::source) controller: bool,
}
