//! A dump as a stream: of tens of megabytes only one cluster is in memory at a time. Knows the shape of dumps, and clusters only as a whole.

use std::{fmt, io::Read, marker::PhantomData};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    event::envoy::{ProxyCluster, ProxyNode},
    source::config_dump::{
        cluster::{WireCluster, convert},
        node,
    },
};

/// Most clusters that are kept of a dump; a large mesh has some thousands.
pub(super) const CLUSTERS_MAX: usize = 20_000;

/// What was found in a dump so far, whether or not it can be read to its end.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Clusters in use.
    pub(super) clusters: Vec<ProxyCluster>,
    /// Whose configuration it is.
    pub(super) node: Option<ProxyNode>,
    /// Clusters that are not in use yet.
    pub(super) warming: u64,
    /// Clusters that cannot be read, and those without a name.
    pub(super) unreadable: u64,
    /// Clusters beyond what is kept.
    pub(super) too_many: u64,
}

impl Found {
    fn add(&mut self, raw: &RawValue) {
        if self.clusters.len() >= CLUSTERS_MAX {
            self.too_many += 1;
            return;
        }
        match serde_json::from_str::<WireCluster>(raw.get()).ok().and_then(convert) {
            Some(cluster) => self.clusters.push(cluster),
            None => self.unreadable += 1,
        }
    }
}

/// Reads what `/config_dump` of the admin port answers, or what `istioctl proxy-config cluster -o json` prints.
pub(super) fn read(input: impl Read, found: &mut Found) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_reader(input);
    deserializer.deserialize_any(Document(found))?;
    deserializer.end()
}

/// The whole: an object with `configs`, or an array of clusters.
struct Document<'a>(&'a mut Found);

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with `configs`, or an array of clusters")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "configs" {
                map.next_value_seed(Each::<Section>::of(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<(), A::Error> {
        Each::<Bare>::of(self.0).visit_seq(sequence)
    }
}

/// What arrays have as elements.
trait Element {
    /// Takes one.
    fn take<'de, D: Deserializer<'de>>(element: D, found: &mut Found) -> Result<(), D::Error>;
}

/// An array, whose elements are taken one by one.
struct Each<'a, E>(&'a mut Found, PhantomData<E>);

impl<'a, E> Each<'a, E> {
    fn of(found: &'a mut Found) -> Self {
        Self(found, PhantomData)
    }
}

impl<'de, E: Element> DeserializeSeed<'de> for Each<'_, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, array: D) -> Result<(), D::Error> {
        array.deserialize_seq(self)
    }
}

impl<'de, E: Element> Visitor<'de> for Each<'_, E> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        while sequence.next_element_seed(One::<E>(self.0, PhantomData))?.is_some() {}
        Ok(())
    }
}

/// One element of an array.
struct One<'a, E>(&'a mut Found, PhantomData<E>);

impl<'de, E: Element> DeserializeSeed<'de> for One<'_, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, element: D) -> Result<(), D::Error> {
        E::take(element, self.0)
    }
}

/// A part of the configuration. Those that have clusters are told by their keys, which no other part has; `@type` ends in
/// `ClustersConfigDump` there, in v2 (`envoy.admin.v2alpha`) and v3.
struct Section;

impl Element for Section {
    fn take<'de, D: Deserializer<'de>>(element: D, found: &mut Found) -> Result<(), D::Error> {
        element.deserialize_map(SectionKeys(found))
    }
}

struct SectionKeys<'a>(&'a mut Found);

impl<'de> Visitor<'de> for SectionKeys<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a part of the configuration, an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "static_clusters"
                | "staticClusters"
                | "dynamic_active_clusters"
                | "dynamicActiveClusters" => {
                    map.next_value_seed(Each::<Listed>::of(self.0))?;
                }
                "dynamic_warming_clusters" | "dynamicWarmingClusters" => {
                    map.next_value_seed(Each::<Warming>::of(self.0))?;
                }
                // With `?resource=dynamic_active_clusters` the parts are the clusters themselves.
                "cluster" => self.0.add(&map.next_value::<Box<RawValue>>()?),
                "bootstrap" => self.0.node = map.next_value::<node::Bootstrap>()?.node(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A cluster in a list, with when it came.
struct Listed;

impl Element for Listed {
    fn take<'de, D: Deserializer<'de>>(element: D, found: &mut Found) -> Result<(), D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            cluster: Option<Box<RawValue>>,
        }

        match Wire::deserialize(element)?.cluster {
            Some(cluster) => found.add(&cluster),
            None => found.unreadable += 1,
        }
        Ok(())
    }
}

/// A cluster that is not in use yet.
struct Warming;

impl Element for Warming {
    fn take<'de, D: Deserializer<'de>>(element: D, found: &mut Found) -> Result<(), D::Error> {
        found.warming += 1;
        IgnoredAny::deserialize(element).map(|IgnoredAny| ())
    }
}

/// A cluster alone.
struct Bare;

impl Element for Bare {
    fn take<'de, D: Deserializer<'de>>(element: D, found: &mut Found) -> Result<(), D::Error> {
        found.add(&Box::<RawValue>::deserialize(element)?);
        Ok(())
    }
}
