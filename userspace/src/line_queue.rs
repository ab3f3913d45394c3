//! A way out that nobody waits for: lines go to a thread that writes them, and what does not fit is dropped and counted; must not
//! know what lines say.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Lines that wait to be written.
#[derive(Clone, Debug)]
pub struct LineQueue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something came, or something was written.
    changed: Condvar,
    limit_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Whole lines.
    waiting: Vec<u8>,
    waiting_lines: u64,
    /// Lines that the thread is writing.
    writing_lines: u64,
    lost_lines: u64,
    /// What comes now is the end, which has room however much waits.
    is_ending: bool,
    /// Why nothing is written any more.
    failure: Option<io::ErrorKind>,
}

impl LineQueue {
    /// Begins a thread that writes to this. At most this many bytes wait; as many may be on their way.
    pub fn start(destination: impl Write + Send + 'static, limit_bytes: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), limit_bytes });
        let of_thread = Arc::clone(&shared);
        thread::Builder::new().name("lines".to_owned()).spawn(move || of_thread.write_on(destination))?;
        Ok(Self { shared })
    }

    /// Takes a whole line, or drops it; never waits for whoever reads.
    pub fn push(&self, line: &[u8]) -> bool {
        let mut state = self.shared.lock();
        let fits = state.is_ending || state.waiting.len() + line.len() <= self.shared.limit_bytes;
        if !fits || state.failure.is_some() {
            state.lost_lines += 1;
            return false;
        }
        state.waiting.extend_from_slice(line);
        state.waiting_lines += 1;
        drop(state);
        self.shared.changed.notify_all();
        true
    }

    /// From now on nothing is dropped for want of room: for a few last lines, which say what was dropped before.
    pub fn end(&self) {
        self.shared.lock().is_ending = true;
    }

    /// How many lines were dropped so far.
    pub fn lost(&self) -> u64 {
        self.shared.lock().lost_lines
    }

    /// Why nothing is written any more.
    pub fn failure(&self) -> Option<io::ErrorKind> {
        self.shared.lock().failure
    }

    /// Waits until all is written, but no longer than this. Tells how many lines nobody took.
    pub fn finish(&self, patience: Duration) -> u64 {
        let until = Instant::now() + patience;
        let mut state = self.shared.lock();
        while state.waiting_lines + state.writing_lines > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.waiting_lines + state.writing_lines
    }
}

impl Shared {
    /// Numbers and bytes that a panicking thread left are still what they are.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_on(&self, mut destination: impl Write) {
        let mut lines = Vec::new();
        loop {
            let mut state = self.lock();
            state.writing_lines = 0;
            self.changed.notify_all();
            while state.waiting.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            lines.clear();
            mem::swap(&mut state.waiting, &mut lines);
            state.writing_lines = mem::take(&mut state.waiting_lines);
            drop(state);
            if let Err(error) = destination.write_all(&lines).and_then(|()| destination.flush()) {
                return self.fail(error.kind());
            }
        }
    }

    /// Nobody reads any more, or the disk is full: all that waits is lost, and all that comes.
    fn fail(&self, kind: io::ErrorKind) {
        let mut state = self.lock();
        state.lost_lines += mem::take(&mut state.waiting_lines) + mem::take(&mut state.writing_lines);
        state.waiting = Vec::new();
        state.failure = Some(kind);
        drop(state);
        self.changed.notify_all();
    }
}

/// Puts lines together from what is written in pieces, and hands them on whole.
#[derive(Debug)]
pub struct LineWriter {
    queue: LineQueue,
    begun: Vec<u8>,
}

impl LineWriter {
    /// Hands on to this.
    pub fn new(queue: LineQueue) -> Self {
        Self { queue, begun: Vec::new() }
    }
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        if self.begun.ends_with(b"\n") {
            self.queue.push(&self.begun);
            self.begun.clear();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Read as _, Write as _},
        time::Duration,
    };

    use super::{LineQueue, LineWriter};

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let (mut reader, writer) = io::pipe().unwrap();
        let queue = LineQueue::start(writer, 1 << 20).unwrap();
        let mut lines = LineWriter::new(queue.clone());
        let mut expected = String::new();
        for number in 0..1000 {
            let line = format!("line {number}\n");
            for piece in line.as_bytes().chunks(3) {
                lines.write_all(piece).unwrap();
            }
            expected += &line;
        }
        let mut found = vec![0; expected.len()];
        reader.read_exact(&mut found).unwrap();
        assert_eq!(String::from_utf8(found).unwrap(), expected);
        assert_eq!((queue.finish(LONG), queue.lost()), (0, 0));
    }

    #[test]
    fn nobody_who_does_not_read_is_waited_for_and_every_line_is_somewhere() {
        const LINE: [u8; 100] = *b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n";
        let (mut reader, writer) = io::pipe().unwrap();
        let queue = LineQueue::start(writer, 4096).unwrap();
        let mut lines = 0;
        // The thread takes them until the pipe is full; then they wait, and then there is no room.
        while queue.lost() < 1000 || queue.finish(Duration::from_millis(10)) == 0 {
            queue.push(&LINE);
            lines += 1;
        }
        let lost = queue.lost();
        queue.end();
        assert!(queue.push(b"the last one\n"), "whatever waits");
        let mut found = vec![0; usize::try_from(lines - lost).unwrap() * LINE.len()];
        reader.read_exact(&mut found).unwrap();
        assert!(found.chunks(LINE.len()).all(|line| line == LINE));
        let mut end = [0; 13];
        reader.read_exact(&mut end).unwrap();
        assert_eq!(&end, b"the last one\n");
        assert_eq!((queue.finish(LONG), queue.lost()), (0, lost));
    }

    #[test]
    fn a_reader_that_is_gone_loses_everything_and_stops_nobody() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let queue = LineQueue::start(writer, 4096).unwrap();
        queue.push(b"one\n");
        assert_eq!(queue.finish(LONG), 0);
        queue.push(b"two\n");
        queue.push(b"three\n");
        assert_eq!((queue.lost(), queue.failure()), (3, Some(io::ErrorKind::BrokenPipe)));
    }
}
