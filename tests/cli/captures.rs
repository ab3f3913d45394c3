//! `analyze` on packet captures, and on several files at once.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    process::Stdio,
};

use flate2::{Compression, write::GzEncoder};
use mtlsnoop::{event::Event, sink::record::RecordWriter};
use mtlsnoop_tests::{
    capture_file::{Link, Pcap},
    conversation::{Conversation, End, Packet},
    wait,
};
use nix::{
    pty::openpty,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::program::{INCIDENT, Run, mesh_hello, mtlsnoop, recording, run, scenario};

/// When the recorded sidecar connects.
const AT_NS: u64 = 1_599_917_903_100_400_000;

/// The client and the server of the recorded incident.
fn captured(at_ns: u64) -> Vec<Packet> {
    let hello = mesh_hello();
    let (client, server) = ("10.1.1.25:50714".parse().unwrap(), "10.1.1.24:6379".parse().unwrap());
    let begun = Conversation::new(client, server, at_ns).connect();
    begun.say(End::Client, &hello).wait_ms(998).close(End::Client).packets()
}

/// A folder with these files in it, and their paths.
fn files(contents: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let paths = contents.iter().map(|(name, bytes)| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let paths = paths.collect();
    (folder, paths)
}

fn analyzed(paths: &[String], flags: &[&str]) -> Run {
    let paths = paths.iter().map(String::as_str);
    let arguments: Vec<_> =
        ["analyze", "-o", "json"].into_iter().chain(paths).chain(flags.iter().copied()).collect();
    run(&arguments)
}

fn lines(run: &Run, kind: &str) -> Vec<Value> {
    let lines = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"] == kind).collect()
}

#[test]
fn a_capture_gives_the_finding_without_what_it_cannot_show_and_says_so() {
    let (_folder, paths) = files(&[("a.pcap", Pcap::of(Link::LinuxCooked2).file(&captured(AT_NS)))]);
    let run = analyzed(&paths, &["--fail-on-finding"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.stderr.contains("a packet capture shows no processes"), "{run:?}");
    let [finding] = &lines(&run, "finding")[..] else { panic!("{run:?}") };
    assert_eq!((&finding["code"], &finding["confidence"]), (&"mtls-to-plaintext".into(), &"possible".into()));
    for absent in ["process", "pid", "uid", "container", "victim"] {
        assert!(finding["client"].get(absent).is_none(), "{absent}: {finding}");
    }
    let [summary] = &lines(&run, "summary")[..] else { panic!("{run:?}") };
    assert_eq!((&summary["seen"], &summary["reported"], &summary["open"]), (&1.into(), &1.into(), &0.into()));
}

#[test]
fn pods_of_a_capture_can_be_selected_with_a_cluster_file_and_not_without() {
    let (_folder, paths) = files(&[("a.pcap", Pcap::of(Link::Raw).file(&captured(AT_NS)))]);
    analyzed(&paths, &["-n", "default"]).fails_with(1, &["--cluster FILE"]);
}

#[test]
fn one_incident_from_both_ends_is_one_finding() {
    let whole = recording(&scenario(INCIDENT));
    let server = recording(&scenario("server-node-only"));
    let form = Pcap { is_in_ns: true, ..Pcap::of(Link::Ethernet(0)) };
    let capture = form.file(&captured(AT_NS));
    // That recording is of an acceptance a little earlier.
    let of_client = form.file(&captured(AT_NS - 1_000_000));
    for (contents, context) in [
        (vec![("a.pcap", capture.clone()), ("b.pcap", capture.clone())], "the same capture twice"),
        (
            vec![("a.mtlsnoop", whole.clone()), ("b.pcap", capture.clone())],
            "a recording and a capture of one node",
        ),
        (vec![("a.pcap", capture.clone()), ("b.mtlsnoop", whole.clone())], "the other way round"),
        (vec![("a.mtlsnoop", whole.clone()), ("b.mtlsnoop", whole.clone())], "the same recording twice"),
        (vec![("a.pcap", of_client.clone()), ("b.mtlsnoop", server.clone())], "both ends"),
        (vec![("b.mtlsnoop", server), ("a.pcap", of_client)], "both ends, the other way round"),
    ] {
        let (_folder, paths) = files(&contents);
        let run = analyzed(&paths, &[]);
        let findings = lines(&run, "finding");
        assert_eq!(findings.len(), 1, "{context}: {run:?}");
        assert_eq!(findings[0]["count"], 1, "{context}: {run:?}");
        let summary = &lines(&run, "summary")[0];
        let number = |key: &str| summary[key].as_u64().unwrap();
        assert_eq!(
            number("seen"),
            number("reported") + number("filtered") + number("open"),
            "{context}: {summary}"
        );
    }
}

/// The recorded incident as the client's node alone sees it.
fn of_client_node() -> Vec<u8> {
    let text = fs::read_to_string(scenario(INCIDENT).join("events.jsonl")).unwrap();
    let is_of_server = |line: &&str| line.contains("\"socket\": 104,") || line.contains("4026532102");
    let mut writer = RecordWriter::new(Vec::new());
    for line in text.lines().filter(|line| !is_of_server(line)) {
        let event: Event = serde_json::from_str(&line.replace("node-1", "node-2")).unwrap();
        writer.write(&event).unwrap();
    }
    writer.flush().unwrap();
    writer.into_inner()
}

/// The server's node says that it accepted half a millisecond before the client's node had its answer.
#[test]
fn both_ends_are_joined_where_clocks_are_apart() {
    let server = recording(&scenario("server-node-only"));
    for names in [["a", "b"], ["b", "a"]] {
        let (_folder, mut paths) = files(&[(names[0], of_client_node()), (names[1], server.clone())]);
        paths.sort();
        let run = analyzed(&paths, &[]);
        let [finding] = &lines(&run, "finding")[..] else { panic!("{run:?}") };
        assert_eq!((&finding["count"], &finding["server"]["process"]), (&1.into(), &"redis-server".into()));
        assert_eq!(finding["client"]["process"], "envoy", "{finding}");
    }
}

#[test]
fn several_files_are_one_stream_and_each_is_named_when_it_is_broken() {
    let packets = captured(AT_NS);
    let mut cut = Pcap::of(Link::Raw).file(&packets);
    cut.truncate(cut.len() - 3);
    let (_folder, paths) =
        files(&[("whole.mtlsnoop", recording(&scenario("plaintext-is-well"))), ("cut.pcap", cut)]);
    let run = analyzed(&paths, &[]);
    assert_eq!((run.code, lines(&run, "finding").len()), (Some(0), 1), "{run:?}");
    assert!(run.stderr.contains("cut.pcap: cut short at byte"), "{run:?}");
    let (_folder, paths) = files(&[("a.pcap", Pcap::of(Link::Raw).file(&packets)), ("b.pcap", Vec::new())]);
    analyzed(&paths, &[]).fails_with(1, &["b.pcap", "the file is empty"]);
}

#[test]
fn a_file_that_gzip_compressed_is_read_whatever_it_is() {
    for (name, bytes) in [
        ("a.pcap.gz", Pcap::of(Link::Raw).file(&captured(AT_NS))),
        ("a.mtlsnoop.gz", recording(&scenario(INCIDENT))),
    ] {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&bytes).unwrap();
        let (_folder, paths) = files(&[(name, encoder.finish().unwrap())]);
        let run = analyzed(&paths, &[]);
        assert_eq!((run.code, lines(&run, "finding").len()), (Some(0), 1), "{name}: {run:?}");
    }
}

/// The incident, then so many bytes of empty packets that reading them takes a while.
fn long() -> (tempfile::TempDir, String) {
    const BYTES: u64 = 512 << 20;
    let (folder, paths) = files(&[("long.pcap", Pcap::of(Link::Raw).file(&captured(AT_NS)))]);
    let path = paths.into_iter().next().unwrap();
    // Zeros are packets without a byte.
    File::options().write(true).open(&path).unwrap().set_len(BYTES).unwrap();
    (folder, path)
}

#[test]
fn ctrl_c_ends_a_long_analysis_with_what_was_found_until_then() {
    let (_folder, path) = long();
    let mut command = mtlsnoop(&["analyze", &path, "-o", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let process = child.id();
    wait::until_true("it reads", std::time::Duration::from_secs(10), || {
        let io = fs::read_to_string(format!("/proc/{process}/io"))?;
        let read = io.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok());
        Ok(read.unwrap_or(0_u64) > 8 << 20)
    })
    .unwrap();
    kill(Pid::from_raw(process.try_into().unwrap()), Signal::SIGINT).unwrap();
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!((run.code, lines(&run, "finding").len()), (Some(0), 1), "{run:?}");
    assert_eq!(lines(&run, "summary").len(), 1, "{run:?}");
    assert!(run.stderr.contains("interrupted"), "{run:?}");
}

#[test]
fn progress_is_for_terminals_and_goes_away() {
    let (_folder, path) = long();
    let terminal = openpty(None, None).unwrap();
    let mut command = mtlsnoop(&["analyze", &path, "-o", "json"]);
    command.env("TERM", "xterm").stdout(Stdio::null()).stderr(terminal.slave);
    let mut child = command.spawn().unwrap();
    // The only other holder of the terminal's end, so that reading ends with the child.
    drop(command);
    let mut text = Vec::new();
    // EIO is how the end of a terminal reads.
    let _ = File::from(terminal.master).read_to_end(&mut text);
    assert!(child.wait().unwrap().success());
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("% of 512.00 MiB read"), "{text:?}");
    let quiet = mtlsnoop(&["analyze", &path, "-o", "json"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&quiet.stderr).contains("% of"), "{quiet:?}");
}
