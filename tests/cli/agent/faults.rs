//! What becomes of an agent when something around it fails: nothing is lost that is not counted, and it goes on.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
    process::Stdio,
    thread,
};

use mtlsnoop::{event::Event, source::replay::Replay};
use mtlsnoop_tests::wait;
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::signal::Signal,
};

use crate::{
    agent::{Agent, account, assert_adds_up, load::Load},
    program::run,
};

/// Everything is told, so that there is much to write.
const EVERYTHING: [&str; 3] = ["--capture", "always", "--all"];

/// A disk that is soon full. It goes when this is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        mount(Some("tmpfs"), folder.path(), Some("tmpfs"), MsFlags::empty(), Some("size=256k")).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still has a file open on it keeps it from going at once.
        let _ = umount2(self.path(), MntFlags::MNT_DETACH);
    }
}

fn recorded(path: &Path) -> Vec<Event> {
    let mut replay = Replay::new(File::open(path).unwrap()).unwrap();
    std::iter::from_fn(|| replay.next_event().unwrap()).collect()
}

#[test]
fn sigterm_under_load_ends_it_with_a_summary_that_adds_up() {
    let Some(agent) = Agent::start(&EVERYTHING, Stdio::piped()) else { return };
    let Read { agent, reader } = Read::of(agent);
    let load = Load::start();
    wait::until_true("some load", wait::LONG, || {
        Ok(agent.metric("mtlsnoop_connections_total{result=\"reported\"}") > 200.0)
    })
    .unwrap();
    let ended = agent.end();
    drop(load);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let (summary, connections) = account(&reader.join().unwrap());
    assert_adds_up(&summary);
    let told = summary["reported"].as_u64().unwrap() + summary["began_before"].as_u64().unwrap();
    // A reader that is not fast enough misses lines, and they are counted.
    let lost = summary["lost"]["lost_output"].as_u64().unwrap_or(0);
    assert_eq!(connections + lost, told, "{summary}");
}

#[test]
fn a_full_disk_stops_the_recording_and_nothing_else() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: mounting a small disk needs root");
        return;
    }
    let disk = SmallDisk::new();
    let path = disk.path().join("recording");
    let arguments = [&EVERYTHING as &[&str], &["-w", path.to_str().unwrap()]].concat();
    let Some(agent) = Agent::start(&arguments, Stdio::piped()) else { return };
    let mut stdout = Read::of(agent);
    let load = Load::start();
    let lost = || stdout.agent.metric("mtlsnoop_output_lost_total{output=\"recording\"}");
    wait::until_true("a full disk", wait::LONG, || Ok(lost() > 0.0)).unwrap();
    let before = stdout.agent.metric("mtlsnoop_events_total{kind=\"ended\"}");
    wait::until_true("more events", wait::LONG, || {
        Ok(stdout.agent.metric("mtlsnoop_events_total{kind=\"ended\"}") > before + 100.0)
    })
    .unwrap();
    drop(load);
    stdout.agent.signal(Signal::SIGTERM);
    let text = stdout.reader.join().unwrap();
    assert_eq!(stdout.agent.child.wait().unwrap().code(), Some(0), "{}", stdout.agent.stderr());
    let stderr = stdout.agent.stderr();
    assert_eq!(stderr.matches("No space left on device").count(), 1, "{stderr}");
    let (summary, _) = account(&text);
    assert_adds_up(&summary);
    let missing = summary["lost"]["lost_recording"].as_u64().unwrap();
    // What is on the disk is whole, and what is not on it was counted: every end is in one of the two.
    let ends = recorded(&path).iter().filter(|event| matches!(event, Event::Ended(_))).count() as u64;
    let told = summary["reported"].as_u64().unwrap() + summary["began_before"].as_u64().unwrap();
    assert!(ends < told && ends + missing >= told, "{ends} recorded, {missing} lost, {summary}");
    let analyzed = run(&["analyze", path.to_str().unwrap(), "-o", "json"]);
    assert_eq!(analyzed.code, Some(0), "{analyzed:?}");
}

/// An agent whose standard output is read all the time.
struct Read {
    agent: Agent,
    reader: thread::JoinHandle<String>,
}

impl Read {
    fn of(mut agent: Agent) -> Self {
        let mut pipe = agent.child.stdout.take().unwrap();
        let reader = thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        });
        Self { agent, reader }
    }
}

#[test]
fn standard_output_that_nobody_reads_stops_nothing_and_every_line_is_counted() {
    let Some(agent) = Agent::start(&EVERYTHING, Stdio::piped()) else { return };
    let load = Load::start();
    let lost = || agent.metric("mtlsnoop_output_lost_total{output=\"stdout\"}");
    wait::until_true("lines that are lost", 4 * wait::LONG, || Ok(lost() > 100.0)).unwrap();
    agent.wait_until_said("standard output is not read fast enough");
    assert_eq!(agent.get("/livez").status, 200);
    drop(load);
    // Somebody reads again, which is what the end waits for.
    let ended = agent.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("is not read fast enough").count(), 1, "{}", ended.stderr);
    let (summary, connections) = ended.account();
    assert_adds_up(&summary);
    let told = summary["reported"].as_u64().unwrap() + summary["began_before"].as_u64().unwrap();
    assert_eq!(connections + summary["lost"]["lost_output"].as_u64().unwrap(), told, "{summary}");
}

#[test]
fn it_ends_also_when_nobody_reads_any_more() {
    let Some(mut agent) = Agent::start(&EVERYTHING, Stdio::piped()) else { return };
    let unread = agent.child.stdout.take().unwrap();
    let load = Load::start();
    // More than a pipe holds, so that the summary does not get through.
    wait::until_true("a full pipe", wait::LONG, || {
        Ok(agent.metric("mtlsnoop_connections_total{result=\"reported\"}") > 1000.0)
    })
    .unwrap();
    let ended = agent.end();
    drop(load);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("were not read until the end"), "{}", ended.stderr);
    drop(unread);
}

#[test]
fn what_does_not_fit_into_the_ring_is_counted_by_name() {
    let arguments = [&EVERYTHING as &[&str], &["--ring-bytes", "4096"]].concat();
    let Some(agent) = Agent::start(&arguments, Stdio::piped()) else { return };
    let stdout = Read::of(agent);
    let load = Load::start();
    wait::until_true("losses", wait::LONG, || {
        let lost = |name| stdout.agent.metric(&format!("mtlsnoop_lost_total{{loss=\"{name}\"}}"));
        Ok(lost("lost_opened") > 0.0 && lost("lost_ended") > 0.0)
    })
    .unwrap();
    assert!(stdout.agent.metric("mtlsnoop_ring_fill_ratio") > 0.0);
    drop(load);
    let Read { agent, reader } = stdout;
    let ended = agent.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_adds_up(&account(&reader.join().unwrap()).0);
}

#[test]
fn files_of_a_rotated_recording_can_be_analyzed_alone_and_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording");
    let rotation = ["--write-size", "64KiB", "--write-files", "1000", "-w", path.to_str().unwrap()];
    let arguments = [&EVERYTHING as &[&str], &rotation].concat();
    let Some(agent) = Agent::start(&arguments, Stdio::piped()) else { return };
    let Read { agent, reader } = Read::of(agent);
    let load = Load::start();
    let third = folder.path().join("recording.2");
    wait::until_true("three files", wait::LONG, || Ok(third.exists())).unwrap();
    drop(load);
    assert_eq!(agent.end().code, Some(0));
    let (mut summary, connections) = account(&reader.join().unwrap());
    // An analysis may be of several nodes, and names none.
    assert!(summary.as_object_mut().unwrap().remove("node").is_some(), "{summary}");
    let mut paths: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    for path in &paths {
        assert!(matches!(recorded(path)[0], Event::Began(_)), "{path:?}");
        let alone = run(&["analyze", path.to_str().unwrap(), "-o", "json", "--all"]);
        // Counts come before what they count, so that those of one file alone are off by what came with the last of them.
        assert_eq!(alone.code, Some(0), "{alone:?}");
        let (alone, _) = account(&alone.stdout);
        assert!(alone["seen"].as_u64().unwrap() < summary["seen"].as_u64().unwrap(), "{alone} {summary}");
    }
    let paths: Vec<_> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let together = run(&[&["analyze", "-o", "json", "--all"], paths.as_slice()].concat());
    assert_eq!(account(&together.stdout), (summary, connections), "{}", together.stderr);
}

#[test]
fn a_recording_without_a_place_is_an_error_at_the_start() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: an agent needs root");
        return;
    }
    let arguments = ["agent", "--cluster", "none", "--listen", "127.0.0.1:0", "-w", "/nonexistent/recording"];
    run(&arguments).fails_with(1, &["/nonexistent/recording", "No such file"]);
}
