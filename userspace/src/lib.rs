//! mtlsnoop as a library, in reading order: vocabulary, reading of bytes, pure core, sources, sinks.

pub mod event;
pub mod protocol;
pub mod tls;
pub mod update;
