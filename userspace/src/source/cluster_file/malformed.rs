//! What a file is that is not what kubectl prints, told so that the reader can mend it; knows nothing of objects.

use thiserror::Error;

use crate::source::object::{tally::Ignored, without_position};

/// The command that prints what is wanted.
const COMMAND: &str = "kubectl get pods,services,endpointslices -A -o json";

/// Kinds named in a message, at most.
const MAX_NAMED: usize = 5;

/// Why a text is not used as a cluster file.
#[derive(Debug, Error)]
pub enum Malformed {
    /// It ends within a document.
    #[error(
        "it ends in the middle of an object (line {line}); was it cut short, or is it still being written? Make it again with `{COMMAND}`"
    )]
    CutShort {
        /// The last line.
        line: usize,
    },
    /// It is not JSON.
    #[error("it is not JSON (line {line}, column {column}: {cause}); make it with `{COMMAND}`")]
    NotJson {
        /// Where it stops to be JSON; the first line is 1.
        line: usize,
        /// Where in the line, in bytes; the first is 1.
        column: usize,
        /// What is wrong there.
        cause: Box<str>,
    },
    /// It is another format that is easily taken for it.
    #[error("it is {found}, but JSON is wanted; {hint}")]
    OtherFormat {
        /// What it is.
        found: &'static str,
        /// What to try.
        hint: &'static str,
    },
    /// It is JSON, but not of Kubernetes.
    #[error("it is JSON, but not what kubectl prints: found {found}; make it with `{COMMAND}`")]
    NotKubectl {
        /// What was found.
        found: Box<str>,
    },
    /// It is what kubectl prints, but nothing in it tells who is who.
    #[error("there is no pod, Service or endpoint in it (found: {found}); make it with `{COMMAND}`")]
    NothingOfUse {
        /// What was found instead.
        found: Box<str>,
    },
}

impl Malformed {
    /// Nothing of what was counted is of use.
    pub(super) fn nothing_of_use(ignored: &[Ignored]) -> Self {
        let mut found: Vec<String> = ignored.iter().take(MAX_NAMED).map(ToString::to_string).collect();
        match ignored.len().saturating_sub(MAX_NAMED) {
            0 if found.is_empty() => found.push("nothing".to_owned()),
            0 => {}
            more => found.push(format!("and {more} more kinds")),
        }
        Self::NothingOfUse { found: found.join(", ").into() }
    }

    /// Not JSON, as the parser says; where the text is known to be something else, that is said instead.
    pub(super) fn not_json(text: &[u8], error: &serde_json::Error) -> Self {
        if let Some((found, hint)) = other_format(text) {
            Self::OtherFormat { found, hint }
        } else if error.is_eof() {
            Self::CutShort { line: error.line() }
        } else {
            Self::NotJson { line: error.line(), column: error.column(), cause: without_position(error) }
        }
    }
}

/// What else this text is, with a hint.
fn other_format(text: &[u8]) -> Option<(&'static str, &'static str)> {
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        return Some(("UTF-16", "PowerShell writes it with `>`: use `| Out-File -Encoding utf8` instead"));
    }
    let is_one_of = |line: &[u8], starts: &[&[u8]]| starts.iter().any(|start| line.starts_with(start));
    let mut lines = text.split(|byte| *byte == b'\n').filter(|line| {
        let line = line.trim_ascii();
        !line.is_empty() && !line.starts_with(b"#")
    });
    let first = lines.next()?;
    if is_one_of(first, &[b"---", b"apiVersion:", b"kind:", b"items:", b"metadata:", b"- "]) {
        return Some(("YAML", "give `-o json` to kubectl instead of `-o yaml`"));
    }
    if is_one_of(first, &[b"NAME ", b"NAMESPACE "]) {
        return Some(("a table", "give `-o json` to kubectl"));
    }
    None
}
