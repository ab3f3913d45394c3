//! Where events come from. Sources know events, and never verdicts or sinks.

pub mod capture;
pub mod cgroup;
mod class;
pub mod cluster_file;
pub mod config_dump;
pub mod envoy_log;
pub mod hierarchy;
pub mod input;
pub mod kernel;
pub mod kube;
pub mod listeners;
pub mod merged;
pub mod object;
pub mod replay;
pub mod unreadable;
