//! When the configuration file is read again: on request, and when it has changed; must not know what is in it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::config::file;

/// How often it is looked at. The kubelet takes about a minute to bring a changed `ConfigMap`.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A file that is looked at.
pub(super) struct Watched {
    path: PathBuf,
    /// What was in it; none when it could not be read. The kubelet replaces a link, so that times and inodes do not tell.
    text: Option<String>,
    looked: Instant,
}

impl Watched {
    /// What is in it now is known.
    pub(super) fn new(path: PathBuf) -> Self {
        let text = file::text(&path).ok();
        Self { path, text, looked: Instant::now() }
    }

    /// It is time to look, and it is not what it was.
    pub(super) fn has_changed(&mut self) -> bool {
        if self.looked.elapsed() < LOOK_EVERY {
            return false;
        }
        self.look()
    }

    /// It is not what it was.
    pub(super) fn look(&mut self) -> bool {
        self.looked = Instant::now();
        let text = file::text(&self.path).ok();
        let has_changed = text != self.text;
        self.text = text;
        has_changed
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Watched;

    #[test]
    fn a_change_is_seen_once_also_when_the_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, "log-level: info").unwrap();
        let mut watched = Watched::new(path.clone());
        assert!(!watched.look());
        let new = folder.path().join("new");
        fs::write(&new, "log-level: debug").unwrap();
        fs::rename(new, &path).unwrap();
        assert!(watched.look() && !watched.look());
        fs::remove_file(&path).unwrap();
        assert!(watched.look() && !watched.look());
        assert!(!watched.has_changed(), "it is not time yet");
    }
}
