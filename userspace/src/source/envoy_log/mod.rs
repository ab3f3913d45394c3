//! An Envoy's access log, from a file or standard input: Istio's text formats from 1.3 on and its JSON, mixed with Envoy's own messages, as
//! Envoy wrote it or as a container runtime keeps it. Knows nothing of connections.

mod field;
pub mod follow;
mod json;
pub mod lines;
pub mod piped;
mod runtime;
mod tally;
mod text;

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::{event::envoy::LogEntry, source::envoy_log::lines::Lines};

pub use tally::Tally;

/// The name that stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// A log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read the Envoy log {}: {source}. On a node it is /var/log/containers/POD_NAMESPACE_istio-proxy-ID.log; elsewhere \
     `kubectl logs -f POD -c istio-proxy` prints it, and `-` reads it from standard input",
    path.display()
)]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// What failed.
    pub source: io::Error,
}

/// A log that is read from its beginning, entry by entry.
pub struct Reader {
    path: PathBuf,
    input: Box<dyn Read>,
    lines: Lines,
    /// Read, and not handed over.
    waiting: VecDeque<LogEntry>,
    is_at_end: bool,
    buffer: Box<[u8]>,
}

impl Reader {
    /// Opens the file, or standard input.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let input: Box<dyn Read> = if path.as_os_str() == STANDARD_INPUT {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(|source| Error { path: path.to_owned(), source })?)
        };
        Ok(Self::new(path, input))
    }

    fn new(path: &Path, input: Box<dyn Read>) -> Self {
        Self {
            path: path.to_owned(),
            input,
            lines: Lines::default(),
            waiting: VecDeque::new(),
            is_at_end: false,
            buffer: vec![0; 64 << 10].into(),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What there was so far.
    pub fn tally(&self) -> &Tally {
        self.lines.tally()
    }

    /// The next failure, without taking it; none at the end.
    pub fn peek(&mut self) -> Result<Option<&LogEntry>, Error> {
        while self.waiting.is_empty() && !self.is_at_end {
            let length = match self.input.read(&mut self.buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error { path: self.path.clone(), source }),
            };
            let waiting = &mut self.waiting;
            let mut keep = |entry| waiting.push_back(entry);
            self.lines.take(&self.buffer[..length], &mut keep);
            if length == 0 {
                self.is_at_end = true;
                self.lines.finish(&mut keep);
            }
        }
        Ok(self.waiting.front())
    }

    /// Takes the next failure.
    pub fn take(&mut self) -> Result<Option<LogEntry>, Error> {
        self.peek()?;
        Ok(self.waiting.pop_front())
    }
}

#[cfg(test)]
mod tests;
