//! `mtlsnoop agent` as a process of the made-up node: started as a `DaemonSet` starts it, its lines read as a log collector
//! does, its port asked. It must not know what happens on the node.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::ChildStdout,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use mtlsnoop_tests::{command::Launch, netns::Netns, process::Process, program, wait};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{group::Group, subject::started::Usage};

/// A running one.
pub(crate) struct Agent {
    process: Process,
    reader: JoinHandle<()>,
    said: Arc<Mutex<Said>>,
    group: Group,
    netns: Netns,
    folder: TempDir,
}

/// What it has said on its standard output.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// When it first told of a finding at this address with the server's pod and Service.
    pub(crate) found: HashMap<IpAddr, Instant>,
    /// Lines by their kind.
    pub(crate) lines: BTreeMap<String, u64>,
    /// The last line.
    pub(crate) last: String,
}

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9469);
/// How long an answer of its port may take.
const PATIENCE: Duration = Duration::from_secs(2);

impl Agent {
    /// Starts it; it is not ready yet.
    pub(crate) fn start(netns: &Netns, node: &str, kubeconfig: &Path) -> Result<Self> {
        let folder = tempfile::tempdir().context("could not make a folder; is the disk full?")?;
        let group = Group::create()?;
        let mut process = Launch::new(&program::TRACER.find()?, folder.path())
            .args(["agent", "--node", node, "--listen", &LISTEN.to_string()])
            .arg_pair("--kubeconfig", kubeconfig)
            .in_netns(netns)
            .in_cgroup(group.path())
            .piped()
            .start()?;
        let stdout = process.take_stdout().context("the agent has no standard output")?;
        let said = Arc::<Mutex<Said>>::default();
        let reader = {
            let said = Arc::clone(&said);
            thread::spawn(move || read(stdout, &said))
        };
        Ok(Self { process, reader, said, group, netns: netns.clone(), folder })
    }

    /// Whether it says that it is ready.
    pub(crate) fn is_ready(&mut self) -> Result<bool> {
        self.process.check_alive()?;
        // Until it listens, nobody answers.
        Ok(self.get("/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")))
    }

    fn get(&self, path: &str) -> Result<String> {
        self.netns.enter(|| {
            let mut stream = TcpStream::connect_timeout(&LISTEN, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            write!(stream, "GET {path} HTTP/1.1\r\nhost: {LISTEN}\r\nconnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        })
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> Said {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn rss_bytes(&self) -> Result<u64> {
        self.group.rss_bytes()
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        Ok(Usage { cpu: self.group.cpu()?, sleeps: self.group.sleeps()? })
    }

    pub(crate) fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// Ends it as the kubelet does, and gives all that it said.
    pub(crate) fn stop(self) -> Result<Said> {
        let Self { mut process, reader, said, group, netns: _, folder } = self;
        process.signal(Signal::SIGTERM)?;
        wait::until("the agent's end", wait::LONG, || process.ended())
            .with_context(|| format!("told to end, it said {:?}", process.stderr()))?;
        reader.join().map_err(|_| anyhow!("the reader of the agent's output panicked"))?;
        drop((group, folder));
        Ok(said.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn read(stdout: ChildStdout, said: &Mutex<Said>) {
    let mut reader = BufReader::with_capacity(1 << 16, stdout);
    let mut line = String::new();
    // Until its end, or until it cannot be read any more, which is the same here.
    while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        let at = Instant::now();
        let object: Value = serde_json::from_str(&line).unwrap_or_default();
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = object["kind"].as_str().unwrap_or("no JSON").to_owned();
        let server = &object["server"];
        let is_complete = server["pod"].is_string() && server["service"].is_string();
        if kind == "finding"
            && is_complete
            && let Some(address) = server["address"].as_str().and_then(|text| text.parse().ok())
        {
            said.found.entry(address).or_insert(at);
        }
        *said.lines.entry(kind).or_default() += 1;
        std::mem::swap(&mut said.last, &mut line);
        line.clear();
    }
}
