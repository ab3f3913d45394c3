//! Reading of what Envoys log, and of how they are configured.

use mtlsnoop::source::{config_dump, envoy_log::lines::Lines};

/// A log, in two pieces cut at half: how it is cut changes nothing.
pub(crate) fn log(bytes: &[u8]) {
    let read = |pieces: [&[u8]; 2]| {
        let mut lines = Lines::default();
        let mut entries = Vec::new();
        for piece in pieces {
            lines.take(piece, &mut |entry| entries.push(entry));
        }
        lines.finish(&mut |entry| entries.push(entry));
        entries
    };
    let (before, after) = bytes.split_at(bytes.len() / 2);
    assert_eq!(read([bytes, &[]]), read([before, after]), "the cut of a log changed what it says");
}

/// The text of a configuration dump.
pub(crate) fn config_dump(bytes: &[u8]) {
    let _reading = config_dump::parse(bytes);
}
