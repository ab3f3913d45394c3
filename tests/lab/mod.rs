//! The lab: pods as network namespaces, a real Envoy, real servers and real clients; it must not know how the
//! tracer is built, only its command line and its JSON lines.
//!
//! Everything is a handle: dropping it (also when a test panics) ends the processes and removes the files,
//! control groups and namespaces. [`interrupt`] turns SIGINT into an ordinary error, so that Ctrl-C does the same.

pub mod address;
pub mod api;
pub mod capture;
pub mod capture_file;
pub mod certificate;
pub mod cgroup;
pub mod client;
pub mod cluster;
pub mod command;
pub mod container;
pub mod conversation;
pub mod declared;
pub mod envoy;
pub mod interception;
pub mod interrupt;
pub mod kubectl;
pub mod large_cluster;
pub mod netns;
pub mod pod;
pub mod privilege;
pub mod process;
pub mod program;
pub mod scatter;
pub mod scene;
pub mod server;
pub mod tracer;
pub mod wait;
pub mod watched;
