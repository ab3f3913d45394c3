//! What people are told about the run itself, on standard error; must not know findings.

use std::{
    fmt::{self, Display},
    io::{self, Write as _},
    sync::{
        OnceLock,
        atomic::{AtomicU8, Ordering},
    },
};

use log::{Log, Metadata, Record};
use serde::Serialize;

use crate::line_queue::LineQueue;

/// How much people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Level {
    /// What ends the run.
    Error,
    /// What should be looked at.
    Warn,
    /// What a run does.
    Info,
    /// What it does in detail.
    Debug,
}

impl Level {
    /// As users name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static WAY: OnceLock<Way> = OnceLock::new();

/// Where it goes, if not straight to standard error.
struct Way {
    queue: LineQueue,
    form: Form,
}

/// From now on people are told this much.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// People are told this.
pub fn is_told(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// From now on nobody waits until it is read. The first call counts.
pub fn send_through(queue: LineQueue, form: Form) {
    let _ = WAY.set(Way { queue, form });
}

/// Says why the run ends.
pub fn error(message: impl Display) {
    tell(Level::Error, &message);
}

/// Says something that the user should look at.
pub fn warn(message: impl Display) {
    tell(Level::Warn, &message);
}

/// Says something about the run.
pub fn say(message: impl Display) {
    tell(Level::Info, &message);
}

/// Says something about the run that few want to know.
pub fn debug(message: impl Display) {
    tell(Level::Debug, &message);
}

/// That standard error is gone is no reason to stop.
fn tell(level: Level, message: &dyn Display) {
    if !is_told(level) {
        return;
    }
    match WAY.get() {
        Some(way) => {
            let mut line = match way.form {
                Form::Text => Text { level, message }.to_string(),
                Form::Json => json(level, message),
            };
            line.push('\n');
            way.queue.push(line.as_bytes());
        }
        None => drop(writeln!(io::stderr(), "{}", Text { level, message })),
    }
}

struct Text<'a> {
    level: Level,
    message: &'a dyn Display,
}

impl Display for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.level <= Level::Warn { "mtlsnoop: " } else { "" };
        write!(formatter, "{whose}{}", self.message)
    }
}

fn json(level: Level, message: &dyn Display) -> String {
    #[derive(Serialize)]
    struct Line {
        time: String,
        level: Level,
        message: String,
    }

    let time = format!("{:.9}", jiff::Timestamp::now());
    // Text alone: it has an encoding.
    serde_json::to_string(&Line { time, level, message: message.to_string() }).unwrap_or_default()
}

/// Lets the log of the kernel side, and of what serves it, go to standard error.
pub fn show_kernel_log() {
    // Fails only when there is a log already; then that one shows it.
    let _ = env_logger::Builder::new().filter_module("mtlsnoop", log::LevelFilter::Trace).try_init();
}

/// What parts of the program write to the log is told like everything else.
pub fn show_log() {
    // Fails only when there is a log already; then that one shows it.
    if log::set_logger(&Told).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
}

/// The log of this program, told to people; that of its libraries is not.
struct Told;

impl Log for Told {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(env!("CARGO_CRATE_NAME")) && is_told(level_of(metadata.level()))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            tell(level_of(record.level()), record.args());
        }
    }

    fn flush(&self) {}
}

fn level_of(level: log::Level) -> Level {
    match level {
        log::Level::Error => Level::Error,
        log::Level::Warn => Level::Warn,
        log::Level::Info => Level::Info,
        log::Level::Debug | log::Level::Trace => Level::Debug,
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, Text, json};

    #[test]
    fn text_begins_with_whose_warning_it_is() {
        for (level, expected) in [
            (Level::Error, "mtlsnoop: a"),
            (Level::Warn, "mtlsnoop: a"),
            (Level::Info, "a"),
            (Level::Debug, "a"),
        ] {
            assert_eq!(Text { level, message: &"a" }.to_string(), expected);
        }
    }

    #[test]
    fn json_is_one_line_with_time_level_and_message() {
        let line = json(Level::Warn, &"two\n\"lines\"");
        assert!(!line.contains('\n'), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["level"], &value["message"]), (&"warn".into(), &"two\n\"lines\"".into()));
        assert!(value["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{line}");
    }
}
