//! The clusters of an Envoy's configuration: from a file with what its admin port answers to `/config_dump` (API v2 and v3) or what `istioctl
//! proxy-config cluster -o json` prints, or from the admin port itself. Knows nothing of connections.

pub mod admin;
mod cluster;
mod document;
mod duration;
mod node;

use std::{
    fmt,
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use crate::{
    event::envoy::{ProxyCluster, ProxyNode},
    source::config_dump::document::Found,
};

/// The command that prints what is wanted.
const COMMAND: &str = "kubectl exec POD -c istio-proxy -- pilot-agent request GET config_dump";

/// What a dump told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The clusters in use.
    pub clusters: Vec<ProxyCluster>,
    /// Whose configuration it is.
    pub node: Option<ProxyNode>,
    /// What is not used of it.
    pub unused: Unused,
}

/// What is not used of a dump.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unused {
    /// Clusters that are not in use yet.
    pub warming: u64,
    /// Clusters that cannot be read.
    pub unreadable: u64,
    /// Clusters beyond what is kept.
    pub too_many: u64,
    /// Why it could not be read to its end.
    pub broken: Option<Malformed>,
}

impl Unused {
    /// Something that should have been used is not.
    pub fn is_loss(&self) -> bool {
        self.unreadable > 0 || self.too_many > 0 || self.broken.is_some()
    }
}

impl fmt::Display for Unused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.warming, "clusters that Envoy does not use yet"),
            (self.unreadable, "clusters that cannot be read"),
            (self.too_many, "clusters more than are kept"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let mut parts: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
        parts.extend(self.broken.as_ref().map(|broken| format!("what comes after: {broken}")));
        formatter.write_str(&parts.join(", "))
    }
}

/// A text is no dump, or not a whole one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends within the JSON.
    #[error("it ends in the middle (line {line}); was it cut short? Make it again with `{COMMAND}`")]
    CutShort {
        /// The last line.
        line: usize,
    },
    /// It is not JSON, or not of this shape.
    #[error("it is no configuration dump (line {line}, column {column}: {cause}); make it with `{COMMAND}`")]
    Other {
        /// Where; the first is 1.
        line: usize,
        /// Where in the line, in bytes.
        column: usize,
        /// What is wrong there.
        cause: Box<str>,
    },
    /// It is JSON, and nothing in it is a cluster.
    #[error("there is no cluster in it; make it with `{COMMAND}`")]
    NoCluster,
    /// It could not be read on.
    #[error("reading failed: {0}")]
    Unreadable(Box<str>),
}

/// There are no clusters from a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be opened.
    #[error("cannot read the configuration dump {}: {source}; `{COMMAND}` prints one", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// It is no dump.
    #[error("cannot use the configuration dump {}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Malformed,
    },
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Reading, Error> {
    let file = File::open(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    parse(BufReader::with_capacity(256 << 10, file))
        .map_err(|source| Error::Malformed { path: path.to_owned(), source })
}

/// Reads a dump. What is whole is used, also where the end is missing.
pub fn parse(input: impl Read) -> Result<Reading, Malformed> {
    let mut found = Found::default();
    let broken = document::read(input, &mut found).err().map(|error| malformed(&error));
    let Found { clusters, node, warming, unreadable, too_many } = found;
    if clusters.is_empty() {
        return Err(broken.unwrap_or(Malformed::NoCluster));
    }
    Ok(Reading { clusters, node, unused: Unused { warming, unreadable, too_many, broken } })
}

fn malformed(error: &serde_json::Error) -> Malformed {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() {
        return Malformed::CutShort { line };
    }
    let message = error.to_string();
    if error.is_io() {
        return Malformed::Unreadable(message.into());
    }
    // The message ends with the position, which is told already.
    let cause = message.rsplit_once(" at line ").map_or(message.as_str(), |(cause, _)| cause).into();
    Malformed::Other { line, column, cause }
}

#[cfg(test)]
mod tests;
