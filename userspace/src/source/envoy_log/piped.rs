//! A log that comes through a pipe while something else is done: a thread of its own waits for it. Knows no entries' meaning.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

use crate::{
    event::envoy::LogEntry,
    source::envoy_log::{Error, STANDARD_INPUT, lines::Lines, tally::Tally},
};

/// How many pieces wait to be taken, of at most 64 KiB each: whoever writes waits then.
const PIECES_MAX: usize = 16;

/// Standard input, or another pipe, as a log.
#[derive(Debug)]
pub struct Piped {
    path: PathBuf,
    pieces: Receiver<Vec<u8>>,
    lines: Lines,
}

/// It is standard input, or a pipe with a name, as a shell's `<(kubectl logs -f …)` is.
pub fn is_pipe(path: &Path) -> bool {
    let is_no_file = || fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
    path.as_os_str() == STANDARD_INPUT || is_no_file()
}

impl Piped {
    /// Begins to read.
    pub fn start(path: &Path) -> Result<Self, Error> {
        let input: Box<dyn Read + Send> = if path.as_os_str() == STANDARD_INPUT {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(|source| Error { path: path.to_owned(), source })?)
        };
        let (sender, pieces) = sync_channel(PIECES_MAX);
        // It ends with its input, or with the process.
        thread::spawn(move || read(input, |piece| sender.send(piece).is_ok()));
        Ok(Self { path: path.to_owned(), pieces, lines: Lines::default() })
    }

    /// The pipe.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What there was so far.
    pub fn tally(&self) -> &Tally {
        self.lines.tally()
    }

    /// Hands over the failures that came since the last call.
    pub fn poll(&mut self, failures: &mut dyn FnMut(LogEntry)) {
        for piece in self.pieces.try_iter().take(PIECES_MAX) {
            self.lines.take(&piece, failures);
        }
    }
}

/// Hands on what comes until nothing comes any more, or nobody takes it.
fn read(mut input: impl Read, mut take: impl FnMut(Vec<u8>) -> bool) {
    loop {
        let mut piece = vec![0; 64 << 10];
        match input.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(length) => {
                piece.truncate(length);
                if !take(piece) {
                    break;
                }
            }
        }
    }
}
