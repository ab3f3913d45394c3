//! What is fuzzed: every reader of bytes that strangers choose, each as a function that must not panic.
//!
//! Each target also checks what must hold for every input. The libFuzzer program and the replay of the corpus run the same functions.

pub mod seed;
mod target;

use std::path::PathBuf;

/// One reader.
#[derive(Debug)]
pub struct Target {
    /// Its name on the command line, and that of its folder in the corpus.
    pub name: &'static str,
    /// More bytes than this tell nothing new.
    pub max_bytes: usize,
    /// Reads; panics when something does not hold.
    pub run: fn(&[u8]),
    /// Inputs to begin with, made of the repository's own test data.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 14] = [
    Target { name: "client-hello", max_bytes: 4200, run: target::hello::whole, seeds: seed::hellos },
    Target { name: "hello-parts", max_bytes: 2048, run: target::hello::parts, seeds: seed::hello_parts },
    Target { name: "answer", max_bytes: 128, run: target::answer::answer, seeds: seed::answers },
    Target { name: "first-bytes", max_bytes: 24, run: target::answer::first_bytes, seeds: seed::first_bytes },
    Target { name: "recording", max_bytes: 8192, run: target::events::recording, seeds: seed::recordings },
    Target { name: "events", max_bytes: 16_384, run: target::events::engine, seeds: seed::events },
    Target {
        name: "cluster-file",
        max_bytes: 16_384,
        run: target::cluster_file::parse,
        seeds: seed::cluster_files,
    },
    Target { name: "capture", max_bytes: 8192, run: target::events::capture, seeds: seed::captures },
    Target { name: "envoy-log", max_bytes: 4096, run: target::envoy::log, seeds: seed::envoy_logs },
    Target {
        name: "config-dump",
        max_bytes: 16_384,
        run: target::envoy::config_dump,
        seeds: seed::config_dumps,
    },
    Target { name: "changes", max_bytes: 4096, run: target::changes::changes, seeds: seed::drawn },
    Target {
        name: "configuration",
        max_bytes: 2048,
        run: target::configuration::file,
        seeds: seed::configurations,
    },
    Target { name: "policy", max_bytes: 4096, run: target::policy::policy, seeds: seed::drawn },
    Target {
        name: "kernel-record",
        max_bytes: 512,
        run: target::events::kernel_record,
        seeds: seed::kernel_records,
    },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

impl Target {
    /// The inputs that are kept in the repository: small ones that reach much, and all that once failed.
    pub fn corpus(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name)
    }
}
