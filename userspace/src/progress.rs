//! How far a long run is, on a terminal and nowhere else; must not know what runs.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Less than this is read before anyone would look.
const LEAST_BYTES: u64 = 256 << 20;

/// A line on standard error.
#[derive(Clone, Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Of reading these files: a line only if that takes a while, and standard error is a terminal.
    pub fn of(files: &[PathBuf]) -> Self {
        let bytes = files.iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum();
        let target =
            if bytes < LEAST_BYTES { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(bytes), target);
        let style =
            ProgressStyle::with_template("{percent:>3} % of {total_bytes} read, {bytes_per_sec}, {eta} left");
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    /// So much was read so far.
    pub fn set(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    /// The line goes away.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }

    /// Where the line is put aside while something is written.
    pub fn beside<W: Write>(&self, to: W) -> impl Write + use<W> {
        Beside { progress: self.clone(), to }
    }
}

struct Beside<W> {
    progress: Progress,
    to: W,
}

impl<W: Write> Write for Beside<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { progress, to } = self;
        progress.0.suspend(|| to.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
