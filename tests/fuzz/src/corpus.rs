//! Every target on its seeds and its corpus, as an ordinary test.
use std::fs;

use mtlsnoop::{
    event::Event,
    source::{capture::CaptureFile, config_dump, envoy_log::lines::Lines},
};
use mtlsnoop_fuzz::{TARGETS, seed, target};

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
