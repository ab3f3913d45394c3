//! An agent as a process: what it serves, how it is configured, what becomes of it when something around it fails. Needs root, as tracing
//! does.

mod configured;
mod faults;
mod load;
mod served;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use mtlsnoop_tests::wait;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::program::mtlsnoop;

/// A running agent. It is killed when this is dropped.
struct Agent {
    child: Child,
    said: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    address: SocketAddr,
}

/// An answer to a request.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: String,
    body: String,
}

/// How an agent ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Agent {
    /// Waits until it is ready. None without root, where none starts.
    fn start(arguments: &[&str], stdout: Stdio) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: an agent needs root");
            return None;
        }
        let mut agent = Self::begin(arguments, stdout);
        wait::until_true("the agent to be ready", wait::LONG, || {
            assert_eq!(agent.child.try_wait()?, None, "it ended: {}", agent.stderr());
            Ok(agent.get("/readyz").status == 200)
        })
        .unwrap();
        Some(agent)
    }

    /// Waits until its port is open.
    fn begin(arguments: &[&str], stdout: Stdio) -> Self {
        let mut command = mtlsnoop(&["agent", "--listen", "127.0.0.1:0"]);
        if !arguments.contains(&"--kubeconfig") {
            command.args(["--cluster", "none"]);
        }
        let mut child = command.args(arguments).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        let said: Arc<Mutex<String>> = Arc::default();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let heard = Arc::clone(&said);
        let reader = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                *heard.lock().unwrap() += &(line + "\n");
            }
        });
        let address = wait::until("the agent's port", wait::LONG, || {
            assert_eq!(child.try_wait()?, None, "it ended: {}", said.lock().unwrap());
            let said = said.lock().unwrap();
            Ok(said
                .split_once("served at ")
                .and_then(|(_, rest)| rest.split(['\n', '"']).next()?.parse().ok()))
        });
        Self { child, said, reader: Some(reader), address: address.unwrap() }
    }

    fn stderr(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    fn wait_until_said(&self, words: &str) {
        wait::until_true(words, wait::LONG, || Ok(self.stderr().contains(words))).unwrap();
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n"))
    }

    fn ask(&self, request: &str) -> Answer {
        let mut connection = TcpStream::connect(self.address).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (headers, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, headers: headers.to_lowercase(), body: body.to_owned() }
    }

    /// The sum of all series whose text begins so.
    fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics").body;
        let values = text.lines().filter(|line| line.starts_with(series));
        values.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Ends it as the kubelet does; reads what it has written until then, if that was not given away.
    fn end(mut self) -> Ended {
        self.signal(Signal::SIGTERM);
        let mut stdout = String::new();
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_string(&mut stdout).unwrap();
        }
        let code = self.child.wait().unwrap().code();
        self.reader.take().unwrap().join().unwrap();
        Ended { code, stdout, stderr: self.stderr() }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The summary, which is the last line, and how many lines of connections there are.
    fn account(&self) -> (Value, u64) {
        account(&self.stdout)
    }
}

fn account(stdout: &str) -> (Value, u64) {
    let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.last().unwrap();
    assert_eq!(summary["kind"], "summary", "{summary}");
    let connections = lines.iter().filter(|line| line["kind"] == "connection").count();
    (summary.clone(), connections as u64)
}

/// Every connection end that was seen is somewhere.
#[track_caller]
fn assert_adds_up(summary: &Value) {
    let number = |key: &str| summary[key].as_u64().unwrap();
    let lost = |name: &str| summary["lost"][name].as_u64().unwrap_or(0);
    let lost: u64 = ["lost_opened", "lost_accepted", "evicted_flow", "lost_destroyed"].map(lost).iter().sum();
    assert_eq!(number("seen"), number("reported") + number("filtered") + number("open") + lost, "{summary}");
}
