//! A log that is written while it is read: new lines only, from its end on, through rotation and truncation. Knows no entries' meaning.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::{
    event::envoy::LogEntry,
    source::envoy_log::{Error, lines::Lines, tally::Tally},
};

/// Most bytes that are read at a time, so that a log that grows fast does not hold up what else is to be done.
const BYTES_AT_A_TIME: usize = 1 << 20;

/// How far back the beginning of the last line is looked for.
const LAST_LINE_BYTES: u64 = 64 << 10;

/// A log file that is followed.
#[derive(Debug)]
pub struct Follow {
    path: PathBuf,
    file: File,
    /// Of which file the name was when it was opened: device and inode.
    identity: (u64, u64),
    position: u64,
    lines: Lines,
    buffer: Box<[u8]>,
}

impl Follow {
    /// Begins with the last line: what was logged before is of attempts that nobody traced.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error { path: path.to_owned(), source };
        let (mut file, identity) = open(path).map_err(unreadable)?;
        let position = last_line(&mut file).map_err(unreadable)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            identity,
            position,
            lines: Lines::default(),
            buffer: vec![0; 64 << 10].into(),
        })
    }

    /// The file that is followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What there was so far.
    pub fn tally(&self) -> &Tally {
        self.lines.tally()
    }

    /// Hands over the failures that were written since the last call.
    pub fn poll(&mut self, failures: &mut dyn FnMut(LogEntry)) -> Result<(), Error> {
        self.read_more(failures).map_err(|source| Error { path: self.path.clone(), source })
    }

    fn read_more(&mut self, failures: &mut dyn FnMut(LogEntry)) -> io::Result<()> {
        if self.file.metadata()?.len() < self.position {
            // Truncated in place (logrotate's `copytruncate`).
            self.lines.finish(failures);
            self.position = self.file.seek(SeekFrom::Start(0))?;
        }
        if self.read_to_end(failures)? {
            return Ok(());
        }
        // All was read: only now may the name be of another file, since the old one is written until it is let go.
        match open(&self.path) {
            Ok((file, identity)) if identity != self.identity => {
                self.read_to_end(failures)?;
                self.lines.finish(failures);
                (self.file, self.identity, self.position) = (file, identity, 0);
                self.read_to_end(failures).map(drop)
            }
            // Between two files there may be none for a moment.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Whether there may be more.
    fn read_to_end(&mut self, failures: &mut dyn FnMut(LogEntry)) -> io::Result<bool> {
        let mut taken = 0;
        while taken < BYTES_AT_A_TIME {
            let length = self.file.read(&mut self.buffer)?;
            if length == 0 {
                return Ok(false);
            }
            taken += length;
            self.position += length as u64;
            self.lines.take(&self.buffer[..length], failures);
        }
        Ok(true)
    }
}

fn open(path: &Path) -> io::Result<(File, (u64, u64))> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok((file, (metadata.dev(), metadata.ino())))
}

/// Goes to the beginning of the last line, whole or not.
fn last_line(file: &mut File) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(0))?;
    let from = file.seek(SeekFrom::Start(end.saturating_sub(LAST_LINE_BYTES)))?;
    let mut last = Vec::new();
    file.take(end - from).read_to_end(&mut last)?;
    let line = last.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    file.seek(SeekFrom::Start(from + line as u64))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, OpenOptions},
        io::Write as _,
        path::Path,
    };

    use super::Follow;

    fn line(cluster: &str) -> String {
        format!(
            "[2026-11-22T21:00:00.123Z] \"- - -\" 0 UF,URX - - \"-\" 0 0 1001 - \"-\" \"-\" \"-\" \"-\" \"10.1.1.24:6379\" {cluster} \
             - 10.1.1.24:6379 10.1.1.25:45940 - -\n"
        )
    }

    fn append(path: &Path, text: &str) {
        OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn clusters(follow: &mut Follow) -> Vec<String> {
        let mut found = Vec::new();
        follow.poll(&mut |entry| found.push(entry.upstream_cluster.unwrap().into())).unwrap();
        found
    }

    #[test]
    fn only_what_is_new_is_told_through_rotation_and_truncation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        append(&path, &line("old"));
        append(&path, "[2026-11-22T21:00:00.123Z] \"- -");
        let mut follow = Follow::open(&path).unwrap();
        assert_eq!(clusters(&mut follow), [""; 0]);
        append(&path, &line("first")["[2026-11-22T21:00:00.123Z] \"- -".len()..]);
        append(&path, "half of the next");
        assert_eq!(clusters(&mut follow), ["first"], "a line that was half there at the start is whole");
        append(&path, " line\n");
        append(&path, &line("second"));
        fs::rename(&path, folder.path().join("0.log.1")).unwrap();
        assert_eq!(clusters(&mut follow), ["second"], "the name is gone, and the file is not");
        append(&folder.path().join("0.log.1"), &line("third"));
        append(&path, &line("fourth"));
        assert_eq!(clusters(&mut follow), ["third", "fourth"], "the new file from its beginning");
        fs::write(&path, "").unwrap();
        assert_eq!(clusters(&mut follow), [""; 0]);
        append(&path, &line("5"));
        assert_eq!(clusters(&mut follow), ["5"], "truncated in place");
        assert_eq!((follow.tally().failures, follow.tally().others, follow.tally().unreadable), (5, 1, 0));
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), &folder.path().join("none.log")] {
            let error = Follow::open(path).unwrap_err().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
    }
}
