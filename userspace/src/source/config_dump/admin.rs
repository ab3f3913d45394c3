//! The configuration of a running proxy, asked of its admin port within its pod's network namespace: once for each proxy, one at a time, and
//! never more than reading. Knows no findings.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, setns};
use rustc_hash::FxHashSet;

use crate::{
    event::{envoy::ClustersSeen, time::Time},
    source::config_dump::{self, Malformed, Unused},
};

/// Where Istio has the admin port (`pkg/config/constants`, `DefaultProxyAdminPort` 15000), in IPv4 and IPv6.
const ADDRESSES: [&str; 2] = ["127.0.0.1:15000", "[::1]:15000"];

/// What is asked for: clusters in use and nothing else, so that an Envoy with a large configuration is not held up, and neither its
/// environment nor its routes come along. An Envoy older than 1.16 ignores what is after the question mark.
const PATH: &str = "/config_dump?resource=dynamic_active_clusters";

/// Between two questions at least this long passes.
const PAUSE: Duration = Duration::from_secs(1);

/// An answer that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Most proxies that wait to be asked, and most that are remembered as asked.
const PROXIES_MAX: usize = 1024;

/// A proxy did not tell its configuration.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The process is gone, or of another process id namespace.
    #[error("there is no process {pid}; the tracer must see the node's processes (hostPID)")]
    Gone {
        /// The proxy.
        pid: u32,
    },
    /// Its network namespace may not be entered.
    #[error(
        "the network namespace of process {pid} cannot be entered: {source}; that takes the capabilities SYS_ADMIN and SYS_PTRACE"
    )]
    NotAllowed {
        /// The proxy.
        pid: u32,
        /// What failed.
        source: io::Error,
    },
    /// The admin port does not answer as it should.
    #[error("the admin port of process {pid} does not tell: {what}; it is 15000 with Istio")]
    NoAnswer {
        /// The proxy.
        pid: u32,
        /// What failed.
        what: Box<str>,
    },
    /// What it answers is no dump.
    #[error("what the admin port of process {pid} tells cannot be used: {source}")]
    Malformed {
        /// The proxy.
        pid: u32,
        /// What is wrong with it.
        source: Malformed,
    },
}

impl AdminError {
    /// It will be the same for every proxy.
    pub fn is_for_all(&self) -> bool {
        matches!(self, Self::NotAllowed { .. })
    }
}

/// What a proxy told.
#[derive(Debug)]
pub struct Told {
    /// Its clusters.
    pub seen: ClustersSeen,
    /// What is not used of it.
    pub unused: Unused,
}

/// What tells one pod from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pod {
    /// Inode of its network namespace.
    Namespace(u64),
    /// Its proxy, where the namespace is not told.
    Process(u32),
}

/// Asks proxies.
#[derive(Debug, Default)]
pub struct Admin {
    /// Those whose proxy was asked or waits to be.
    known: FxHashSet<Pod>,
    waiting: VecDeque<u32>,
    asking: Option<JoinHandle<Result<Told, AdminError>>>,
    last: Option<Instant>,
}

impl Admin {
    /// The configuration of this proxy is wanted. Each pod has one proxy, so one answer is enough.
    pub fn want(&mut self, pid: u32) {
        let of = match fs::metadata(namespace_of(pid)) {
            Ok(namespace) => Pod::Namespace(namespace.ino()),
            // A process that is gone meanwhile needs no question.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            // What is missing is said when it is asked.
            Err(_) => Pod::Process(pid),
        };
        if self.known.len() < PROXIES_MAX && self.known.insert(of) {
            self.waiting.push_back(pid);
        }
    }

    /// Nobody is asked any more.
    pub fn stop(&mut self) {
        self.waiting.clear();
    }

    /// Asks the next one if it is time to, and gives what the last one told.
    pub fn poll(&mut self) -> Option<Result<Told, AdminError>> {
        if self.asking.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(Ok(told)) = self.asking.take().map(JoinHandle::join)
        {
            return Some(told);
        }
        let is_early = self.last.is_some_and(|last| last.elapsed() < PAUSE);
        if self.asking.is_none()
            && !is_early
            && let Some(pid) = self.waiting.pop_front()
        {
            self.last = Some(Instant::now());
            // A thread's network namespace ends with the thread: nobody else's changes.
            self.asking = Some(thread::spawn(move || ask(pid)));
        }
        None
    }
}

fn namespace_of(pid: u32) -> String {
    format!("/proc/{pid}/ns/net")
}

/// Enters the network namespace of the process with this thread, and asks.
fn ask(pid: u32) -> Result<Told, AdminError> {
    let not_allowed = |source| AdminError::NotAllowed { pid, source };
    let file = File::open(namespace_of(pid)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => AdminError::Gone { pid },
        _ => not_allowed(error),
    })?;
    let inode = file.metadata().map_err(not_allowed)?.ino();
    setns(&file, CloneFlags::CLONE_NEWNET).map_err(|error| not_allowed(error.into()))?;
    let reading = get(pid)?;
    let seen = ClustersSeen {
        // Whoever polls knows the time of events.
        time: Time::default(),
        node: reading.node,
        // Inodes of namespaces are numbers of 32 bits (`struct ns_common`, include/linux/ns_common.h).
        netns: u32::try_from(inode).ok(),
        clusters: reading.clusters,
    };
    Ok(Told { seen, unused: reading.unused })
}

fn get(pid: u32) -> Result<config_dump::Reading, AdminError> {
    // Neither a proxy of the environment nor a redirection may lead anywhere else.
    let agent = ureq::Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .timeout_global(Some(PATIENCE))
        .build()
        .new_agent();
    let mut failure = None;
    for address in ADDRESSES {
        match agent.get(format!("http://{address}{PATH}")).call() {
            Ok(answer) => {
                let body = answer.into_body().into_with_config().limit(ANSWER_BYTES_MAX).reader();
                let body = io::BufReader::with_capacity(256 << 10, body);
                return config_dump::parse(body).map_err(|source| AdminError::Malformed { pid, source });
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let what = failure.map_or_else(String::new, |error| error.to_string()).into();
    Err(AdminError::NoAnswer { pid, what })
}
