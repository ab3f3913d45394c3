//! The cluster as a file: what `kubectl get pods,services,endpointslices,… -A -o json` prints, read into the facts that
//! identity and policy need; knows nothing of a live cluster.

mod collected;
mod document;
mod malformed;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::{event::cluster::Cluster, source::object::tally::Ignored};

pub use malformed::Malformed;

/// What a file told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What is used.
    pub cluster: Cluster,
    /// What is not, by kind and reason.
    pub ignored: Vec<Ignored>,
}

/// Why there is no cluster from a file.
#[derive(Debug, Error)]
pub enum Error {
    /// The file could not be read.
    #[error("cannot read the cluster file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// It is not what kubectl prints.
    #[error("cannot use the cluster file {}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Malformed,
    },
}

/// Reads the file.
pub fn read(path: &Path) -> Result<Reading, Error> {
    let text = fs::read(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    parse(&text).map_err(|source| Error::Malformed { path: path.to_owned(), source })
}

/// Reads the text of such a file. An object that cannot be read is counted and costs nothing but itself.
pub fn parse(text: &[u8]) -> Result<Reading, Malformed> {
    let mut collected = collected::Collected::default();
    for document in document::split(text)? {
        document::for_each_object(document, |object| collected.add(&object))?;
    }
    let reading = collected.finish();
    let Cluster { pods, services, endpoints, .. } = &reading.cluster;
    if pods.is_empty() && services.is_empty() && endpoints.is_empty() {
        return Err(Malformed::nothing_of_use(&reading.ignored));
    }
    Ok(reading)
}

#[cfg(test)]
mod tests;
