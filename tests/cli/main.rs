//! The command line as users and scripts have it: arguments in; output, messages and exit codes out.

#![cfg(test)]

mod agent;
mod analyze;
mod broken_recording;
mod captures;
mod doctor;
mod envoy;
mod help;
mod live;
mod program;
mod schema;
mod start;
mod usage;
