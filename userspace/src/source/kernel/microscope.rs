//! The microscope: programs that are loaded at start, and attached only to the control groups that it is armed for.

use std::{fs::File, io, path::PathBuf};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, MapError},
    programs::{
        BtfTracePoint, CgroupSkb, CgroupSkbAttachType, ProgramError, cgroup_skb::CgroupSkbLink,
        tp_btf::BtfTracePointLink,
    },
};
use mtlsnoop_ebpf::program;
use rustc_hash::FxHashMap;

use crate::{
    event::time::{SECOND_NS, Time},
    source::{cgroup, kernel::attached::attach_cgroup},
};

/// Between two walks through what is below the armed groups at most this long passes.
const WALK_PAUSE_NS: u64 = SECOND_NS;

/// Why a control group cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum ArmError {
    /// It holds everything that runs here, and what is attached to it sees every packet.
    #[error("it is the root of all control groups")]
    Root,
    /// It cannot be opened: most often it is gone.
    #[error("cannot open the control group: {0}")]
    Cgroup(#[from] io::Error),
    /// A program cannot be attached to it.
    #[error("cannot attach to it: {0}")]
    Program(#[from] ProgramError),
    /// There are too many control groups below it, or the map cannot be written.
    #[error("cannot follow its sockets: {0}")]
    Map(#[from] MapError),
}

/// Which control groups are watched closely. Dropping it detaches everything.
pub(super) struct Microscope {
    groups: FxHashMap<Box<str>, Group>,
    /// Follows sockets from their connects on, of the control groups in `ids` only; attached while there are any.
    follow: Option<BtfTracePointLink>,
    ids: HashMap<MapData, u64, u8>,
    mount: PathBuf,
    walked_at: Time,
}

/// What is attached to one control group.
struct Group {
    /// It and all below it: id, and path below it.
    below: Vec<(u64, Box<str>)>,
    _payload: [CgroupSkbLink; 2],
}

impl Microscope {
    /// Not armed for anything.
    pub(super) fn new(ids: HashMap<MapData, u64, u8>, mount: PathBuf) -> Self {
        Self { groups: FxHashMap::default(), follow: None, ids, mount, walked_at: Time::default() }
    }

    /// Watches the control group at this path below the mount, and all below it.
    pub(super) fn arm(&mut self, programs: &mut Ebpf, path: &str) -> Result<(), ArmError> {
        if path == "/" {
            return Err(ArmError::Root);
        }
        if self.groups.keys().any(|group| is_within(path, group)) {
            return Ok(());
        }
        // What watches a part of it would tell everything there twice.
        let parts: Vec<Box<str>> =
            self.groups.keys().filter(|group| is_within(group, path)).cloned().collect();
        for part in &parts {
            self.disarm(part);
        }
        let cgroup = File::open(self.directory(path))?;
        let group = Group {
            below: Vec::new(),
            _payload: [
                attach(programs, program::PAYLOAD_SENT, &cgroup, CgroupSkbAttachType::Egress)?,
                attach(programs, program::PAYLOAD_RECEIVED, &cgroup, CgroupSkbAttachType::Ingress)?,
            ],
        };
        self.groups.insert(path.into(), group);
        let followed = self.follow(programs, path);
        if followed.is_err() {
            self.disarm(path);
        }
        followed
    }

    /// Containers of armed pods are started again, each time in a control group of its own: follows those that are new. To be
    /// called often: it is not known how soon they connect.
    ///
    /// Not told by inotify: the end of a process that holds one waits for work of the kernel that a busy processor can put
    /// off for half a minute (`fsnotify_destroy_group`, fs/notify/group.c), and cannot be killed until then.
    pub(super) fn follow_new(&mut self, now: Time) {
        // One that comes while another goes is not noticed otherwise.
        let is_time = now.since_ns(self.walked_at) >= WALK_PAUSE_NS;
        if is_time {
            self.walked_at = now;
        }
        let changed = self
            .groups
            .iter()
            .filter(|(path, group)| is_time || cgroup::has_changed(&self.directory(path), &group.below));
        let changed: Vec<Box<str>> = changed.map(|(path, _)| path.clone()).collect();
        for path in changed {
            // What cannot be followed any more is told by the ends of its connections, as with everybody else.
            let _ = self.follow_below(&path);
        }
    }

    fn directory(&self, path: &str) -> PathBuf {
        self.mount.join(path.trim_start_matches('/'))
    }

    /// Last: of every connection that is seen to begin, the first payload is seen too.
    fn follow(&mut self, programs: &mut Ebpf, path: &str) -> Result<(), ArmError> {
        self.follow_below(path)?;
        if self.follow.is_none() {
            self.follow = Some(attach_follower(programs)?);
        }
        Ok(())
    }

    /// Follows all that is below it now, and nothing else.
    fn follow_below(&mut self, path: &str) -> Result<(), MapError> {
        let directory = self.directory(path);
        let below = cgroup::below(&directory);
        let Some(group) = self.groups.get_mut(path) else { return Ok(()) };
        let is_there = |id: u64| below.iter().any(|(there, _)| *there == id);
        for (gone, _) in group.below.iter().filter(|(id, _)| !is_there(*id)) {
            // It fails only if it is not there.
            let _ = self.ids.remove(gone);
        }
        group.below = below;
        group.below.iter().try_for_each(|(id, _)| self.ids.insert(id, 1, 0))
    }

    /// Watches it no longer.
    pub(super) fn disarm(&mut self, path: &str) {
        let Some(group) = self.groups.remove(path) else { return };
        if self.groups.is_empty() {
            self.follow = None;
        }
        for (id, _) in group.below {
            // It fails only if it is not there.
            let _ = self.ids.remove(&id);
        }
    }

    /// How many control groups these are, with all below them.
    pub(super) fn armed_ids(&self) -> usize {
        self.groups.values().map(|group| group.below.len()).sum()
    }

    /// How many control groups are watched.
    pub(super) fn armed(&self) -> usize {
        self.groups.len()
    }
}

/// `path` is `group`, or below it.
fn is_within(path: &str, group: &str) -> bool {
    let below = path.strip_prefix(group.trim_end_matches('/'));
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn attach(
    programs: &mut Ebpf,
    name: &str,
    cgroup: &File,
    place: CgroupSkbAttachType,
) -> Result<CgroupSkbLink, ProgramError> {
    let program: &mut CgroupSkb = programs.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()?;
    attach_cgroup(program, cgroup, place)
}

fn attach_follower(programs: &mut Ebpf) -> Result<BtfTracePointLink, ProgramError> {
    let program: &mut BtfTracePoint =
        programs.program_mut(program::SOCKET_STATE).ok_or(ProgramError::NotLoaded)?.try_into()?;
    let link = program.attach()?;
    program.take_link(link)
}

#[cfg(test)]
mod tests {
    use super::is_within;

    #[test]
    fn a_group_is_within_itself_and_what_is_above_it() {
        let table = [
            ("/kubepods/pod1", "/kubepods/pod1", true),
            ("/kubepods/pod1/a", "/kubepods/pod1", true),
            ("/kubepods/pod1", "/kubepods/pod1/a", false),
            ("/kubepods/pod10", "/kubepods/pod1", false),
            ("/kubepods/pod1", "/", true),
            ("/", "/", true),
            ("/", "/kubepods", false),
        ];
        for (path, group, expected) in table {
            assert_eq!(is_within(path, group), expected, "{path} {group}");
        }
    }
}
