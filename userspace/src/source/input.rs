//! A file that is to be analyzed, whatever it is: told by its content; must not know what becomes of the events.

use std::{
    cell::Cell,
    fs::File,
    io::{self, BufReader, Cursor, Read},
    path::Path,
    rc::Rc,
};

use flate2::read::MultiGzDecoder;

use crate::{
    event::Event,
    recording::{self, Content, HEADER_BYTES},
    source::{
        capture::CaptureFile,
        replay::Replay,
        unreadable::{Broken, OpenError, Reason},
    },
};

/// The bytes of a file, unpacked.
type Bytes = Box<dyn Read>;

/// A file with events.
pub struct Input {
    /// How many bytes of the file itself were read.
    read: Rc<Cell<u64>>,
    format: Format,
    is_stopped: bool,
}

/// What is in it.
pub enum Format {
    /// A recording.
    Recording(Replay<BufReader<Bytes>>),
    /// A packet capture.
    Capture(Box<CaptureFile<Bytes>>),
}

impl Input {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let read = Rc::new(Cell::new(0));
        let opened = File::open(path).map_err(Reason::from).and_then(|file| {
            let counted = Counted { file, read: Rc::clone(&read) };
            Format::of(Box::new(counted), path, false)
        });
        match opened {
            Ok(format) => Ok(Self { read, format, is_stopped: false }),
            Err(reason) => Err(OpenError { path: path.to_owned(), reason }),
        }
    }

    /// What is in it.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// How many bytes of the file were read.
    pub fn offset(&self) -> u64 {
        self.read.get()
    }

    /// No more of it is read; what was read is told.
    pub fn stop(&mut self) {
        self.is_stopped = true;
        if let Format::Capture(capture) = &mut self.format {
            capture.stop();
        }
    }

    /// The next event; none at the end. After an error there is nothing more to be had.
    pub fn next_event(&mut self) -> Result<Option<Event>, Broken> {
        match &mut self.format {
            Format::Recording(_) if self.is_stopped => Ok(None),
            Format::Recording(replay) => replay.next_event(),
            Format::Capture(capture) => capture.next_event(),
        }
    }
}

impl Format {
    fn of(mut bytes: Bytes, path: &Path, is_unpacked: bool) -> Result<Self, Reason> {
        let mut beginning = Vec::with_capacity(HEADER_BYTES);
        bytes.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut beginning)?;
        let content = recording::content(&beginning);
        let whole: Bytes = Box::new(Cursor::new(beginning).chain(bytes));
        match content {
            Content::Capture => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                Ok(Self::Capture(Box::new(CaptureFile::new(whole, &name)?)))
            }
            Content::Gzip if !is_unpacked => {
                Self::of(Box::new(MultiGzDecoder::new(BufReader::new(whole))), path, true)
            }
            Content::Compressed { by, command } => Err(Reason::Compressed { by, command }),
            Content::Gzip
            | Content::Recording { .. }
            | Content::HeaderCutShort
            | Content::Empty
            | Content::Other => Ok(Self::Recording(Replay::new(BufReader::new(whole))?)),
        }
    }
}

/// Counts what is read.
struct Counted {
    file: File,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read(to)?;
        self.read.set(self.read.get() + bytes as u64);
        Ok(bytes)
    }
}
