//! From bytes, as they come, to entries: lines, what runtimes put around them, and which of them are entries. Knows no files.

use crate::{
    event::envoy::LogEntry,
    source::envoy_log::{
        json::{self, Object},
        runtime::{self, Stream},
        tally::Tally,
        text,
    },
};

/// Longest line that is read. Container runtimes cut at 16 KiB, and an entry without its request is far below one.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Reads a log piece by piece; memory is bounded by the longest line.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    /// The line at hand is longer than what is kept of it.
    is_too_long: bool,
    /// Parts of lines that go on, by the stream that they went to.
    parts: [String; 2],
    tally: Tally,
}

impl Lines {
    /// Takes the next bytes, and hands over the failures whose lines are whole.
    pub fn take(&mut self, mut bytes: &[u8], failures: &mut dyn FnMut(LogEntry)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.append(&bytes[..end]);
            self.line_ended(failures);
            bytes = &bytes[end + 1..];
        }
        self.append(bytes);
    }

    /// No more bytes follow what was taken: a last line may have no end, and a new file begins with a line.
    pub fn finish(&mut self, failures: &mut dyn FnMut(LogEntry)) {
        if !self.line.is_empty() || self.is_too_long {
            self.line_ended(failures);
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            let parts = std::mem::take(self.parts_of(stream));
            if !parts.is_empty() {
                self.whole(&parts, failures);
            }
        }
    }

    /// What there was so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.line.len();
        self.is_too_long |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn line_ended(&mut self, failures: &mut dyn FnMut(LogEntry)) {
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.is_too_long) {
            self.unreadable();
        } else {
            self.line(&String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line)), failures);
        }
        // Its memory is used again.
        line.clear();
        self.line = line;
    }

    fn line(&mut self, line: &str, failures: &mut dyn FnMut(LogEntry)) {
        let Some(unwrapped) = runtime::unwrap(line) else { return self.whole(line, failures) };
        let parts = self.parts_of(unwrapped.stream);
        if parts.is_empty() && unwrapped.is_last {
            return self.whole(&unwrapped.text, failures);
        }
        parts.push_str(&unwrapped.text);
        let is_too_long = parts.len() > LINE_BYTES_MAX;
        if unwrapped.is_last || is_too_long {
            let whole = std::mem::take(parts);
            if is_too_long {
                self.unreadable();
            } else {
                self.whole(&whole, failures);
            }
        }
    }

    /// A line as Envoy wrote it.
    fn whole(&mut self, line: &str, failures: &mut dyn FnMut(LogEntry)) {
        let entry = if let Some(start) = text::start(line) {
            text::parse(&line[start..])
        } else {
            let object = line.find('{').map_or(Object::Other, |start| json::parse(&line[start..]));
            match object {
                Object::Entry(entry) => Some(*entry),
                Object::Unreadable => None,
                Object::Other => {
                    self.tally.others += 1;
                    return;
                }
            }
        };
        match entry {
            None => self.unreadable(),
            Some(entry) if entry.is_failure() => {
                self.tally.failures += 1;
                failures(LogEntry { time: entry.ended(), ..entry });
            }
            Some(_) => self.tally.well += 1,
        }
    }

    fn unreadable(&mut self) {
        self.tally.first_unreadable.get_or_insert(self.tally.lines() + 1);
        self.tally.unreadable += 1;
    }

    fn parts_of(&mut self, stream: Stream) -> &mut String {
        let [stdout, stderr] = &mut self.parts;
        match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        }
    }
}
