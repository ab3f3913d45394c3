//! Inputs to begin with, made of the repository's own test data each time: they follow its formats by themselves.

mod capture;
mod envoy;
mod packet;

use std::{
    fs,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER_PERMISSIVE;
use mtlsnoop::{event::Event, recording};

/// Stories that are longer than this are left out: short inputs are what a fuzzer works with best.
const MAX_STORY_BYTES: usize = 8192;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The contents of the files of a folder with this extension, in the order of their names.
fn files(folder: &str, extension: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(root().join(folder)) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths.iter().filter_map(|path| fs::read(path).ok()).collect()
}

/// Recorded hellos: hex digits, but for lines that begin with `#`.
fn samples() -> Vec<Vec<u8>> {
    let bytes = |text: Vec<u8>| {
        let text = String::from_utf8(text).ok()?;
        let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()
    };
    files("userspace/src/tls/testdata", "hex").into_iter().filter_map(bytes).collect()
}

/// The events of each story.
fn stories() -> Vec<Vec<Event>> {
    let Ok(entries) = fs::read_dir(root().join("tests/scenarios")) else { return Vec::new() };
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    let events = |folder: &PathBuf| {
        let text = fs::read_to_string(folder.join("events.jsonl")).ok()?;
        text.lines().map(|line| serde_json::from_str(line).ok()).collect()
    };
    folders.iter().filter_map(events).collect()
}

/// For `client-hello`.
pub fn hellos() -> Vec<Vec<u8>> {
    let with_port = |hello: Vec<u8>| [&15_008_u16.to_be_bytes(), hello.as_slice()].concat();
    samples().into_iter().map(with_port).collect()
}

/// For `hello-parts`.
pub fn hello_parts() -> Vec<Vec<u8>> {
    // The second half, then the first with a bit of the second.
    let in_two = |hello: Vec<u8>| {
        let half = u16::try_from(hello.len() / 2).unwrap_or(u16::MAX);
        let places = [half, half + 1, 0, half + 9].map(u16::to_le_bytes).concat();
        [&[2], places.as_slice(), hello.as_slice()].concat()
    };
    samples().into_iter().map(in_two).collect()
}

/// The first bytes that the stories tell, each once.
fn told() -> Vec<Vec<u8>> {
    let data = |event: &Event| match event {
        Event::FirstBytes(first) if !first.data.is_empty() => Some(first.data.to_vec()),
        _ => None,
    };
    let mut told: Vec<_> = stories().iter().flatten().filter_map(data).collect();
    told.sort();
    told.dedup();
    told
}

/// For `answer`.
pub fn answers() -> Vec<Vec<u8>> {
    told().into_iter().map(|data| [&[3], data.as_slice()].concat()).collect()
}

/// For `first-bytes`.
pub fn first_bytes() -> Vec<Vec<u8>> {
    let with_length = |data: &Vec<u8>| {
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes();
        [length.as_slice(), &data[..data.len().min(16)]].concat()
    };
    told().iter().chain(&samples()).map(with_length).collect()
}

/// For `recording`.
pub fn recordings() -> Vec<Vec<u8>> {
    let recorded = |events: &Vec<Event>| {
        let mut bytes = recording::header().to_vec();
        for event in events {
            recording::append_frame(event, &mut bytes).ok()?;
        }
        Some(bytes)
    };
    let mut recordings: Vec<_> = stories().iter().filter_map(recorded).collect();
    recordings.retain(|bytes| bytes.len() <= MAX_STORY_BYTES);
    recordings
}

/// For `events`.
pub fn events() -> Vec<Vec<u8>> {
    let encoded = |events: &Vec<Event>| {
        let mut bytes = Vec::new();
        for event in events {
            let mut frame = Vec::new();
            recording::append_frame(event, &mut frame).ok()?;
            let payload = &frame[recording::PREFIX_BYTES..];
            bytes.extend(u16::try_from(payload.len()).ok()?.to_le_bytes());
            bytes.extend(payload);
        }
        Some(bytes)
    };
    let mut all: Vec<_> = stories().iter().filter_map(encoded).collect();
    all.retain(|bytes| bytes.len() <= MAX_STORY_BYTES);
    all
}

/// For `cluster-file`.
pub fn cluster_files() -> Vec<Vec<u8>> {
    files("userspace/src/source/cluster_file/testdata", "json")
}

/// For `kernel-record`: of each kind, with nothing in it.
pub fn kernel_records() -> Vec<Vec<u8>> {
    /// Where a record has its kind (`mtlsnoop_ebpf::record::Header`).
    const KIND_AT: usize = 16;
    let of_kind = |kind: u8| {
        let mut record = vec![0; 160];
        record[KIND_AT] = kind;
        record
    };
    (0..16).map(of_kind).collect()
}

/// For targets that draw what they need from the bytes: nothing at all, and bytes of all kinds.
pub fn drawn() -> Vec<Vec<u8>> {
    let spread = |step: u8| {
        (0..1024)
            .scan(0_u8, |last, _| {
                *last = last.wrapping_add(step);
                Some(*last)
            })
            .collect()
    };
    let mut drawn: Vec<Vec<u8>> = [1, 7, 37, 91, 151].map(spread).into();
    drawn.push(Vec::new());
    drawn
}

/// For `envoy-log`.
pub fn envoy_logs() -> Vec<Vec<u8>> {
    envoy::logs()
}

/// For `config-dump`: whole ones, each cluster of them in one of its own, which is short, and clusters by hand.
pub fn config_dumps() -> Vec<Vec<u8>> {
    let whole = files("userspace/src/source/config_dump/testdata", "json");
    let alone: Vec<Vec<u8>> = whole.iter().flat_map(|dump| envoy::dumps_of_one(dump)).collect();
    [whole, alone, envoy::clusters()].concat()
}

/// For `capture`: each hello as raw IPv4, and one of them in each form of file and link.
pub fn captures() -> Vec<Vec<u8>> {
    capture::of(&samples())
}

/// For `configuration`.
pub fn configurations() -> Vec<Vec<u8>> {
    [
        "",
        "# nothing\n",
        "log-level: debug\nall: true\nmetrics-series: 500\nnode: 007\n",
        "listen: \"[::]:9469\"\nnamespace: [a, b]\n",
        "namespace:\n- a\n- 'b'\nrecord: >-\n  /a\n  b\n",
        "a: &a [x]\nb: *a\n<<: {c: d}\n",
        "log-level: {to: debug}\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
