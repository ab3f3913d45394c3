//! The readers, grouped by what they read.

pub(crate) mod answer;
pub(crate) mod cluster_file;
pub(crate) mod envoy;
pub(crate) mod events;
pub(crate) mod hello;
