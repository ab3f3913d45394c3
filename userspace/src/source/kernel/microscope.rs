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

use crate::source::{cgroup, kernel::attached::attach_cgroup};

/// Why a control group cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum ArmError {
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
        Self { groups: FxHashMap::default(), follow: None, ids, mount }
    }

    /// Watches the control group at this path below the mount, and all below it.
    pub(super) fn arm(&mut self, programs: &mut Ebpf, path: &str) -> Result<(), ArmError> {
        if self.groups.keys().any(|group| is_within(path, group)) {
            return Ok(());
        }
        // What watches a part of it would tell everything there twice.
        self.groups.retain(|group, _| !is_within(group, path));
        let directory = self.mount.join(path.trim_start_matches('/'));
        let cgroup = File::open(&directory)?;
        let group = Group {
            ids: cgroup::ids_below(&directory),
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

    /// Last: of every connection that is seen to begin, the first payload is seen too.
    fn follow(&mut self, programs: &mut Ebpf, path: &str) -> Result<(), ArmError> {
        let ids = self.groups.get(path).map_or(&[][..], |group| &group.ids);
        ids.iter().try_for_each(|id| self.ids.insert(id, 1, 0))?;
        if self.follow.is_none() {
            self.follow = Some(attach_follower(programs)?);
        }
        Ok(())
    }

    /// Watches it no longer.
    pub(super) fn disarm(&mut self, path: &str) {
        let Some(group) = self.groups.remove(path) else { return };
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
