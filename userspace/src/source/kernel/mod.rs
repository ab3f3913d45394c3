//! The live source: loads the eBPF programs, drains their ring and gives events. The only place that knows aya.

mod attach;
mod attached;
pub mod capability;
mod clock;
mod decode;
mod error;
pub mod examine;
mod failed_connect;
mod fill;
mod hooks;
mod load;
mod microscope;
mod offsets;
mod own;
mod pace;
mod public_fields;
#[cfg(test)]
mod readme;
mod runs;
mod told;
mod tracefs;

pub use error::{NotPermitted, StartError};
pub use fill::Fill;
pub use hooks::{Capture, Hook};
pub use microscope::ArmError;
pub use offsets::OffsetError;
pub use runs::Ran;

use std::{
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    time::Duration,
};

use aya::{
    Ebpf,
    maps::{MapData, PerCpuArray, RingBuf},
    programs::ProgramError,
};
use aya_log::EbpfLogger;
use mtlsnoop_ebpf::counter;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustc_hash::FxHashSet;

use crate::{
    config::Hooks,
    event::{
        self, Began, Cgroup, Event,
        loss::{Counters, Loss},
        socket::SocketId,
        time::{MILLISECOND_NS, SECOND_NS, Time},
    },
    identity::container_id,
    source::{
        cgroup::CgroupNames,
        hierarchy::Root,
        kernel::{
            attached::Attached, clock::Clock, decode::Decoded, failed_connect::FailedConnects, fill::Filled,
            microscope::Microscope, own::OwnSockets, pace::Pace, public_fields::PublicFields, told::Told,
        },
        listeners,
    },
};

/// Time passes for the core in steps of this, also when nothing happens.
const TICK_NS: u64 = 100 * MILLISECOND_NS;

/// The ring's own bytes before each record, which are rounded up to as many (`BPF_RINGBUF_HDR_SZ`, include/uapi/linux/bpf.h).
const RECORD_HEADER_BYTES: u64 = 8;

/// First bytes without data, with the ring's own header.
const SMALLEST_RECORD_BYTES: u32 = 40 + 8;

/// Most cgroups that are remembered as named; after that all are named again when they are seen. Fewer than the core keeps.
const MAX_NAMED: usize = 8192;

/// Listeners are looked for again at most this often.
const LISTENERS_PAUSE_NS: u64 = 10 * SECOND_NS;

/// What one record of the ring says, with the kernel's own times; none when it cannot be read. For tests that give it any bytes.
pub fn read_record(record: &[u8]) -> Option<Event> {
    let clock = Clock { monotonic_to_epoch_ns: 0, jiffy_ns: 4 * MILLISECOND_NS };
    decode::decode(record, &clock).ok().map(|decoded| decoded.event)
}

/// What the live source is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// How much is attached.
    pub capture: Capture,
    /// Size of the ring; a power of two of at least a page.
    pub ring_bytes: u32,
    /// Let the programs log their own diagnostics.
    pub kernel_log: bool,
    /// Where the kernel's type information is.
    pub btf: PathBuf,
    /// Programs that are not to be used, so that what comes after them is.
    pub without: Vec<String>,
    /// Name of the node, where `uname -n` does not tell it: within a pod that tells the pod.
    pub node: Option<Box<str>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            capture: Capture::default(),
            ring_bytes: 8 << 20,
            kernel_log: false,
            btf: PathBuf::from(offsets::KERNEL_BTF),
            without: Vec::new(),
            node: None,
        }
    }
}

impl Options {
    /// What a user chose of hooks, and the defaults.
    pub fn for_hooks(hooks: &Hooks) -> Self {
        let Hooks { btf, without } = hooks.clone();
        let defaults = Self::default();
        Self { btf: btf.unwrap_or_else(|| defaults.btf.clone()), without, ..defaults }
    }
}

/// The attached programs. When it is dropped, or the process ends by any means, nothing stays in the kernel: links are
/// file descriptors of this process, and nothing is pinned.
pub struct Kernel {
    ring: RingBuf<MapData>,
    ring_bytes: u32,
    /// How many of the smallest records the ring holds.
    ring_records: u32,
    counters: PerCpuArray<MapData, u64>,
    coverage: Vec<Hook>,
    clock: Clock,
    cgroups: CgroupNames,
    /// Cgroups whose path was given.
    named: FxHashSet<u64>,
    failed_connects: FailedConnects,
    public_fields: PublicFields,
    own: OwnSockets,
    /// Only where ends are told by the sentinel.
    told: Option<Told>,
    microscope: Option<Microscope>,
    filled: Filled,
    listeners_at: Time,
    undecodable: u64,
    /// Most of the ring that a look has found full since somebody asked, in bytes.
    fullest_bytes: u64,
    counted: Counters,
    last_tick: Time,
    pace: Pace,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
    /// Events that became known before anything was drained.
    waiting: Vec<Event>,
    /// Names of control groups are looked up below it.
    root: Option<Root>,
    /// Holds the links.
    attached: Attached,
    programs: Ebpf,
}

impl Kernel {
    /// Loads and attaches what this kernel allows.
    pub fn start(options: &Options) -> Result<Self, StartError> {
        let clock = Clock::read().map_err(StartError::Clock)?;
        let load::Loaded { mut programs, attached, ring, counters, coverage, root, microscope, filled } =
            load::load(options)?;
        let logger = options
            .kernel_log
            .then(|| EbpfLogger::init(&mut programs))
            .transpose()
            .map_err(StartError::Logger)?;
        let now = clock.now();
        let node = options.node.clone().unwrap_or_else(node_name);
        let capture = match options.capture {
            Capture::Always => event::Capture::Always,
            Capture::Sentinel | Capture::Adaptive => event::Capture::Adaptive,
        };
        let mut waiting = vec![Event::Began(Began { time: now, node, capture, looks_up: false })];
        let mount = root.as_ref().map(Root::path);
        waiting.extend(listeners::listening(now, mount).into_iter().map(Event::Listening));
        Ok(Self {
            ring,
            ring_bytes: options.ring_bytes,
            ring_records: options.ring_bytes / SMALLEST_RECORD_BYTES,
            counters,
            clock,
            cgroups: CgroupNames::new(mount.map(Path::to_owned).unwrap_or_default()),
            named: FxHashSet::default(),
            failed_connects: FailedConnects::new(coverage.iter().any(Hook::tells_failed_connects)),
            public_fields: PublicFields::new(&coverage),
            own: OwnSockets::default(),
            told: (capture == event::Capture::Adaptive).then(Told::default),
            microscope,
            filled,
            listeners_at: now,
            undecodable: 0,
            fullest_bytes: 0,
            counted: Counters::default(),
            last_tick: now,
            pace: Pace::default(),
            logger,
            waiting,
            coverage,
            root,
            attached,
            programs,
        })
    }

    /// What is attached, and what is lost without the rest.
    pub fn coverage(&self) -> &[Hook] {
        &self.coverage
    }

    /// The control group, by its path, that holds everything of the pod whose socket has this one; none when it is not found.
    pub fn group_of(&mut self, cgroup: u64) -> Option<Box<str>> {
        let now = self.clock.now();
        self.cgroups.path(cgroup, now).map(|path| container_id::pod_group(path).into())
    }

    /// Watches a control group closely: every connection from its connect on, with the first payload each way.
    pub fn arm(&mut self, group: &str) -> Result<(), ArmError> {
        let Some(microscope) = &mut self.microscope else { return Ok(()) };
        microscope.arm(&mut self.programs, group)?;
        // The sentinel does not see listeners come; who answers a suspect is asked now.
        let now = self.clock.now();
        if now.since_ns(self.listeners_at) >= LISTENERS_PAUSE_NS {
            self.listeners_at = now;
            self.waiting.extend(
                listeners::listening(now, self.root.as_ref().map(Root::path))
                    .into_iter()
                    .map(Event::Listening),
            );
        }
        Ok(())
    }

    /// Watches it no longer.
    pub fn disarm(&mut self, group: &str) {
        if let Some(microscope) = &mut self.microscope {
            microscope.disarm(group);
        }
    }

    /// This moment, in the time of events.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// How far the calendar was set forward since the start, or back: events go on as if it had not been.
    pub fn calendar_step_ns(&self) -> i64 {
        self.clock.step_ns()
    }

    /// How many control groups are watched closely.
    pub fn armed(&self) -> usize {
        self.microscope.as_ref().map_or(0, Microscope::armed)
    }

    /// How full the ring was at most when it was looked at since the last call, from 0 to 1.
    pub fn take_ring_fill(&mut self) -> f64 {
        let fullest = u32::try_from(std::mem::take(&mut self.fullest_bytes)).unwrap_or(u32::MAX);
        (f64::from(fullest) / f64::from(self.ring_bytes.max(1))).min(1.0)
    }

    /// How full the maps are; counted now and then. `awaits_answer` tells whether a connection does.
    pub fn map_fill(&mut self, awaits_answer: impl Fn(SocketId) -> bool) -> Fill {
        let armed = self.microscope.as_ref().map_or(0, Microscope::armed_ids);
        self.filled.fill(self.clock.now(), armed, awaits_answer)
    }

    /// What the programs cost so far, where the kernel counts it.
    pub fn runs(&self) -> Vec<Ran> {
        runs::of(&self.programs)
    }

    /// Detaches what was attached at the start and leaves it loaded, so that what it costs can be measured.
    pub fn pause(&mut self) {
        self.attached.detach();
    }

    /// Attaches it again.
    pub fn resume(&mut self) -> Result<(), ProgramError> {
        self.attached.reattach(&mut self.programs, self.root.as_ref().map(Root::directory))
    }

    /// Gives everything that happened since the last call. Losses come first, so that whoever judges what follows
    /// knows of them; a tick comes last, at most every 100 ms. Tells how soon to call it again.
    pub fn drain(&mut self, sink: &mut dyn FnMut(Event)) -> Duration {
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
        let now = self.clock.now();
        for event in std::mem::take(&mut self.waiting) {
            name_cgroup(&mut self.cgroups, &mut self.named, &event, now, sink);
            sink(event);
        }
        let is_time = now.since_ns(self.last_tick) >= TICK_NS;
        if let Some(microscope) = self.microscope.as_mut().filter(|_| is_time) {
            microscope.follow_new(now);
        }
        let has_records = self.has_records();
        // While nothing happens, nothing is asked for: reading the counters takes a system call for each.
        if is_time || has_records {
            self.count(now, sink);
        }
        if has_records {
            self.drain_ring(now, sink);
        }
        if is_time {
            self.last_tick = now;
            sink(Event::Tick(now));
        }
        self.pace.next(has_records)
    }

    /// There is a record in the ring, or somebody waits for what comes next.
    fn has_records(&self) -> bool {
        let mut polled = [PollFd::new(self.ring.as_fd(), PollFlags::POLLIN)];
        // When it cannot be told, looking costs little.
        poll(&mut polled, PollTimeout::ZERO) != Ok(0) || self.failed_connects.is_waiting()
    }

    /// At most a ring's worth: records that keep coming faster than they are taken must not hold back the count.
    fn drain_ring(&mut self, now: Time, sink: &mut dyn FnMut(Event)) {
        let Self {
            ring, clock, failed_connects, public_fields, told, own, cgroups, named, undecodable, ..
        } = self;
        let mut bytes = 0;
        let mut pass = |decoded: Decoded| {
            let is_news = told.as_mut().is_none_or(|told| told.is_news(&decoded));
            if !own.is_own(&decoded) && is_news {
                name_cgroup(cgroups, named, &decoded.event, now, sink);
                sink(decoded.event);
            }
        };
        for _ in 0..self.ring_records {
            let Some(item) = ring.next() else { break };
            bytes += (item.len() as u64).next_multiple_of(8) + RECORD_HEADER_BYTES;
            match decode::decode(&item, clock) {
                Ok(decoded) => failed_connects.pass(public_fields.complete(decoded), &mut pass),
                Err(_) => *undecodable += 1,
            }
        }
        failed_connects.drained(&mut pass);
        self.fullest_bytes = self.fullest_bytes.max(bytes);
    }

    /// Detaches, drains what is left and gives the final count.
    pub fn finish(mut self, sink: &mut dyn FnMut(Event)) {
        // First of all: what begins between the last record and the last count would be seen and never reported.
        self.microscope = None;
        self.attached.detach();
        self.drain(sink);
        let now = self.clock.now();
        // Ends that wait for a record that does not come any more are given by the second of these.
        self.drain_ring(now, sink);
        self.drain_ring(now, sink);
        self.count(now, sink);
        sink(Event::Tick(now));
    }

    fn count(&mut self, now: Time, sink: &mut dyn FnMut(Event)) {
        let total = |index| self.counters.get(&index, 0).map_or(0, |per_cpu| per_cpu.iter().sum());
        let kernel = (0..)
            .zip(counter::NAMES)
            .filter_map(|(index, name)| Some((Loss::from_name(name)?, total(index))));
        let mut lost: Vec<_> = kernel.filter(|(_, count)| *count > 0).collect();
        if self.undecodable > 0 {
            lost.push((Loss::UndecodableRecord, self.undecodable));
        }
        let (seen, own) = match &self.told {
            Some(told) => (total(counter::DESTROYED) + told.early(), self.own.ended()),
            None => (total(counter::SEEN) + self.failed_connects.seen(), self.own.begun()),
        };
        let counted = Counters { time: now, seen, own, lost };
        let is_news = (counted.seen, counted.own, &counted.lost)
            != (self.counted.seen, self.counted.own, &self.counted.lost);
        if is_news {
            self.counted = counted.clone();
            sink(Event::Counted(counted));
        }
    }
}

/// Name of this machine, as `uname -n` tells.
pub fn node_name() -> Box<str> {
    nix::sys::utsname::uname()
        .map_or_else(|_| String::new(), |name| name.nodename().to_string_lossy().into_owned())
        .into()
}

/// Gives the path of a socket's cgroup before the event that first mentions it.
fn name_cgroup(
    paths: &mut CgroupNames,
    named: &mut FxHashSet<u64>,
    event: &Event,
    now: Time,
    sink: &mut dyn FnMut(Event),
) {
    let id = match event {
        Event::Opened(opened) | Event::Accepted(opened) => opened.owner.cgroup,
        Event::Listening(listener) => listener.owner.cgroup,
        Event::Ended(ended) if ended.accepted.is_some() => ended.cgroup,
        _ => return,
    };
    if id == 0 || named.contains(&id) {
        return;
    }
    // One that is not found is asked for again with the next socket: its directory may have been made just now.
    if let Some(path) = paths.path(id, now) {
        if named.len() >= MAX_NAMED {
            named.clear();
        }
        named.insert(id);
        sink(Event::Cgroup(Cgroup { time: now, id, path: path.into() }));
    }
}
