//! What the cluster is told and how people ask it, against an API server that is as strict as a real one: Kubernetes Events, and
//! the plugin of kubectl.

#![cfg(test)]

mod events;
mod plugin;
mod posting;
