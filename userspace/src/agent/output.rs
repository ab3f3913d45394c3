//! Standard output of an agent: JSON lines that nobody waits for; what nobody took is in the accounting. It must not know what is
//! selected.

use std::{
    fs::File,
    io::{self, Stdout},
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use crate::{
    event::loss::Loss,
    line_queue::{LineQueue, LineWriter},
    sink::{Accounting, Sink, corrected::Corrected, json::JsonLines},
    update::Update,
};

/// Most bytes that wait for a reader, and as many on their way: thousands of findings.
const WAITING_BYTES: usize = 4 << 20;

/// Begins to write to standard output.
pub(super) fn queue(stdout: &Stdout) -> io::Result<LineQueue> {
    LineQueue::start(File::from(stdout.as_fd().try_clone_to_owned()?), WAITING_BYTES)
}

/// Findings as lines.
pub(super) struct Lines {
    sink: Corrected<JsonLines<LineWriter>>,
    queue: LineQueue,
    recording_lost: Option<Arc<AtomicU64>>,
}

impl Lines {
    /// Into this queue, with times as the calendar has them.
    pub(super) fn new(
        queue: LineQueue,
        node: &str,
        step_ns: Arc<AtomicI64>,
        recording_lost: Option<Arc<AtomicU64>>,
    ) -> Self {
        let sink = Corrected::new(JsonLines::new(LineWriter::new(queue.clone())).of_node(node), step_ns);
        Self { sink, queue, recording_lost }
    }
}

impl Sink for Lines {
    fn update(&mut self, update: &Update) -> io::Result<()> {
        self.sink.update(update)
    }

    /// The last line, which says what is lost and so is not lost itself because nobody read until now.
    fn account(&mut self, accounting: &Accounting) -> io::Result<()> {
        self.queue.end();
        let recording = self.recording_lost.as_ref().map_or(0, |lost| lost.load(Ordering::Relaxed));
        let lost = [(Loss::Output, self.queue.lost()), (Loss::Recording, recording)];
        let mut accounting = accounting.clone();
        accounting.lost.extend(lost.into_iter().filter(|(_, count)| *count > 0));
        self.sink.account(&accounting)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, BufRead as _, BufReader},
        sync::Arc,
        time::Duration,
    };

    use super::Lines;
    use crate::{
        line_queue::LineQueue,
        sink::{Sink as _, samples},
    };

    #[test]
    fn the_summary_gets_out_also_where_nothing_else_has_room() {
        let (reader, writer) = io::pipe().unwrap();
        let queue = LineQueue::start(writer, 4096).unwrap();
        let mut lines = Lines::new(queue.clone(), "node", Arc::default(), None);
        // The thread takes them until the pipe is full; then they wait, and then there is no room.
        let fill = || while queue.push(b"{}\n") {};
        fill();
        while queue.finish(Duration::from_millis(10)) == 0 {
            fill();
        }
        fill();
        let lost = queue.lost();
        lines.account(&samples::accounting()).unwrap();
        assert_eq!(queue.lost(), lost, "the summary is not dropped");
        let ending = BufReader::new(reader).lines().map(Result::unwrap).find(|line| line != "{}").unwrap();
        let summary: serde_json::Value = serde_json::from_str(&ending).unwrap();
        assert_eq!(summary["kind"], "summary", "{summary}");
        assert_eq!(summary["lost"]["lost_output"], lost, "{summary}");
    }
}
