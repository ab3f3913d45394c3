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

#[cfg(test)]
mod tests {
    use std::fs;

    use mtlsnoop::{
        event::Event,
        source::{capture::CaptureFile, config_dump, envoy_log::lines::Lines},
    };

    use super::{TARGETS, seed, target};

    #[test]
    fn every_seed_and_the_whole_corpus_is_read() {
        for target in &TARGETS {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "no seed for {}", target.name);
            let files = fs::read_dir(target.corpus()).unwrap_or_else(|error| {
                panic!(
                    "{}: {error}; `cargo xtask fuzz --keep {}` makes it",
                    target.corpus().display(),
                    target.name
                )
            });
            let corpus: Vec<_> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
            assert!(!corpus.is_empty(), "no corpus for {}", target.name);
            for input in seeds.iter().chain(&corpus) {
                (target.run)(input);
            }
        }
    }

    #[test]
    fn seeds_of_captures_logs_and_dumps_are_understood() {
        let (mut connections, captures) = (0, seed::captures());
        for capture in &captures {
            let Ok(mut capture) = CaptureFile::new(&**capture, "node") else { continue };
            let mut has_ended = false;
            while let Ok(Some(event)) = capture.next_event() {
                has_ended |= matches!(event, Event::Ended(_));
            }
            connections += usize::from(has_ended);
        }
        // Three are of a link that is not read, and one is cut in the IP header.
        assert_eq!(connections + 4, captures.len());

        let (mut entries, logs) = (0, seed::envoy_logs());
        for log in &logs {
            let mut lines = Lines::default();
            lines.take(log, &mut |_| entries += 1);
            lines.finish(&mut |_| entries += 1);
        }
        // Two are no entries, and one has no failure; two have two.
        assert_eq!(entries + 3 - 2, logs.len());

        let dumps = seed::config_dumps();
        let understood = dumps.iter().filter(|dump| config_dump::parse(dump.as_slice()).is_ok()).count();
        // Eight have no cluster, none with a name, or none that is in use yet.
        assert_eq!(understood + 8, dumps.len());
    }

    #[test]
    fn targets_are_found_by_name() {
        assert_eq!(target("answer").map(|target| target.name), Some("answer"));
        assert!(target("nothing").is_none());
    }
}
