//! Inputs to begin with, made of the repository's own test data each time: they follow its formats by themselves.

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

/// For `envoy-log`: the line of the incident as Istio 1.6 wrote it, as a newer one does, and in JSON.
pub fn envoy_logs() -> Vec<Vec<u8>> {
    [
        "[2020-09-12T13:38:23.101Z] \"- - -\" 0 UF,URX \"-\" \"-\" 0 0 1001 - \"-\" \"-\" \"-\" \"-\" \"10.1.1.24:6379\" \
         outbound|6379||redis.default.svc.cluster.local - 10.1.1.24:6379 10.1.1.25:45940 - -\n",
        "[2026-11-22T13:38:23.101Z] \"- - -\" 0 UF,URX - - \"TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end\" \
         0 0 12 - \"-\" \"-\" \"-\" \"-\" \"10.1.1.24:6379\" outbound|6379||redis.default.svc.cluster.local - 10.1.1.24:6379 10.1.1.25:45940 - -\n",
        "{\"start_time\":\"2026-11-22T13:38:23.101Z\",\"response_flags\":\"UF,URX\",\"duration\":1001,\"upstream_host\":\"10.1.1.24:6379\",\
         \"upstream_cluster\":\"outbound|6379||redis.default.svc.cluster.local\",\"downstream_remote_address\":\"10.1.1.25:45940\"}\n",
    ]
    .map(|line| line.as_bytes().to_vec())
    .into()
}

/// For `config-dump`.
pub fn config_dumps() -> Vec<Vec<u8>> {
    files("userspace/src/source/config_dump/testdata", "json")
}

/// For `capture`: one connection with each hello, as raw IPv4.
pub fn captures() -> Vec<Vec<u8>> {
    samples().iter().map(|hello| capture(hello)).collect()
}

/// pcap with microseconds, little-endian, link type 101 (raw IP): connect, hello, and the end by the client.
fn capture(hello: &[u8]) -> Vec<u8> {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    const FIN: u8 = 1;
    let sent = u32::try_from(hello.len()).unwrap_or(0);
    let packets = [
        packet(true, SYN, 100, 0, &[]),
        packet(false, SYN | ACK, 500, 101, &[]),
        packet(true, ACK, 101, 501, hello),
        packet(false, ACK, 501, 101 + sent, &[]),
        packet(true, FIN | ACK, 101 + sent, 501, &[]),
    ];
    let mut file = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 101_u32].map(u32::to_le_bytes).concat();
    for (second, packet) in (1_599_917_903_u32..).zip(packets) {
        let length = u32::try_from(packet.len()).unwrap_or(0);
        file.extend([second, 0, length, length].map(u32::to_le_bytes).concat());
        file.extend(packet);
    }
    file
}

/// IPv4 and TCP without options (RFC 791 §3.1, RFC 9293 §3.1), from 10.1.1.25:50714 to 10.1.1.24:6379 or back.
fn packet(by_client: bool, flags: u8, sequence: u32, acknowledged: u32, payload: &[u8]) -> Vec<u8> {
    let ends = [([10, 1, 1, 25], 50_714_u16), ([10, 1, 1, 24], 6379)];
    let [(from, from_port), (to, to_port)] = if by_client { ends } else { [ends[1], ends[0]] };
    let length = u16::try_from(40 + payload.len()).unwrap_or(0).to_be_bytes();
    let ip = [&[0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, 6, 0, 0], &from[..], &to[..]].concat();
    let ports = [from_port.to_be_bytes(), to_port.to_be_bytes()].concat();
    let numbers = [sequence.to_be_bytes(), acknowledged.to_be_bytes()].concat();
    [ip, ports, numbers, vec![0x50, flags, 0xff, 0xff, 0, 0, 0, 0], payload.to_vec()].concat()
}
