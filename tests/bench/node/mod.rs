//! One made-up node of the cluster: its network, its pods as processes, and the agent that runs on it. What is measured is
//! not known here.

pub(crate) mod agent;
pub(crate) mod client;
pub(crate) mod network;
pub(crate) mod pod;
pub(crate) mod server;

/// Its number: one whose pods have sidecars.
pub(crate) const NODE: usize = 17;
