//! mtlsnoop as a library, in reading order: vocabulary, reading of bytes, pure core, sources, sinks.

pub mod event;
pub mod update;

pub mod protocol;
pub mod tls;

pub mod attempt;
pub mod engine;
pub mod envoy;
pub mod flow;
pub mod identity;
pub mod listener;
pub mod policy;
pub mod suspicion;
pub mod verdict;

pub mod source;

pub mod recording;
pub mod sink;

pub mod arming;
pub mod cli;
pub mod config;
pub mod envoys;
pub mod filter;
pub mod given_cluster;
pub mod inputs;
pub mod line_queue;
pub mod live_cluster;
pub mod memory;
pub mod notice;
pub mod outcome;
pub mod output;
pub mod pipeline;
pub mod progress;
pub mod recorder;
pub mod session;
pub mod signals;

#[cfg(test)]
mod readme;

pub mod agent;
pub mod analyze;
pub mod doctor;
pub mod run;
pub mod send;
pub mod show;
