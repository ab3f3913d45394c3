//! A file that is to be analyzed, whatever it is: told by its content; must not know what becomes of the events.

use std::{
    fs::File,
    io::{BufReader, Chain, Cursor, Read as _},
    path::Path,
};

use crate::{
    event::Event,
    recording::{self, Content, HEADER_BYTES},
    source::{
        capture::CaptureFile,
        replay::Replay,
        unreadable::{Broken, OpenError, Reason},
    },
};

/// A file whose first bytes were looked at already.
type Looked = Chain<Cursor<Vec<u8>>, File>;

/// A file with events.
#[derive(Debug)]
pub enum Input {
    /// A recording.
    Recording(Replay<BufReader<Looked>>),
    /// A packet capture.
    Capture(Box<CaptureFile<Looked>>),
}

impl Input {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let opened = File::open(path).map_err(Reason::from).and_then(|file| Self::of(file, path));
        opened.map_err(|reason| OpenError { path: path.to_owned(), reason })
    }

    fn of(mut file: File, path: &Path) -> Result<Self, Reason> {
        let mut beginning = Vec::with_capacity(HEADER_BYTES);
        file.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut beginning)?;
        let content = recording::content(&beginning);
        let whole = Cursor::new(beginning).chain(file);
        match content {
            Content::Capture => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                Ok(Self::Capture(Box::new(CaptureFile::new(whole, &name)?)))
            }
            Content::Compressed { by, command } => Err(Reason::Compressed { by, command }),
            Content::Recording { .. } | Content::HeaderCutShort | Content::Empty | Content::Other => {
                Ok(Self::Recording(Replay::new(BufReader::new(whole))?))
            }
        }
    }

    /// How many bytes of it were read.
    pub fn offset(&self) -> u64 {
        match self {
            Self::Recording(replay) => replay.offset(),
            Self::Capture(capture) => capture.offset(),
        }
    }

    /// The next event; none at the end. After an error there is nothing more to be had.
    pub fn next_event(&mut self) -> Result<Option<Event>, Broken> {
        match self {
            Self::Recording(replay) => replay.next_event(),
            Self::Capture(capture) => capture.next_event(),
        }
    }
}
