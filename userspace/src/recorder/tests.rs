//! Recordings on a disk, and on one that is full: every event is in a file or counted.

use std::{fs, path::Path, sync::atomic::Ordering};

use super::{RETRY_NS, Recorder, Rotation, numbered};
use crate::{
    event::{
        Began, Capture, Event,
        loss::Counters,
        time::{SECOND_NS, Time},
    },
    sink::record::Target,
    source::replay::Replay,
};

fn began(seconds: u64) -> Event {
    Event::Began(Began {
        time: time(seconds),
        node: "node".into(),
        capture: Capture::Always,
        looks_up: false,
    })
}

fn time(seconds: u64) -> Time {
    Time(seconds * SECOND_NS)
}

fn events_in(path: &Path) -> Vec<Event> {
    let mut replay = Replay::new(fs::File::open(path).unwrap()).unwrap();
    std::iter::from_fn(|| replay.next_event().unwrap()).collect()
}

#[test]
fn each_file_can_be_read_alone_and_the_oldest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording");
    let rotation = Rotation { file_bytes: 300, files: 3 };
    let mut recorder = Recorder::rotating(Target::prepare(&path).unwrap(), rotation).unwrap();
    recorder.event(&began(0));
    for second in 1..100 {
        let counted = Counters { time: time(second), seen: second, ..Counters::default() };
        recorder.event(&Event::Counted(counted));
        recorder.flush(time(second));
    }
    assert!(recorder.is_complete());
    let files = [numbered(&path, 2), numbered(&path, 1), path.clone()].map(|path| events_in(&path));
    let mut seconds: Vec<u64> = Vec::new();
    for events in &files {
        assert!(matches!(&events[0], Event::Began(_)), "{events:?}");
        seconds.extend(events[1..].iter().map(|event| event.time().0 / SECOND_NS));
        let counts = events[1..].iter().map(|event| match event {
            Event::Counted(counters) => counters.seen,
            other => panic!("nobody recorded {other:?}"),
        });
        assert!(counts.eq(1..events.len() as u64), "each file counts from its own beginning: {events:?}");
    }
    assert!(seconds.is_sorted_by(|a, b| a + 1 == *b) && seconds.last() == Some(&99), "{seconds:?}");
    assert!(!numbered(&path, 3).exists());
    for path in [&path, &numbered(&path, 1)] {
        assert!(fs::metadata(path).unwrap().len() < 400);
    }
}

#[test]
fn a_disk_that_is_full_is_tried_again_only_where_files_rotate() {
    for (rotation, seconds_tried) in [(None, 0), (Some(Rotation { file_bytes: 1 << 20, files: 2 }), 60)] {
        let target = Target::prepare(Path::new("/dev/full")).unwrap();
        let mut recorder = match rotation {
            None => Recorder::begin(target).unwrap(),
            Some(rotation) => Recorder::rotating(target, rotation).unwrap(),
        };
        let lost = recorder.lost();
        recorder.event(&began(0));
        recorder.event(&Event::Tick(time(1)));
        assert_eq!(lost.load(Ordering::Relaxed), 0, "nothing was handed on yet");
        recorder.flush(time(1));
        assert_eq!(lost.load(Ordering::Relaxed), 2);
        let until = recorder.pause.unwrap().until;
        assert_eq!(until, (seconds_tried > 0).then(|| time(1) + RETRY_NS));
        recorder.event(&Event::Tick(time(100)));
        recorder.flush(time(100));
        assert_eq!(lost.load(Ordering::Relaxed), 3, "the preamble is not counted");
        assert_eq!(recorder.pause.unwrap().until, (seconds_tried > 0).then(|| time(100) + RETRY_NS));
    }
}
