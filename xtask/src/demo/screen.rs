//! What the person in front of the demo sees: numbered steps, commands and their output. It knows nothing of the
//! incident.
use std::{
    fmt::Display,
    io::{IsTerminal as _, Stdout, Write as _},
};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use anyhow::Result;

const STEP: Style = Style::new().bold();
const COMMAND: Style = AnsiColor::Cyan.on_default();
const DONE: Style = AnsiColor::Green.on_default();

/// The terminal, or whatever standard output is.
pub(super) struct Screen {
    stdout: AutoStream<Stdout>,
    steps: u32,
    step: u32,
}

impl Screen {
    pub(super) fn new(steps: u32) -> Self {
        Self { stdout: anstream::stdout(), steps, step: 0 }
    }

    /// Whether other programs should colour what is shown here.
    pub(super) fn is_colored() -> bool {
        std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }

    /// Which step the story is at.
    pub(super) fn step_now(&self) -> u32 {
        self.step
    }

    /// A new step begins.
    pub(super) fn step(&mut self, what: &str) -> Result<()> {
        self.step += 1;
        let (step, steps) = (self.step, self.steps);
        self.line(format_args!("\n{STEP}{step}/{steps} {what}{STEP:#}"))
    }

    /// Explains something.
    pub(super) fn say(&mut self, text: impl Display) -> Result<()> {
        self.line(format_args!("    {text}"))
    }

    /// Something that had to happen has happened.
    pub(super) fn done(&mut self, text: impl Display) -> Result<()> {
        self.line(format_args!("    {DONE}ok{DONE:#} {text}"))
    }

    /// All of it has happened.
    pub(super) fn finish(&mut self, text: impl Display) -> Result<()> {
        self.line(format_args!("\n{DONE}ok{DONE:#} {text}"))
    }

    /// A command, as one would type it in the pod.
    pub(super) fn command(&mut self, place: &str, command: &str) -> Result<()> {
        self.line(format_args!("    {COMMAND}{place} $ {command}{COMMAND:#}"))
    }

    /// The output of a command, as it came.
    pub(super) fn output(&mut self, text: &str) -> Result<()> {
        text.lines().try_for_each(|text| self.line(format_args!("      {text}")))
    }

    fn line(&mut self, text: impl Display) -> Result<()> {
        writeln!(self.stdout, "{text}")?;
        Ok(self.stdout.flush()?)
    }
}
