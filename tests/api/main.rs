//! The lab's API server as real clients see it: the `kube` library and kubectl. It must not know how the server works.
#![cfg(test)]

mod events;
mod faults;
mod kubectl;
mod lists;
mod program;
mod refusals;
mod served;
mod source;
mod source_faults;
mod watches;
