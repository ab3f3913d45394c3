//! Reading of the agent's configuration file.

use std::path::Path;

use mtlsnoop::config::file::{Entries, parse};

/// The text of a file; what is no UTF-8 is none.
pub(crate) fn file(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match parse(Path::new("config.yaml"), text) {
        Ok(Entries(entries)) => {
            let words: usize = entries.iter().map(|(_, values)| values.len()).sum();
            // An alias that repeats itself could make much of little (YAML 1.2.2 §7.1).
            assert!(words <= 16 * bytes.len(), "{words} words of {} bytes", bytes.len());
        }
        Err(error) => assert!(error.to_string().contains("config.yaml"), "{error}"),
    }
}
