//! Istio's text formats, read by their quotes: fields before the last ones were added over time and shift everything.
//! Must not know of lines that are none of an access log.
//!
//! Istio 1.3–1.7 (`pilot/pkg/networking/core/v1alpha3/listener.go`, `EnvoyTextLogFormat`):
//! `[START] "METHOD PATH PROTOCOL" CODE FLAGS "MIXER" "FAILURE" RECEIVED SENT DURATION UPSTREAM_TIME "XFF" "AGENT" "ID" "AUTHORITY"
//! "UPSTREAM_HOST" CLUSTER UPSTREAM_LOCAL DOWNSTREAM_LOCAL DOWNSTREAM_REMOTE SNI ROUTE`; 1.2 without `ROUTE`; 1.8 without `MIXER`;
//! 1.9 and newer with `DETAILS TERMINATION` after `FLAGS` (`pilot/pkg/model/telemetry_logging.go`).
//!
//! Envoy writes what a client sent as it is, quotes too. So the end of the request is where a code and flags follow, and
//! the last fields are counted from the last quote.

use crate::{event::envoy::LogEntry, source::envoy_log::field};

/// Where an entry begins in a line, which may have something before it (`kubectl logs --prefix` and `--timestamps`); none when the
/// line has none. Envoy's own messages begin with a bracket and a time too, but with a space between date and time.
pub(super) fn start(line: &str) -> Option<usize> {
    /// Longest that tools put before a line.
    const PREFIX_BYTES_MAX: usize = 256;

    let begin = &line.as_bytes()[..line.len().min(PREFIX_BYTES_MAX)];
    begin.iter().enumerate().filter(|(_, byte)| **byte == b'[').map(|(at, _)| at).find(|at| {
        let rest = &line.as_bytes()[*at..];
        let is_time = rest.get(5) == Some(&b'-') && rest.get(11) == Some(&b'T');
        // The longest has nanoseconds and an offset.
        is_time
            && rest
                .iter()
                .take(40)
                .position(|byte| *byte == b']')
                .is_some_and(|end| rest[end..].starts_with(b"] \""))
    })
}

/// The entry that a text begins with; none when it is of another format.
pub(super) fn parse(line: &str) -> Option<LogEntry> {
    let (time, rest) = line.strip_prefix('[')?.split_once("] \"")?;
    let head = head(rest)?;
    let tail = tail(line)?;
    Some(LogEntry { began: field::time(time)?, ..merged(head, tail) })
}

/// Fields up to the duration.
fn head(after_quote: &str) -> Option<LogEntry> {
    after_quote.match_indices('"').find_map(|(quote, _)| after_request(&after_quote[quote + 1..]))
}

fn after_request(text: &str) -> Option<LogEntry> {
    let mut cursor = Cursor(text);
    let response_code = cursor.word()?;
    let flags = field::flags(cursor.word()?)?;
    // Only 1.9 and newer have these; the second may have spaces.
    let details = cursor.word();
    let termination = cursor.until_quote();
    let first = cursor.quoted()?;
    // With two of them the first is what Mixer said.
    let failure = cursor.quoted().unwrap_or(first);
    let bytes_received = field::number(cursor.word()?)?;
    let bytes_sent = field::number(cursor.word()?)?;
    let duration_ms = field::number(cursor.word()?)?;
    Some(LogEntry {
        response_code: u16::try_from(field::number(response_code)?).ok()?,
        flags,
        details: details.and_then(field::text),
        termination_details: field::text(termination),
        transport_failure: field::text(failure),
        bytes_received,
        bytes_sent,
        duration_ms,
        ..LogEntry::default()
    })
}

/// Fields from the upstream host on, which is the last in quotes.
fn tail(line: &str) -> Option<LogEntry> {
    let (before, words) = line.rsplit_once('"')?;
    let (_, upstream_host) = before.rsplit_once('"')?;
    let words: Vec<&str> = words.split_whitespace().collect();
    let (&[cluster, upstream_local, downstream_local, downstream_remote, sni], more) =
        words.split_first_chunk()?;
    Some(LogEntry {
        upstream_host: field::address(upstream_host),
        upstream_cluster: field::text(cluster),
        upstream_local: field::address(upstream_local),
        downstream_local: field::address(downstream_local),
        downstream_remote: field::address(downstream_remote),
        sni: field::text(sni),
        route: more.first().and_then(|route| field::text(route)),
        ..LogEntry::default()
    })
}

fn merged(head: LogEntry, tail: LogEntry) -> LogEntry {
    LogEntry {
        response_code: head.response_code,
        flags: head.flags,
        details: head.details,
        termination_details: head.termination_details,
        transport_failure: head.transport_failure,
        bytes_received: head.bytes_received,
        bytes_sent: head.bytes_sent,
        duration_ms: head.duration_ms,
        ..tail
    }
}

/// Words and quoted texts one after another.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    /// The next word, unless a quote comes first.
    fn word(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start();
        let word = rest.split([' ', '"']).next().filter(|word| !word.is_empty())?;
        self.0 = &rest[word.len()..];
        Some(word)
    }

    /// Everything before the next quote.
    fn until_quote(&mut self) -> &'a str {
        let end = self.0.find('"').unwrap_or(self.0.len());
        let (before, rest) = self.0.split_at(end);
        self.0 = rest;
        before.trim()
    }

    /// A quoted text, if that is what comes next.
    fn quoted(&mut self) -> Option<&'a str> {
        let (text, rest) = self.0.trim_start().strip_prefix('"')?.split_once('"')?;
        self.0 = rest;
        Some(text)
    }
}
