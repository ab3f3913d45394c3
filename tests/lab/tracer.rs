//! The tracer as its users run it: a command with arguments, lines and an exit code; it must not know anything
//! of the tracer's code.

use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::address::Range;
use crate::cluster::Cluster;
use crate::command::Launch;
use crate::privilege::{self, Privileges};
use crate::process::Process;
use crate::{program, wait};

/// How the tracer says on its standard error that everything is attached.
const READY: &str = "tracing";

/// A line of the tracer's standard output.
#[derive(Debug, Clone)]
pub struct Line {
    /// When it came.
    pub at: Instant,
    /// What it says.
    pub text: String,
}

/// A running tracer.
#[derive(Debug)]
pub struct Tracer {
    process: Process,
    lines: Arc<Mutex<Vec<Line>>>,
    reader: Option<JoinHandle<()>>,
    range: Range,
}

/// A tracer that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// All lines of its standard output.
    pub lines: Vec<Line>,
    /// Its standard error.
    pub stderr: String,
}

impl Tracer {
    /// Starts `mtlsnoop trace` on this machine and waits until everything is attached.
    pub fn start(cluster: &Cluster, arguments: &[&str]) -> Result<Self> {
        let folder = folder(cluster)?;
        Self::launch(cluster, Launch::new(&program::TRACER.find()?, &folder), "trace", arguments)
    }

    /// Starts `mtlsnoop agent`, which goes on until it is stopped.
    pub fn start_agent(cluster: &Cluster, arguments: &[&str]) -> Result<Self> {
        let folder = folder(cluster)?;
        Self::launch(cluster, Launch::new(&program::TRACER.find()?, &folder), "agent", arguments)
    }

    /// Starts it as somebody who is not root.
    pub fn start_as(cluster: &Cluster, privileges: &Privileges, arguments: &[&str]) -> Result<Self> {
        let folder = folder(cluster)?;
        let (setpriv, before) = privileges.setpriv()?;
        let launch = Launch::new(&setpriv, &folder).args(before).args([privilege::tracer(cluster.folder())?]);
        Self::launch(cluster, launch, "trace", arguments)
    }

    fn launch(cluster: &Cluster, launch: Launch, subcommand: &str, arguments: &[&str]) -> Result<Self> {
        let group = cluster.cgroup().join("tracer");
        std::fs::create_dir_all(&group)?;
        let mut process = launch.in_cgroup(&group).args([subcommand]).args(arguments).piped().start()?;
        let lines = Arc::default();
        let reader = process.take_stdout().map(|stdout| read_lines(stdout, Arc::clone(&lines)));
        process.wait_for_stderr("the tracer to be ready", |line| line.starts_with(READY))?;
        Ok(Self { process, lines, reader, range: cluster.range() })
    }

    /// Starts it with JSON lines and the pods of a file.
    pub fn start_json(cluster: &Cluster, cluster_file: &Path, arguments: &[&str]) -> Result<Self> {
        let file = cluster_file.to_str().context("the folder's name is not UTF-8")?;
        Self::start(cluster, &[&["-o", "json", "--cluster", file], arguments].concat())
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has written to its standard error so far.
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<Line> {
        lock(&self.lines).clone()
    }

    /// The JSON lines so far that are about this cluster's pods or about no address at all; other clusters may
    /// run on the machine at the same time.
    pub fn objects(&self) -> Result<Vec<Value>> {
        objects(&self.lines(), self.range)
    }

    /// Waits for a line of text.
    pub fn wait_for_line(
        &mut self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Line> {
        self.wait(what, within, |lines| Ok(lines.iter().find(|line| wanted(&line.text)).cloned()))
    }

    /// Waits for a JSON line about this cluster's pods, and tells when it came.
    pub fn wait_for(
        &mut self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<(Instant, Value)> {
        let range = self.range;
        self.wait(what, within, |lines| {
            for line in lines {
                let object = parse(line)?;
                if is_about(&object, range) && wanted(&object) {
                    return Ok(Some((line.at, object)));
                }
            }
            Ok(None)
        })
    }

    /// Stops it as a person does, with SIGINT, and waits for its end.
    pub fn stop(self) -> Result<Ended> {
        self.process.signal(Signal::SIGINT)?;
        self.wait_for_end()
    }

    /// Waits until it ends by itself.
    pub fn wait_for_end(mut self) -> Result<Ended> {
        let status = wait::until("the tracer's end", wait::LONG, || self.process.ended())?;
        if let Some(reader) = self.reader.take() {
            reader.join().ok().context("the reader of the tracer's lines panicked")?;
        }
        Ok(Ended { status, lines: self.lines(), stderr: self.process.stderr() })
    }

    /// Stops it as the kubelet does, with SIGTERM, and waits for its end.
    pub fn terminate(self) -> Result<Ended> {
        self.process.signal(Signal::SIGTERM)?;
        self.wait_for_end()
    }

    /// Ends it with SIGKILL, as the system's out-of-memory killer does.
    pub fn kill(mut self) -> Result<()> {
        self.process.signal(Signal::SIGKILL)?;
        wait::until("the tracer's end", wait::LONG, || self.process.ended()).map(drop)
    }

    fn wait<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut find: impl FnMut(&[Line]) -> Result<Option<T>>,
    ) -> Result<T> {
        let Self { process, lines, .. } = self;
        let mut seen = usize::MAX;
        let found = wait::until(what, within, || {
            let lines = lock(lines).clone();
            if lines.len() != seen {
                seen = lines.len();
                if let Some(found) = find(&lines)? {
                    return Ok(Some(found));
                }
            }
            process.check_alive()?;
            Ok(None)
        });
        found.with_context(|| format!("the tracer said:\n{}{}", self.said(), self.process.stderr()))
    }

    fn said(&self) -> String {
        text(&self.lines())
    }
}

/// Where its own files go.
fn folder(cluster: &Cluster) -> Result<PathBuf> {
    let folder = cluster.folder().join("tracer");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

impl Ended {
    /// The JSON lines about this cluster's pods or about no address at all.
    pub fn objects(&self, range: Range) -> Result<Vec<Value>> {
        objects(&self.lines, range)
    }

    /// Its whole standard output.
    pub fn stdout(&self) -> String {
        text(&self.lines)
    }
}

/// Whether a JSON line is about a pod in `range`. Lines without addresses, such as the summary, are about all.
pub fn is_about(object: &Value, range: Range) -> bool {
    let addresses: Vec<IpAddr> = ["/client/address", "/server/address"]
        .iter()
        .filter_map(|path| object.pointer(path)?.as_str()?.parse().ok())
        .collect();
    addresses.is_empty() || addresses.into_iter().any(|address| range.contains(address))
}

fn text(lines: &[Line]) -> String {
    lines.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect()
}

fn objects(lines: &[Line], range: Range) -> Result<Vec<Value>> {
    let all = lines.iter().map(parse).collect::<Result<Vec<_>>>()?;
    Ok(all.into_iter().filter(|object| is_about(object, range)).collect())
}

fn parse(line: &Line) -> Result<Value> {
    serde_json::from_str(&line.text).with_context(|| format!("the tracer's line is no JSON: {}", line.text))
}

fn read_lines(stdout: ChildStdout, lines: Arc<Mutex<Vec<Line>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        for text in BufReader::new(stdout).lines().map_while(Result::ok) {
            lock(&lines).push(Line { at: Instant::now(), text });
        }
    })
}

/// A list that a panicking thread has pushed to is still a list.
fn lock(lines: &Mutex<Vec<Line>>) -> MutexGuard<'_, Vec<Line>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tells_lines_of_this_cluster_from_those_of_others() {
        let cases = [
            (
                json!({"kind": "finding", "client": {"address": "10.1.1.25"}, "server": {"address": "8.8.8.8"}}),
                true,
            ),
            (json!({"kind": "finding", "server": {"address": "::ffff:10.1.1.24"}}), true),
            (json!({"kind": "connection", "client": {"address": "10.9.9.9"}}), false),
            (json!({"kind": "summary", "seen": 3}), true),
        ];
        for (object, expected) in cases {
            assert_eq!(is_about(&object, Range::INCIDENT), expected, "{object}");
        }
    }
}
