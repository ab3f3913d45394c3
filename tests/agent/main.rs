//! Agent mode end to end: real Envoy and real Redis in pods that an API server tells of. Needs root.
#![cfg(test)]

mod elsewhere;
mod faults;
mod incident;
mod port;
mod token;
mod watched;
