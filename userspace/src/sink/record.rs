//! Writes recordings; must not know what becomes of the events, nor who reads them.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read as _, Seek as _, Write},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::{
    event::Event,
    recording::{self, Content, EncodeError},
};

/// Only the owner may read: a recording names processes and pods.
const MODE: u32 = 0o600;

/// An event could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file did not take it.
    #[error(transparent)]
    File(#[from] io::Error),
    /// It has no place in a recording.
    #[error(transparent)]
    Event(#[from] EncodeError),
}

/// Writes events as a recording, to anything that takes bytes.
#[derive(Debug)]
pub struct RecordWriter<W> {
    destination: W,
    /// Frames that were not handed on yet.
    pending: Vec<u8>,
    /// How many these are.
    pending_events: u64,
    /// Handed on, in whole frames.
    written_bytes: u64,
}

impl<W: Write> RecordWriter<W> {
    /// Begins a recording.
    pub fn new(destination: W) -> Self {
        Self { destination, pending: recording::header().to_vec(), pending_events: 0, written_bytes: 0 }
    }

    /// Adds an event.
    pub fn write(&mut self, event: &Event) -> Result<(), WriteError> {
        /// Handed on at the latest when this much has come together.
        const PENDING_BYTES_MAX: usize = 256 << 10;

        recording::append_frame(event, &mut self.pending)?;
        self.pending_events += 1;
        if self.pending.len() > PENDING_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    /// Hands on everything, in whole frames: what was handed on is read even if the tracer is killed now.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.destination.write_all(&self.pending)?;
        self.destination.flush()?;
        self.written_bytes += self.pending.len() as u64;
        self.pending.clear();
        self.pending_events = 0;
        Ok(())
    }

    /// Bytes that were handed on, in whole frames; after an error more may have been.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Forgets what was not handed on yet; tells how many events that is.
    pub fn forget_pending(&mut self) -> u64 {
        self.pending.clear();
        std::mem::take(&mut self.pending_events)
    }

    /// What is written to.
    pub fn destination(&self) -> &W {
        &self.destination
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.destination
    }
}

/// A file cannot be recorded to.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It is a folder.
    #[error("cannot record to {}: it is a folder; name a file in it", .0.display())]
    Folder(PathBuf),
    /// There is something in it that is not ours.
    #[error(
        "will not record to {}: the file exists and is no recording, so it would be lost; name another file, or remove it \
         first",
        .0.display()
    )]
    NotRecording(PathBuf),
    /// The system says no.
    #[error("cannot record to {}: {error}; name a file in a folder that you may write to", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A file that can be recorded to, in which nothing was changed yet.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    file: File,
    /// It was made for this, so that it goes again if nothing begins.
    is_new: bool,
}

impl Target {
    /// Looks at a file, or makes it. What is in an existing one stays until [`Self::begin`].
    pub fn prepare(path: &Path) -> Result<Self, TargetError> {
        let refused = |error| TargetError::Refused { path: path.to_owned(), error };
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let created = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path);
                Ok(Self { path: path.to_owned(), file: created.map_err(refused)?, is_new: true })
            }
            Err(error) => Err(refused(error)),
            Ok(metadata) if metadata.is_dir() => Err(TargetError::Folder(path.to_owned())),
            Ok(metadata) => {
                let is_device = metadata.file_type().is_char_device() || metadata.file_type().is_fifo();
                let mut file = OpenOptions::new().read(!is_device).write(true).open(path).map_err(refused)?;
                if !is_device && !may_be_replaced(&mut file).map_err(refused)? {
                    return Err(TargetError::NotRecording(path.to_owned()));
                }
                Ok(Self { path: path.to_owned(), file, is_new: false })
            }
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins the recording; what was in the file is gone now.
    pub fn begin(mut self) -> Result<RecordWriter<File>, TargetError> {
        let begun = restart(&self.file).and_then(|()| self.file.try_clone());
        match begun {
            Ok(file) => {
                self.is_new = false;
                Ok(RecordWriter::new(file))
            }
            Err(error) => Err(TargetError::Refused { path: self.path.clone(), error }),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.is_new {
            // It is empty; that it stays would be no more than untidy.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The file is empty or a recording.
fn may_be_replaced(file: &mut File) -> io::Result<bool> {
    let mut beginning = Vec::with_capacity(recording::HEADER_BYTES);
    file.take(recording::HEADER_BYTES as u64).read_to_end(&mut beginning)?;
    Ok(matches!(
        recording::content(&beginning),
        Content::Empty | Content::Recording { .. } | Content::HeaderCutShort
    ))
}

fn restart(mut file: &File) -> io::Result<()> {
    if !file.metadata()?.is_file() {
        return Ok(());
    }
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.set_len(0)?;
    file.rewind()
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{self, Write},
        os::unix::fs::PermissionsExt as _,
    };

    use super::{RecordWriter, Target, TargetError, WriteError};
    use crate::{
        event::{Event, time::Time},
        recording,
    };

    fn tick() -> Event {
        Event::Tick(Time(1))
    }

    #[test]
    fn a_new_file_is_only_for_its_owner_and_holds_whole_frames_after_a_flush() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.mtlsnoop");
        let mut writer = Target::prepare(&path).unwrap().begin().unwrap();
        writer.write(&tick()).unwrap();
        writer.flush().unwrap();
        let mut expected = recording::header().to_vec();
        recording::append_frame(&tick(), &mut expected).unwrap();
        assert_eq!(fs::read(&path).unwrap(), expected);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn nothing_is_left_and_nothing_is_lost_when_tracing_does_not_begin() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none");
        drop(Target::prepare(&path).unwrap());
        assert!(!path.exists());

        let kept = folder.path().join("kept");
        fs::write(&kept, recording::header()).unwrap();
        drop(Target::prepare(&kept).unwrap());
        assert_eq!(fs::read(&kept).unwrap(), recording::header());
    }

    #[test]
    fn a_recording_is_replaced_and_anything_else_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (content, is_taken) in [
            (b"".as_slice(), true),
            (b"MTLSNOOP\x01\x00and much more than what comes", true),
            (b"MTLSNOOP\xff\xff", true),
            (b"MTLS", true),
            (b"my thesis", false),
            (b"\xd4\xc3\xb2\xa1", false),
        ] {
            fs::write(&path, content).unwrap();
            match Target::prepare(&path) {
                Ok(target) => {
                    assert!(is_taken, "{content:?}");
                    target.begin().unwrap().flush().unwrap();
                    assert_eq!(fs::read(&path).unwrap(), recording::header());
                }
                Err(error) => {
                    assert!(
                        matches!(error, TargetError::NotRecording(_)) && !is_taken,
                        "{content:?}: {error}"
                    );
                    assert_eq!(fs::read(&path).unwrap(), content);
                }
            }
        }
    }

    #[test]
    fn folders_and_places_without_a_folder_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Target::prepare(folder.path()), Err(TargetError::Folder(_))));
        let missing = folder.path().join("missing/file");
        assert!(matches!(Target::prepare(&missing), Err(TargetError::Refused { .. })));
    }

    #[test]
    fn a_full_disk_is_told() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writer = RecordWriter::new(Full);
        writer.write(&tick()).unwrap();
        assert!(
            matches!(writer.flush(), Err(WriteError::File(error)) if error.kind() == io::ErrorKind::StorageFull)
        );
    }
}
