//! The incident end to end: real Envoy, real servers, this machine's kernel, and what the tracer says. Needs root.
#![cfg(test)]

mod adaptive;
mod backends;
mod crowds;
mod envoy_word;
mod hellos;
mod identity;
mod outcomes;
mod privilege;
mod recording;
mod resolution;
mod tls_servers;
