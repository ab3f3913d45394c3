//! The recording of a live run: begun, rotated by size, and given up or gone on with when the disk does not take it; must not know
//! what events mean.

mod counted;
mod preamble;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{self, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    event::{
        Event,
        loss::Counters,
        time::{SECOND_NS, Time},
    },
    notice,
    recorder::{counted::Counted, preamble::Preamble},
    sink::record::{RecordWriter, Target, TargetError, WriteError},
};

/// A disk that did not take something is tried again this much later.
const RETRY_NS: u64 = 60 * SECOND_NS;

/// How a recording is kept from growing without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// A new file is begun when the current one is longer.
    pub file_bytes: u64,
    /// How many there are at most, the current one included.
    pub files: u32,
}

/// Records the events of a run.
pub struct Recorder {
    path: PathBuf,
    /// What the writer writes to.
    file: File,
    writer: RecordWriter<File>,
    pause: Option<Pause>,
    rotation: Option<(Rotation, Preamble)>,
    counted: Counted,
    /// Events that are in no file.
    lost: Arc<AtomicU64>,
}

/// The disk did not take something.
#[derive(Clone, Copy, Debug)]
struct Pause {
    /// When it is tried again; none when it is not.
    until: Option<Time>,
}

impl Recorder {
    /// Records to one file, until the disk does not take it.
    pub fn begin(target: Target) -> Result<Self, TargetError> {
        let path = target.path().to_owned();
        let (file, writer) = begin(target)?;
        Ok(Self {
            path,
            file,
            writer,
            pause: None,
            rotation: None,
            counted: Counted::default(),
            lost: Arc::default(),
        })
    }

    /// Records to files in turn, of which each can be analyzed alone, and goes on when the disk takes it again.
    pub fn rotating(target: Target, rotation: Rotation) -> Result<Self, TargetError> {
        Ok(Self { rotation: Some((rotation, Preamble::default())), ..Self::begin(target)? })
    }

    /// How many events are in no file.
    pub fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lost)
    }

    /// Every event so far was recorded.
    pub fn is_complete(&self) -> bool {
        self.pause.is_none() && self.lost.load(Ordering::Relaxed) == 0
    }

    /// Records an event.
    pub fn event(&mut self, event: &Event) {
        if let Some((_, preamble)) = &mut self.rotation {
            preamble.note(event);
        }
        if self.pause.is_some_and(|pause| pause.until.is_some_and(|until| event.time() >= until)) {
            self.resume(event.time());
        }
        let written = match event {
            Event::Counted(counters) => self.counters(counters),
            event => self.write(event),
        };
        if let Err(error) = written {
            self.stop(&error, event.time());
        }
    }

    fn counters(&mut self, total: &Counters) -> Result<(), WriteError> {
        let told = self.counted.of_file(total);
        let written = self.write(&Event::Counted(told.clone()));
        if self.pause.is_none() {
            self.counted.recorded(&told);
        }
        written
    }

    fn write(&mut self, event: &Event) -> Result<(), WriteError> {
        if self.pause.is_some() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.writer.write(event)
    }

    /// Hands on what was recorded, and begins the next file when this one is long enough.
    pub fn flush(&mut self, now: Time) {
        if self.pause.is_some() {
            return;
        }
        if let Err(error) = self.writer.flush() {
            return self.stop(&error, now);
        }
        if self
            .rotation
            .as_ref()
            .is_some_and(|(rotation, _)| self.writer.written_bytes() > rotation.file_bytes)
        {
            self.rotate(now);
        }
    }

    /// The file did not take something: what it holds stays whole events, and what it does not hold is counted.
    fn stop(&mut self, error: &WriteError, now: Time) {
        self.lost.fetch_add(self.writer.forget_pending(), Ordering::Relaxed);
        self.cut();
        self.pause = Some(Pause { until: self.rotation.is_some().then(|| now + RETRY_NS) });
        let then = if self.rotation.is_some() { "; it is tried again every minute" } else { "" };
        notice::warn(format_args!(
            "recording to {} stopped: {error}. Likely cause: a full disk. What was recorded before can be analyzed, and \
             tracing goes on without the recording{then}",
            self.path.display()
        ));
    }

    /// Cuts off what is no whole event. If not even that is possible, who reads the recording says where it ends.
    fn cut(&mut self) {
        let whole = self.writer.written_bytes();
        if self.file.metadata().is_ok_and(|file| file.is_file()) && self.file.set_len(whole).is_ok() {
            let _ = self.file.seek(SeekFrom::Start(whole));
        }
    }

    /// Tries to go on after a pause.
    fn resume(&mut self, now: Time) {
        if self.write_preamble(now).is_err() {
            self.cut();
            self.pause = Some(Pause { until: Some(now + RETRY_NS) });
            return;
        }
        self.pause = None;
        self.counted.go_on();
        notice::say(format_args!(
            "recording to {} goes on; {} events are not in it",
            self.path.display(),
            self.lost.load(Ordering::Relaxed)
        ));
    }

    /// Begins the next file; the oldest goes.
    fn rotate(&mut self, now: Time) {
        let Some((rotation, _)) = &self.rotation else { return };
        let begun = push_down(&self.path, rotation.files)
            .map_err(|error| TargetError::Refused { path: self.path.clone(), error })
            .and_then(|()| begin(Target::prepare(&self.path)?));
        match begun {
            Ok((file, writer)) => {
                (self.file, self.writer) = (file, writer);
                self.counted.begin();
            }
            // It grows until there is another.
            Err(error) => return notice::warn(format_args!("the recording cannot be rotated: {error}")),
        }
        if let Err(error) = self.write_preamble(now) {
            self.stop(&error, now);
        }
    }

    fn write_preamble(&mut self, now: Time) -> Result<(), WriteError> {
        let Some((_, preamble)) = &self.rotation else { return Ok(()) };
        let events = preamble.events(now);
        let written = events.iter().try_for_each(|event| self.writer.write(event));
        let written = written.and_then(|()| self.writer.flush());
        if written.is_err() {
            // These were told before, and are lost for nobody.
            self.writer.forget_pending();
        }
        written
    }
}

fn begin(target: Target) -> Result<(File, RecordWriter<File>), TargetError> {
    let path = target.path().to_owned();
    let writer = target.begin()?;
    let file = writer.destination().try_clone().map_err(|error| TargetError::Refused { path, error })?;
    Ok((file, writer))
}

/// `FILE` becomes `FILE.1`, that `FILE.2`, and so on; the last one is replaced.
fn push_down(path: &Path, files: u32) -> io::Result<()> {
    for number in (1..files).rev() {
        let newer = if number == 1 { path.to_owned() } else { numbered(path, number - 1) };
        match fs::rename(newer, numbered(path, number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}
