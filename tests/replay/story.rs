//! A scenario folder: `story.txt` tells it, `events.jsonl` goes in, `expected.jsonl` must come out.

use std::{
    fs,
    path::{Path, PathBuf},
};

use mtlsnoop::{
    engine::{Engine, Settings},
    event::Event,
    sink::{Sink as _, json::JsonLines},
    update::{Summary, Update},
};

/// Environment variable that rewrites what is expected.
const BLESS: &str = "MTLSNOOP_BLESS";

/// One scenario.
pub(crate) struct Story {
    folder: PathBuf,
}

impl Story {
    /// All of them, by name.
    pub(crate) fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut folders: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        assert!(folders.len() > 30, "only {} scenarios in {}", folders.len(), root.display());
        folders.into_iter().map(|folder| Self { folder }).collect()
    }

    /// Its name.
    pub(crate) fn name(&self) -> String {
        self.folder.file_name().unwrap().to_string_lossy().into_owned()
    }

    /// What goes in.
    pub(crate) fn events(&self) -> Vec<Event> {
        let text = fs::read_to_string(self.folder.join("events.jsonl")).unwrap();
        let read = |(number, line)| {
            serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{}, event {}: {error}", self.name(), number + 1))
        };
        text.lines().enumerate().map(read).collect()
    }

    /// Compares what came out with what is expected, or rewrites that.
    pub(crate) fn check(&self, found: &str) -> Result<(), String> {
        let path = self.folder.join("expected.jsonl");
        if std::env::var_os(BLESS).is_some() {
            fs::write(path, found).unwrap();
            return Ok(());
        }
        let expected = fs::read_to_string(path).unwrap_or_default();
        let is_told =
            fs::read_to_string(self.folder.join("story.txt")).is_ok_and(|story| !story.trim().is_empty());
        if found == expected && is_told {
            return Ok(());
        }
        Err(format!("{}\n--- expected\n{expected}--- found\n{found}--- {BLESS}=1 rewrites it\n", self.name()))
    }
}

/// What the core says to events, and its accounting.
pub(crate) fn replay(events: &[Event], settings: Settings) -> (Vec<Update>, Summary) {
    let mut engine = Engine::new(settings);
    let mut updates = Vec::new();
    for event in events {
        engine.apply(event, &mut updates);
    }
    engine.finish(&mut updates);
    (updates, engine.summary())
}

/// Findings, resolutions and the accounting as JSON lines.
pub(crate) fn lines(updates: &[Update], summary: Summary) -> String {
    let mut text = Vec::new();
    let mut lines = JsonLines::new(&mut text);
    for update in updates {
        lines.update(update).unwrap();
    }
    lines.account(&summary.into()).unwrap();
    String::from_utf8(text).unwrap()
}
