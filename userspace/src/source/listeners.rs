//! Sockets that listen already when tracing starts, in every network namespace that has a process; knows no pods.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use procfs::{
    FromBufReadSI as _,
    net::{TcpNetEntries, TcpState},
    process::Process,
};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    event::{
        socket::{Listener, Owner, ProcessName},
        time::Time,
    },
    source::cgroup,
};

/// As much as the kernel puts into a line of `/proc/net/tcp` (`TMPSZ`, `net/ipv4/tcp_ipv4.c`): with a larger buffer it would go on
/// to what is not wanted.
const LINE_BYTES: usize = 150;

/// Every TCP socket of this node that listens, as found at this time.
///
/// `mount` is the root of the cgroup v2 hierarchy. What cannot be read (a process that vanished, or one of somebody else when not root) is left out; a socket whose
/// process is not found is given with what its network namespace tells.
pub fn listening(time: Time, mount: Option<&Path>) -> Vec<Listener> {
    let pids = pids();
    let found: Vec<Found> =
        namespaces(&pids).into_iter().flat_map(|(netns, pid)| in_namespace(netns, pid)).collect();
    let wanted = found.iter().map(|found| found.inode).collect();
    let holders = holders(&pids, &wanted);
    let mut processes = FxHashMap::default();
    found
        .into_iter()
        .map(|found| {
            let owner = holders
                .get(&found.inode)
                .map(|pid| processes.entry(*pid).or_insert_with(|| describe(*pid, mount)).clone());
            let owner = Owner { uid: found.uid, netns: found.netns, ..owner.unwrap_or_default() };
            Listener { time, local: found.local, owner }
        })
        .collect()
}

/// A listening socket as `/proc/PID/net/tcp` tells it.
struct Found {
    local: SocketAddr,
    inode: u64,
    uid: u32,
    netns: u32,
}

/// All processes, by pid. Pid 1 is last: systemd holds the sockets of services that it starts on demand, and the service is
/// the one that people know.
fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut pids: Vec<u32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable_by_key(|pid| (*pid == 1, *pid));
    pids
}

/// Each network namespace by its inode, with one process in it.
fn namespaces(pids: &[u32]) -> FxHashMap<u32, u32> {
    let mut namespaces = FxHashMap::default();
    for pid in pids {
        // Inodes of namespaces are numbers of 32 bits (`struct ns_common`, include/linux/ns_common.h).
        let inode =
            fs::metadata(format!("/proc/{pid}/ns/net")).ok().and_then(|link| u32::try_from(link.ino()).ok());
        if let Some(inode) = inode {
            namespaces.entry(inode).or_insert(*pid);
        }
    }
    namespaces
}

/// What listens in the network namespace of this process.
fn in_namespace(netns: u32, pid: u32) -> Vec<Found> {
    let tables = ["tcp", "tcp6"].map(|table| File::open(format!("/proc/{pid}/net/{table}")).ok());
    let texts = tables
        .into_iter()
        .flatten()
        .map(|table| listening_lines(BufReader::with_capacity(LINE_BYTES, table)));
    texts
        .filter_map(|text| TcpNetEntries::from_buf_read(text.as_slice(), procfs::current_system_info()).ok())
        .flat_map(|entries| entries.0)
        .filter(|entry| entry.state == TcpState::Listen)
        .map(|entry| Found {
            local: SocketAddr::new(entry.local_address.ip().to_canonical(), entry.local_address.port()),
            inode: entry.inode,
            uid: entry.uid,
            netns,
        })
        .collect()
}

/// The lines of a table that tell of listening sockets, with its header.
///
/// They come first (`tcp_get_idx`, `net/ipv4/tcp_ipv4.c`). What follows is all the connections of the node, among which the
/// kernel looks for those of the namespace: a table of a busy node takes seconds, so that it is not read any further.
fn listening_lines(mut table: impl BufRead) -> Vec<u8> {
    /// `TCP_LISTEN` in the fourth column (`get_openreq4` there, `include/net/tcp_states.h`).
    const LISTENS: &[u8] = b"0A";

    let mut text = Vec::new();
    loop {
        let begin = text.len();
        if table.read_until(b'\n', &mut text).is_ok_and(|bytes| bytes > 0) {
            let mut columns =
                text[begin..].split(u8::is_ascii_whitespace).filter(|column| !column.is_empty());
            if begin == 0 || columns.nth(3) == Some(LISTENS) {
                continue;
            }
        }
        text.truncate(begin);
        return text;
    }
}

fn open(pid: u32) -> Option<Process> {
    Process::new(i32::try_from(pid).ok()?).ok()
}

/// The first process that holds each of these sockets. Parents come before their children as a rule.
fn holders(pids: &[u32], wanted: &FxHashSet<u64>) -> FxHashMap<u64, u32> {
    let mut holders = FxHashMap::default();
    for pid in pids {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        let links = descriptors.flatten().filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
        for inode in links.filter_map(|link| socket_inode(&link)).filter(|inode| wanted.contains(inode)) {
            holders.entry(inode).or_insert(*pid);
        }
        if holders.len() == wanted.len() {
            break;
        }
    }
    holders
}

/// The inode in `socket:[4711]`.
fn socket_inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// What is known of a process; what it does not tell any more stays empty.
fn describe(pid: u32, mount: Option<&Path>) -> Owner {
    let process = open(pid);
    Owner {
        pid,
        process: command(pid),
        gid: process.as_ref().and_then(|process| process.status().ok()).map_or(0, |status| status.rgid),
        cgroup: process
            .zip(mount)
            .and_then(|(process, mount)| cgroup_id(&process, mount))
            .unwrap_or_default(),
        ..Owner::default()
    }
}

/// The command name, as the kernel itself gives it with other events.
fn command(pid: u32) -> ProcessName {
    let mut comm = [0; 16];
    let read = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    // The last byte stays NUL: kernel threads have longer names here, and no sockets of their own.
    for (to, from) in comm.iter_mut().take(15).zip(read.trim_ascii_end()) {
        *to = *from;
    }
    ProcessName::from_kernel(&comm)
}

/// The id of the v2 control group of a process.
fn cgroup_id(process: &Process, mount: &Path) -> Option<u64> {
    let group = process.cgroups().ok()?.into_iter().find(|group| group.hierarchy == 0)?;
    cgroup::id(&directory(mount, &group.pathname)?).ok()
}

/// Where a control group is. None outside of what the mount shows: in a cgroup namespace of our own, others are `/../…`.
fn directory(mount: &Path, path: &str) -> Option<PathBuf> {
    let below = Path::new(path).strip_prefix("/").ok()?;
    below.components().all(|component| component != Component::ParentDir).then(|| mount.join(below))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        net::{SocketAddr, TcpListener, TcpStream},
        os::unix::fs::MetadataExt as _,
        path::Path,
        process,
    };

    use super::{directory, listening, socket_inode};
    use crate::{
        event::{socket::Listener, time::Time},
        source::hierarchy,
    };

    fn find(local: SocketAddr) -> Vec<Listener> {
        let mount = hierarchy::mount().ok().flatten();
        listening(Time(7), mount.as_deref()).into_iter().filter(|listener| listener.local == local).collect()
    }

    #[test]
    fn a_table_is_read_as_far_as_sockets_listen() {
        let header = "  sl  local_address rem_address   st\n";
        let listens = "   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000\n";
        let connected = "   1: 0100007F:18EB 0100007F:9C40 01 00000000:00000000\n";
        let wanted = [header, listens, listens].concat();
        for rest in ["", connected, &[connected, listens].concat(), "   1: 0100007F"] {
            let table = [&wanted, rest].concat();
            assert_eq!(super::listening_lines(table.as_bytes()), wanted.as_bytes(), "{rest:?}");
        }
        assert!(super::listening_lines(b"".as_slice()).is_empty());
    }

    #[test]
    fn own_listeners_are_found() {
        let listeners = ["127.0.0.1:0", "[::1]:0"].map(|address| TcpListener::bind(address).unwrap());
        for listener in &listeners {
            let local = listener.local_addr().unwrap();
            let found = find(local);
            let [found] = found.as_slice() else { panic!("{local} is found once, not {found:?}") };
            assert_eq!(found.time, Time(7));
            assert_eq!(found.owner.pid, process::id());
            let command = fs::read_to_string("/proc/self/comm").unwrap();
            assert_eq!(found.owner.process.as_str(), command.trim_end());
            let own = fs::metadata("/proc/self").unwrap();
            assert_eq!((found.owner.uid, found.owner.gid), (own.uid(), own.gid()));
            assert_eq!(u64::from(found.owner.netns), fs::metadata("/proc/self/ns/net").unwrap().ino());
        }
    }

    #[test]
    fn the_control_group_is_that_of_the_process() {
        let Ok(Some(mount)) = hierarchy::mount() else { return };
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap();
        let path = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap();
        let expected =
            directory(&mount, path).and_then(|directory| fs::metadata(directory).ok()).map(|own| own.ino());

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let found = find(listener.local_addr().unwrap());
        assert_eq!(found.first().map(|found| found.owner.cgroup), Some(expected.unwrap_or_default()));
    }

    #[test]
    fn mapped_addresses_are_canonical() {
        let listener = TcpListener::bind("[::ffff:127.0.0.1]:0").unwrap();
        let local = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
        assert_eq!(find(local).len(), 1);
    }

    #[test]
    fn connections_are_no_listeners() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(find(stream.local_addr().unwrap()), []);
        let local = listener.local_addr().unwrap();
        drop((listener, stream));
        assert_eq!(find(local), []);
    }

    #[test]
    fn links_of_sockets_have_inodes() {
        let table =
            [("socket:[4711]", Some(4711)), ("pipe:[4711]", None), ("socket:[]", None), ("/dev/null", None)];
        for (link, inode) in table {
            assert_eq!(socket_inode(Path::new(link)), inode, "{link}");
        }
    }

    #[test]
    fn control_groups_outside_of_the_mount_are_not_looked_for() {
        let table = [
            ("/", Some("/mnt/")),
            ("/a/b", Some("/mnt/a/b")),
            ("/a/../b", None),
            ("/../../system.slice", None),
            ("relative", None),
        ];
        for (path, expected) in table {
            assert_eq!(directory(Path::new("/mnt"), path).as_deref(), expected.map(Path::new), "{path}");
        }
    }
}
