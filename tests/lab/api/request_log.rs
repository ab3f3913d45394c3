//! All requests and how they were answered; it must not know why.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// More than any test makes. What comes beyond is counted in the totals alone.
const KEPT: usize = 200_000;

/// A request, as tests read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `patch`, …; of paths without objects `get`.
    pub verb: String,
    /// Resource by its name in paths (`pods`, `destinationrules`); of other paths the path.
    pub resource: String,
    /// The path and query as they came.
    pub uri: String,
    /// Status code; 0 while there is none yet.
    pub code: u16,
    /// Bytes of the answer's body so far.
    pub bytes: u64,
    /// The answer is complete, or was cut off.
    pub is_over: bool,
}

/// The counters of one request, which go on while a watch does.
#[derive(Debug)]
pub(crate) struct Record {
    verb: Mutex<(String, String)>,
    uri: String,
    code: AtomicU16,
    bytes: AtomicU64,
    is_over: AtomicBool,
}

impl Record {
    pub(crate) fn named(&self, verb: &str, resource: &str) {
        *self.verb.lock().unwrap_or_else(PoisonError::into_inner) = (verb.to_owned(), resource.to_owned());
    }

    pub(crate) fn answered(&self, code: u16) {
        self.code.store(code, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn over(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn request(&self) -> Request {
        let (verb, resource) = self.verb.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Request {
            verb,
            resource,
            uri: self.uri.clone(),
            code: self.code.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            is_over: self.is_over.load(Ordering::Relaxed),
        }
    }
}

/// The log.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    records: Mutex<Vec<Arc<Record>>>,
    mistakes: Mutex<Vec<String>>,
}

impl RequestLog {
    pub(crate) fn begin(&self, method: &str, uri: &str) -> Arc<Record> {
        let record = Arc::new(Record {
            verb: Mutex::new((method.to_lowercase(), uri.split('?').next().unwrap_or_default().to_owned())),
            uri: uri.to_owned(),
            code: AtomicU16::new(0),
            bytes: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() < KEPT {
            records.push(Arc::clone(&record));
        }
        record
    }

    pub(crate) fn mistake(&self, text: String) {
        self.mistakes.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().map(|record| record.request()).collect()
    }

    pub(crate) fn mistakes(&self) -> Vec<String> {
        self.mistakes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
