//! The readers, grouped by what they read.

pub(crate) mod answer;
pub(crate) mod changes;
pub(crate) mod cluster_file;
pub(crate) mod configuration;
pub(crate) mod envoy;
pub(crate) mod events;
pub(crate) mod hello;
pub(crate) mod policy;
mod world;
