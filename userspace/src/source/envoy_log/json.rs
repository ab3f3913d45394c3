//! Istio's JSON format: an object whose keys are named after the operators; must not know of lines that are none of an access log.

use serde::Deserialize;
use serde_json::Value;

use crate::{event::envoy::LogEntry, source::envoy_log::field};

/// What is read of an entry (Istio `pilot/pkg/model/telemetry_logging.go`, `EnvoyJSONLogFormatIstio`). All the other keys, such as the path and the
/// user agent, are not even kept in memory.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    start_time: Value,
    duration: Value,
    response_code: Value,
    response_flags: Value,
    response_code_details: Value,
    connection_termination_details: Value,
    upstream_transport_failure_reason: Value,
    bytes_received: Value,
    bytes_sent: Value,
    upstream_host: Value,
    upstream_cluster: Value,
    upstream_local_address: Value,
    downstream_local_address: Value,
    downstream_remote_address: Value,
    requested_server_name: Value,
    route_name: Value,
}

/// What an object is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Object {
    /// An entry.
    Entry(Box<LogEntry>),
    /// An entry of which something that is needed cannot be read.
    Unreadable,
    /// Something else, such as a message of Istio's agent.
    Other,
}

/// Reads an object.
pub(super) fn parse(text: &str) -> Object {
    // Said before it is parsed, so that a broken entry counts as one.
    let is_entry = text.contains("\"start_time\"") && text.contains("\"response_flags\"");
    if !is_entry {
        return Object::Other;
    }
    let wire = serde_json::from_str::<Wire>(text).ok();
    wire.and_then(|wire| entry(&wire)).map_or(Object::Unreadable, |entry| Object::Entry(Box::new(entry)))
}

fn entry(wire: &Wire) -> Option<LogEntry> {
    Some(LogEntry {
        began: field::time(wire.start_time.as_str()?)?,
        duration_ms: number(&wire.duration)?,
        flags: field::flags(string(&wire.response_flags))?,
        response_code: u16::try_from(number(&wire.response_code)?).ok()?,
        details: text(&wire.response_code_details),
        termination_details: text(&wire.connection_termination_details),
        transport_failure: text(&wire.upstream_transport_failure_reason),
        bytes_received: number(&wire.bytes_received)?,
        bytes_sent: number(&wire.bytes_sent)?,
        upstream_host: field::address(string(&wire.upstream_host)),
        upstream_cluster: text(&wire.upstream_cluster),
        upstream_local: field::address(string(&wire.upstream_local_address)),
        downstream_local: field::address(string(&wire.downstream_local_address)),
        downstream_remote: field::address(string(&wire.downstream_remote_address)),
        sni: text(&wire.requested_server_name),
        route: text(&wire.route_name),
        ..LogEntry::default()
    })
}

/// What is not set is null or `-`.
fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn text(value: &Value) -> Option<Box<str>> {
    field::text(string(value))
}

/// Numbers are strings where the format is not typed (Envoy before 1.14).
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Null => Some(0),
        Value::String(text) => field::number(text),
        other => other.as_u64(),
    }
}
