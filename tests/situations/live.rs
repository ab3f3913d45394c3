//! Lives through all situations under one tracer: first every server, then the tracer, then what the clients do; it
//! must not know what should be found.

use std::{
    cell::RefCell,
    path::PathBuf,
    sync::{Barrier, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use mtlsnoop_tests::{
    capture::Capture,
    certificate::{Authority, DEFAULT_IDENTITY},
    envoy::Sidecar,
    pod::Pod,
    server::Server,
    tracer::{Line, Tracer},
    wait,
};

use crate::{
    at::{self, At},
    place::Place,
    situation::{Mesh, Situation},
};

/// Most of the time everybody waits, so there are more of them than processors.
const WORKERS: usize = 4;

/// How long connections may take to end once the client has.
const CLOSING: Duration = Duration::from_secs(1);

/// A situation that was lived through.
pub(crate) struct Lived {
    /// When the client began.
    pub(crate) began: Option<Instant>,
    /// What was captured at both ends.
    pub(crate) captures: Vec<PathBuf>,
    /// Whether it was as it should be; not whether anything was found.
    pub(crate) result: Result<()>,
}

/// A situation and its place; its server once that runs.
struct Ready<'a> {
    index: usize,
    situation: &'a Situation,
    place: &'a Place<'a>,
    server: Result<Option<Server>>,
}

/// Where all of it happens.
pub(crate) struct World<'a> {
    pub(crate) mesh: &'a Authority,
    pub(crate) captures: bool,
}

impl World<'_> {
    /// Lives through all, and gives them in their order, and the tracer's lines. `start` starts the tracer when every
    /// server runs.
    pub(crate) fn live(
        &self,
        all: &[(&Situation, &Place<'_>)],
        start: impl FnOnce() -> Result<Tracer>,
    ) -> Result<(Vec<Lived>, Vec<Line>)> {
        let to_start: Mutex<Vec<_>> = Mutex::new(all.iter().copied().enumerate().rev().collect());
        let to_live = Mutex::new(Vec::new());
        let lived = Mutex::new(Vec::new());
        let step = Barrier::new(WORKERS + 1);
        let lines = thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| self.work(&to_start, &to_live, &lived, &step));
            }
            step.wait();
            let tracer = start();
            if tracer.is_err() {
                lock(&to_live).clear();
            }
            step.wait();
            step.wait();
            tracer?.stop().map(|ended| ended.lines)
        })?;
        let mut lived = lived.into_inner().unwrap_or_else(PoisonError::into_inner);
        lived.sort_by_key(|(index, _)| *index);
        Ok((lived.into_iter().map(|(_, lived)| lived).collect(), lines))
    }

    /// A process ends with the thread that started it, so no worker ends before all is over.
    fn work<'a>(
        &self,
        to_start: &Mutex<Vec<(usize, (&'a Situation, &'a Place<'a>))>>,
        to_live: &Mutex<Vec<Ready<'a>>>,
        lived: &Mutex<Vec<(usize, Lived)>>,
        step: &Barrier,
    ) {
        while let Some((index, (situation, place))) = take(to_start) {
            let server = situation
                .backend
                .map(|backend| backend.start(&place.server, situation.port, self.mesh))
                .transpose();
            lock(to_live).push(Ready { index, situation, place, server });
        }
        step.wait();
        step.wait();
        while let Some(ready) = take(to_live) {
            let (index, name) = (ready.index, ready.situation.name);
            let mut one = Lived { began: None, captures: Vec::new(), result: Ok(()) };
            one.result = self.live_one(ready, &mut one).with_context(|| name.to_owned());
            lock(lived).push((index, one));
        }
        step.wait();
    }

    fn live_one(&self, ready: Ready<'_>, lived: &mut Lived) -> Result<()> {
        let Ready { situation, place, server, .. } = ready;
        let identity = self.mesh.sign(situation.name, DEFAULT_IDENTITY)?;
        let mesh = Mesh { host: place.host(), port: situation.port, identity: &identity };
        let inbound = situation.inbound.map(|inbound| Sidecar::of_server(&place.server, &inbound(&identity)));
        let at = At {
            situation,
            place,
            outbound: situation.outbound.map(|outbound| outbound(&mesh)),
            client_sidecar: RefCell::new(None),
            server_sidecar: RefCell::new(inbound.transpose()?),
            server: RefCell::new(server?),
            captures: RefCell::new(Vec::new()),
        };
        at.start_client_sidecar()?;
        if self.captures && !situation.is_captured_late {
            at.capture()?;
        }
        lived.began = Some(Instant::now());
        let acted = (situation.act)(&at);
        wait_until_closed(&[&place.client, &place.server])?;
        // What is still open ends now; both the tracer and the captures see it.
        let At { client_sidecar, server_sidecar, server, captures, .. } = at;
        drop((client_sidecar, server_sidecar, server));
        let captures = captures.into_inner().into_iter();
        lived.captures = captures.map(Capture::stop).collect::<Result<_>>()?;
        acted
    }
}

/// Envoy lets go of an app before it closes its own connection. What stays open by intention is not waited for long.
fn wait_until_closed(pods: &[&Pod]) -> Result<()> {
    let deadline = Instant::now() + CLOSING;
    wait::until_true("the connections to end", 2 * CLOSING, || {
        let mut are_open = false;
        for pod in pods {
            are_open |= at::tcp_tables(pod)?.iter().any(|table| has_open_connection(table));
        }
        Ok(!are_open || Instant::now() >= deadline)
    })
}

/// `include/net/tcp_states.h`, as the column `st` of /proc/net/tcp has it: everything but `TCP_TIME_WAIT`,
/// `TCP_CLOSE` and `TCP_LISTEN`.
fn has_open_connection(table: &str) -> bool {
    let states = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(3));
    states.into_iter().any(|state| !matches!(state, "06" | "07" | "0A"))
}

fn take<T>(queue: &Mutex<Vec<T>>) -> Option<T> {
    lock(queue).pop()
}

/// A queue that a panicking thread has used is still a queue.
fn lock<T>(queue: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
