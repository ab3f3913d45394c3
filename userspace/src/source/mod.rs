//! Where events come from. Sources know events, and never verdicts or sinks.

pub mod cgroup;
pub mod cluster_file;
pub mod config_dump;
pub mod envoy_log;
pub mod hierarchy;
pub mod kernel;
pub mod listeners;
pub mod replay;
