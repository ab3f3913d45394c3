//! Tells when a control group is made below one that is watched: by inotify, or by looking where there is none.

use std::path::{Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use rustc_hash::{FxHashMap, FxHashSet};

/// What is asked for: a directory is made. The events of one that is gone come unasked, and end its watch.
fn wanted() -> AddWatchFlags {
    AddWatchFlags::IN_CREATE | AddWatchFlags::IN_ONLYDIR
}

/// Directories of control groups, and for which armed group each is watched.
#[derive(Default)]
pub(super) struct NewGroups {
    /// None before anything is watched, and where a node has no instance left (`fs.inotify.max_user_instances`).
    notifier: Option<Inotify>,
    directories: FxHashMap<PathBuf, WatchDescriptor>,
    groups: FxHashMap<WatchDescriptor, Box<str>>,
}

impl NewGroups {
    /// Watches a directory for this group. Whether it was not watched before.
    pub(super) fn watch(&mut self, group: &str, directory: &Path) -> bool {
        if self.directories.contains_key(directory) {
            return false;
        }
        if self.notifier.is_none() {
            self.notifier = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok();
        }
        let Some(watch) =
            self.notifier.as_ref().and_then(|notifier| notifier.add_watch(directory, wanted()).ok())
        else {
            return false;
        };
        self.directories.insert(directory.to_owned(), watch);
        self.groups.insert(watch, group.into());
        true
    }

    /// Watches nothing of this group any more.
    pub(super) fn forget(&mut self, group: &str) {
        let Some(notifier) = &self.notifier else { return };
        let groups = &mut self.groups;
        self.directories.retain(|_, watch| {
            let is_kept = groups.get(watch).is_some_and(|of| **of != *group);
            if !is_kept {
                groups.remove(watch);
                // It fails when the directory is gone, and the watch with it.
                let _ = notifier.rm_watch(*watch);
            }
            is_kept
        });
    }

    /// The groups that may have new ones below them since the last call; where nothing tells, from time to time all of them.
    pub(super) fn take<'a>(
        &mut self,
        is_time: bool,
        all: impl Iterator<Item = &'a Box<str>>,
    ) -> FxHashSet<Box<str>> {
        let Some(notifier) = &self.notifier else {
            return all.filter(|_| is_time).cloned().collect();
        };
        let mut groups = FxHashSet::default();
        // An error means that there is nothing.
        for event in notifier.read_events().unwrap_or_default() {
            if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                return all.cloned().collect();
            }
            groups.extend(self.groups.get(&event.wd).cloned());
            if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                self.groups.remove(&event.wd);
                self.directories.retain(|_, watch| *watch != event.wd);
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustc_hash::FxHashSet;

    use super::NewGroups;

    fn told(new: &mut NewGroups) -> Vec<Box<str>> {
        let told: FxHashSet<Box<str>> = new.take(false, [].iter());
        told.into_iter().collect()
    }

    #[test]
    fn a_directory_that_is_made_is_told_until_its_group_is_forgotten() {
        let mount = tempfile::tempdir().unwrap();
        let [pod, other] = ["pod", "other"].map(|name| mount.path().join(name));
        for directory in [&pod, &other] {
            fs::create_dir(directory).unwrap();
        }
        let mut new = NewGroups::default();
        assert!(new.watch("/pod", &pod));
        assert!(new.watch("/other", &other));
        assert!(!new.watch("/pod", &pod), "it is watched already");
        assert!(told(&mut new).is_empty());
        fs::create_dir(pod.join("container")).unwrap();
        assert_eq!(told(&mut new), ["/pod".into()]);
        assert!(told(&mut new).is_empty(), "told once");
        fs::remove_dir_all(&pod).unwrap();
        assert_eq!(told(&mut new), ["/pod".into()], "what is gone is told as well");
        assert!(!new.watch("/pod", &pod), "it is not there");
        new.forget("/other");
        fs::create_dir(other.join("container")).unwrap();
        assert!(told(&mut new).is_empty());
        assert!(new.directories.is_empty() && new.groups.is_empty());
    }

    #[test]
    fn where_nothing_tells_all_are_looked_at_from_time_to_time() {
        let all: [Box<str>; 2] = ["/pod".into(), "/other".into()];
        let mut new = NewGroups::default();
        assert!(new.take(false, all.iter()).is_empty());
        assert_eq!(new.take(true, all.iter()).len(), 2);
    }
}
