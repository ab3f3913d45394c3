//! The cgroup v2 hierarchy: the path of a control group by its id; knows no pods.

use std::{
    fs, io,
    os::unix::fs::{DirEntryExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::event::time::{MILLISECOND_NS, SECOND_NS, Time};

/// Between two walks of the hierarchy at least this long passes.
const WALK_PAUSE_NS: u64 = 100 * MILLISECOND_NS;
/// For how long an id that was not found is not looked for again.
const UNKNOWN_FOR_NS: u64 = 10 * SECOND_NS;
/// Control groups that are remembered; a node has a few hundred.
const MAX_KNOWN: usize = 65_536;
/// One that is gone is remembered for so long at least, and for twice as long at most.
const GONE_FOR_NS: u64 = 300 * SECOND_NS;

/// The id of a control group that the kernel gives with sockets: the inode number of its directory, which is the whole id
/// where inode numbers have 64 bits (`kernfs_ino`, include/linux/kernfs.h).
pub(super) fn id(directory: &Path) -> io::Result<u64> {
    Ok(fs::metadata(directory)?.ino())
}

/// Paths of control groups by id, below one mount.
///
/// A control group that is gone keeps its path for a while: the last events of its sockets come after it. The kernel does
/// not use an id twice.
#[derive(Debug)]
pub struct CgroupNames {
    mount: PathBuf,
    /// Found since `known_since`.
    known: FxHashMap<u64, Box<str>>,
    known_since: Time,
    /// Found in the time before.
    former: FxHashMap<u64, Box<str>>,
    /// Not found by the walk at `unknown_since` or a later one.
    unknown: FxHashSet<u64>,
    unknown_since: Time,
    last_walk: Option<Time>,
}

impl CgroupNames {
    /// Knows nothing yet.
    pub fn new(mount: PathBuf) -> Self {
        Self {
            mount,
            known: FxHashMap::default(),
            known_since: Time::default(),
            former: FxHashMap::default(),
            unknown: FxHashSet::default(),
            unknown_since: Time::default(),
            last_walk: None,
        }
    }

    /// The path below the mount of the control group with this id, such as `/kubepods.slice/…`; `/` is the mount itself.
    ///
    /// An id that is new makes it walk the hierarchy, at most once in 100 ms of the time that `now` tells. None means not
    /// found, or not looked for yet: asking again later may find it.
    pub fn path(&mut self, id: u64, now: Time) -> Option<&str> {
        if self.find(id).is_none() && self.may_walk_for(id, now) {
            self.walk(now);
            if self.find(id).is_none() {
                self.unknown.insert(id);
            }
        }
        self.find(id)
    }

    fn find(&self, id: u64) -> Option<&str> {
        self.known.get(&id).or_else(|| self.former.get(&id)).map(Box::as_ref)
    }

    /// Forgets old misses, and tells whether a walk may find what is looked for.
    fn may_walk_for(&mut self, id: u64, now: Time) -> bool {
        if now.since_ns(self.unknown_since) >= UNKNOWN_FOR_NS {
            self.unknown.clear();
            self.unknown_since = now;
        }
        // 0 is what an event has where the kernel could not tell.
        let may_exist = id != 0 && !self.unknown.contains(&id);
        may_exist && self.last_walk.is_none_or(|last| now.since_ns(last) >= WALK_PAUSE_NS)
    }

    fn walk(&mut self, now: Time) {
        self.last_walk = Some(now);
        let found = below(&self.mount);
        if now.since_ns(self.known_since) >= GONE_FOR_NS {
            self.former = std::mem::take(&mut self.known);
            self.known_since = now;
        }
        if self.known.len() + found.len() > MAX_KNOWN {
            self.known.clear();
        }
        self.known.extend(found);
    }
}

/// The number of control groups below this one is not what it was when these were found: kernfs counts 2 links for each
/// and one for each that is right below it (`kernfs_refresh_inode`, fs/kernfs/inode.c).
pub(super) fn has_changed(directory: &Path, found: &[(u64, Box<str>)]) -> bool {
    let paths = found.iter().map(|(_, path)| directory.join(path.trim_start_matches('/')));
    let links: u64 =
        paths.filter_map(|path| fs::symlink_metadata(path).ok()).map(|found| found.nlink()).sum();
    links != (3 * found.len() as u64).saturating_sub(1)
}

/// The ids and paths of a control group and of all below it; its own path is `/`. One that vanishes meanwhile is left out.
pub(super) fn below(directory: &Path) -> Vec<(u64, Box<str>)> {
    let mut found = Vec::new();
    let mut pending = Vec::new();
    if let Ok(root) = id(directory) {
        found.push((root, "/".into()));
        pending.push((directory.to_owned(), String::new()));
    }
    while let Some((directory, path)) = pending.pop() {
        if is_leaf(&directory) {
            continue;
        }
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            // Both come with the entry: no call to the kernel for each.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let child = format!("{path}/{}", entry.file_name().to_string_lossy());
                found.push((entry.ino(), child.as_str().into()));
                pending.push((entry.path(), child));
            }
        }
    }
    found
}

/// It has no control groups below it: kernfs counts 2 links and one for each (`kernfs_refresh_inode`, fs/kernfs/inode.c).
/// Most are such, and asking is cheaper than listing their files. Where links are not counted there is 1.
fn is_leaf(directory: &Path) -> bool {
    fs::symlink_metadata(directory).is_ok_and(|metadata| metadata.nlink() == 2)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use super::{CgroupNames, GONE_FOR_NS, UNKNOWN_FOR_NS, WALK_PAUSE_NS, below, has_changed, id};
    use crate::event::time::Time;

    struct Tree {
        root: tempfile::TempDir,
        names: CgroupNames,
    }

    impl Tree {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let names = CgroupNames::new(root.path().to_owned());
            Self { root, names }
        }

        fn make(&self, path: &str) -> u64 {
            let directory = self.root.path().join(path);
            fs::create_dir_all(&directory).unwrap();
            id(&directory).unwrap()
        }

        fn path(&mut self, id: u64, at_ns: u64) -> Option<&str> {
            self.names.path(id, Time(UNKNOWN_FOR_NS + at_ns))
        }
    }

    #[test]
    fn one_walk_finds_all() {
        let mut tree = Tree::new();
        let deep = tree.make("kubepods.slice/pod1/a");
        let shallow = tree.make("system.slice");
        let root = id(tree.root.path()).unwrap();
        fs::write(tree.root.path().join("cgroup.procs"), "").unwrap();
        std::os::unix::fs::symlink("/", tree.root.path().join("link")).unwrap();

        assert_eq!(tree.path(deep, 0), Some("/kubepods.slice/pod1/a"));
        assert_eq!(tree.path(shallow, 0), Some("/system.slice"), "known from the first walk");
        assert_eq!(tree.path(root, 0), Some("/"));
        assert_eq!(tree.names.known.len(), 5, "directories only, and links are not followed");
        assert_eq!(tree.path(0, WALK_PAUSE_NS), None);
        assert_eq!(tree.names.last_walk, Some(Time(UNKNOWN_FOR_NS)), "0 is no id");
    }

    #[test]
    fn walks_keep_their_pause() {
        let mut tree = Tree::new();
        let first = tree.make("first");
        assert_eq!(tree.path(first, 0), Some("/first"));
        let second = tree.make("second");
        assert_eq!(tree.path(second, WALK_PAUSE_NS - 1), None, "too early for another walk");
        assert_eq!(tree.path(second, WALK_PAUSE_NS), Some("/second"));
    }

    #[test]
    fn what_was_not_found_is_not_looked_for_at_once() {
        let mut tree = Tree::new();
        let late = tree.make("late");
        let hidden = tempfile::tempdir().unwrap();
        fs::rename(tree.root.path().join("late"), hidden.path().join("late")).unwrap();
        assert_eq!(tree.path(late, 0), None);
        fs::rename(hidden.path().join("late"), tree.root.path().join("late")).unwrap();
        assert_eq!(tree.path(late, UNKNOWN_FOR_NS - 1), None, "remembered as unknown");
        assert_eq!(tree.path(late, UNKNOWN_FOR_NS), Some("/late"));
    }

    #[test]
    fn what_is_gone_keeps_its_path_for_a_while() {
        let mut tree = Tree::new();
        let gone = tree.make("gone");
        assert_eq!(tree.path(gone, 0), Some("/gone"));
        // Moved, not removed: other than a control group's id, the inode number of a removed folder is used again.
        let elsewhere = tempfile::tempdir().unwrap();
        fs::rename(tree.root.path().join("gone"), elsewhere.path().join("gone")).unwrap();
        let new = tree.make("other/new");
        assert_eq!(tree.path(new, WALK_PAUSE_NS), Some("/other/new"));
        assert_eq!(tree.path(gone, WALK_PAUSE_NS), Some("/gone"));
        for (nth, expected) in [(1, Some("/gone")), (2, None)] {
            let newer = tree.make(&format!("other/{nth}"));
            assert!(tree.path(newer, nth * GONE_FOR_NS).is_some());
            assert_eq!(tree.path(gone, nth * GONE_FOR_NS + WALK_PAUSE_NS), expected, "{nth}");
            assert_eq!(tree.path(new, nth * GONE_FOR_NS + WALK_PAUSE_NS), Some("/other/new"), "{nth}");
        }
    }

    #[test]
    fn a_number_of_links_tells_that_something_was_made_or_removed() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("pod");
        fs::create_dir(&own).unwrap();
        let mut found = below(&own);
        let mut changes = Vec::new();
        for path in ["a", "b", "a/c"] {
            changes.push(has_changed(&own, &found));
            fs::create_dir(own.join(path)).unwrap();
            changes.push(has_changed(&own, &found));
            found = below(&own);
        }
        for path in ["a/c", "a", "b", ""] {
            changes.push(has_changed(&own, &found));
            fs::remove_dir(own.join(path)).unwrap();
            changes.push(has_changed(&own, &found));
            found = below(&own);
        }
        assert_eq!(changes, [false, true].repeat(7));
        assert!(!has_changed(&own, &found), "it is not there any more");
    }

    #[test]
    fn five_thousand_are_found_by_one_walk() {
        let mut tree = Tree::new();
        let ids: Vec<(u64, PathBuf)> = (0..5_000)
            .map(|number| {
                let path = format!("kubepods.slice/pod{}/{number}", number / 10);
                (tree.make(&path), Path::new("/").join(path))
            })
            .collect();
        for (id, path) in ids {
            assert_eq!(tree.path(id, 0).map(Path::new), Some(path.as_path()));
        }
        assert_eq!(tree.names.last_walk, Some(Time(UNKNOWN_FOR_NS)));
    }

    #[test]
    fn a_mount_that_is_not_there_has_no_names() {
        let mut names = CgroupNames::new(PathBuf::from("/nonexistent"));
        assert_eq!(names.path(1, Time(UNKNOWN_FOR_NS)), None);
    }
}
