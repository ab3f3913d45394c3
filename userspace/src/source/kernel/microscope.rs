//! The microscope: programs that are loaded at start, and attached only to the control groups that it is armed for.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

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

use crate::source::{
    cgroup,
    kernel::{attached::attach_cgroup, new_groups::NewGroups},
};

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
    new: NewGroups,
}

/// What is attached to one control group.
struct Group {
    /// It and all below it.
    ids: Vec<u64>,
    _payload: [CgroupSkbLink; 2],
}

impl Microscope {
    /// Not armed for anything.
    pub(super) fn new(ids: HashMap<MapData, u64, u8>, mount: PathBuf) -> Self {
        Self { groups: FxHashMap::default(), follow: None, ids, mount, new: NewGroups::default() }
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
            ids: Vec::new(),
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

    /// Containers of armed pods are started again, each time in a control group of its own: follows those that are new.
    pub(super) fn follow_new(&mut self, is_time: bool) {
        for path in self.new.take(is_time, self.groups.keys()) {
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
        // The watch comes before the look, so that what comes in between is not missed.
        self.new.watch(path, &directory);
        let mut below = cgroup::below(&directory);
        while self.watch_all(path, &directory, &below) {
            below = cgroup::below(&directory);
        }
        let Some(group) = self.groups.get_mut(path) else { return Ok(()) };
        let ids: Vec<u64> = below.into_iter().map(|(id, _)| id).collect();
        for gone in group.ids.iter().filter(|id| !ids.contains(id)) {
            // It fails only if it is not there.
            let _ = self.ids.remove(gone);
        }
        group.ids = ids;
        group.ids.iter().try_for_each(|id| self.ids.insert(id, 1, 0))
    }

    /// Watches control groups for new ones below them. Whether there was one that was not watched.
    fn watch_all(&mut self, path: &str, directory: &Path, below: &[(u64, Box<str>)]) -> bool {
        let mut is_any_new = false;
        for (_, name) in below {
            is_any_new |= self.new.watch(path, &directory.join(name.trim_start_matches('/')));
        }
        is_any_new
    }

    /// Watches it no longer.
    pub(super) fn disarm(&mut self, path: &str) {
        let Some(group) = self.groups.remove(path) else { return };
        self.new.forget(path);
        if self.groups.is_empty() {
            self.follow = None;
        }
        for id in group.ids {
            // It fails only if it is not there.
            let _ = self.ids.remove(&id);
        }
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
