//! What the first bytes of a TLS connection say: pure reading of bytes, which must not know of sockets, time,
//! logs or JSON.

#![deny(clippy::disallowed_methods)]

pub mod alert;
pub mod answer;
pub mod client_hello;
pub mod ja4;
pub mod mesh;

mod escape;
mod extensions;
mod grease;
mod record;
#[cfg(test)]
mod samples;
