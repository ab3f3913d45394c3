//! What the tracer's lines say that was found; it must not know what should have been.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// One finding, in the words of the tracer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) code: String,
    pub(crate) cause: String,
    pub(crate) behaviour: String,
    pub(crate) protocol: Option<String>,
    pub(crate) confidence: String,
    /// From the client's first move until the line; not known of a capture.
    pub(crate) after_ms: Option<u64>,
    /// Both ends.
    pub(crate) addresses: Vec<IpAddr>,
}

impl Finding {
    /// Reads a line; every other kind of line is none.
    pub(crate) fn read(line: &Value) -> Result<Option<Self>> {
        if line["kind"] != "finding" {
            return Ok(None);
        }
        let text = |path: &str| {
            let value = line.pointer(path).and_then(Value::as_str);
            value.map(String::from).with_context(|| format!("no {path} in {line}"))
        };
        let addresses = ["/client/address", "/server/address"]
            .iter()
            .filter_map(|path| line.pointer(path)?.as_str()?.parse::<IpAddr>().ok())
            .map(|address| address.to_canonical())
            .collect();
        Ok(Some(Self {
            code: text("/code")?,
            cause: text("/cause/code")?,
            behaviour: text("/listener/behaviour").unwrap_or_default(),
            protocol: text("/listener/protocol").ok(),
            confidence: text("/confidence")?,
            after_ms: None,
            addresses,
        }))
    }

    /// Whether it says the same of the same; a finding is said again when more is known of it.
    pub(crate) fn is_about_the_same(&self, other: &Self) -> bool {
        self.code == other.code && self.cause == other.cause
    }
}

/// Different findings in the order in which they were first said, each as sure as it became.
pub(crate) fn distinct(all: impl IntoIterator<Item = Finding>) -> Vec<Finding> {
    let mut distinct: Vec<Finding> = Vec::new();
    for finding in all {
        match distinct.iter_mut().find(|known| known.is_about_the_same(&finding)) {
            Some(known) => {
                let after_ms = known.after_ms;
                if rank(&finding.confidence) >= rank(&known.confidence) {
                    *known = Finding { after_ms, ..finding };
                }
            }
            None => distinct.push(finding),
        }
    }
    distinct
}

fn rank(confidence: &str) -> u8 {
    match confidence {
        "certain" => 2,
        "likely" => 1,
        _ => 0,
    }
}
