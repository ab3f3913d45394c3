//! Writes updates as JSON, one object a line; must not know where the lines go.

mod line;
mod name;
mod party;
pub(crate) mod schema;
mod value;

use std::io::{self, Write};

pub use schema::{schema, schema_of};

use crate::{
    sink::{
        Accounting, Sink,
        json::line::{Line, What},
    },
    update::Update,
};

/// Writes JSON lines.
#[derive(Debug)]
pub struct JsonLines<W> {
    destination: W,
    node: Option<Box<str>>,
}

impl<W: Write> JsonLines<W> {
    /// Writes to this, in small pieces: it should have a buffer.
    pub fn new(destination: W) -> Self {
        Self { destination, node: None }
    }

    /// Each line tells that it is of this node.
    #[must_use]
    pub fn of_node(self, node: &str) -> Self {
        Self { node: Some(node.into()), ..self }
    }

    fn write(&mut self, what: What<'_>) -> io::Result<()> {
        let line = Line { what, node: self.node.as_deref() };
        serde_json::to_writer(&mut self.destination, &line)?;
        self.destination.write_all(b"\n")
    }
}

impl<W: Write> Sink for JsonLines<W> {
    fn update(&mut self, update: &Update) -> io::Result<()> {
        self.write(What::from(update))
    }

    fn account(&mut self, accounting: &Accounting) -> io::Result<()> {
        self.write(What::from(accounting))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.destination.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::JsonLines;
    use crate::{
        sink::{Sink as _, samples},
        update::Update,
    };

    fn pretty(lines: JsonLines<Vec<u8>>) -> String {
        let line = String::from_utf8(lines.destination).unwrap();
        assert_eq!(line.find('\n'), Some(line.len() - 1), "one line: {line:?}");
        assert!(line.starts_with(r#"{"kind":""#), "who reads by eye sees the kind first: {line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    }

    fn written(update: &Update) -> String {
        let mut lines = JsonLines::new(Vec::new());
        lines.update(update).unwrap();
        pretty(lines)
    }

    #[test]
    fn a_line_tells_its_node_where_there_is_one() {
        let updates = [
            Update::Finding(Box::new(samples::finding())),
            Update::Resolved(Box::new(samples::resolved())),
            Update::Connection(Box::new(samples::connection())),
        ];
        for update in &updates {
            let mut lines = JsonLines::new(Vec::new()).of_node("worker-1");
            lines.update(update).unwrap();
            let told: serde_json::Value = serde_json::from_str(&pretty(lines)).unwrap();
            assert_eq!(told["node"], "worker-1");
            let without: serde_json::Value = serde_json::from_str(&written(update)).unwrap();
            assert_eq!(without.get("node"), None);
        }
    }

    #[test]
    fn a_finding_is_to_the_contract() {
        insta::assert_snapshot!(written(&Update::Finding(Box::new(samples::finding()))), @r#"
        {
          "cause": {
            "code": "headless-unconditional-mtls",
            "text": "redis.default is headless, and its cluster in the sidecar sends mTLS to every endpoint, also to those without a sidecar."
          },
          "client": {
            "address": "10.1.1.25",
            "container": "istio-proxy",
            "namespace": "default",
            "pid": 4242,
            "pod": "redis-client-6d9f7c5b8-x2x9q",
            "port": 50714,
            "process": "envoy",
            "sidecar": true,
            "uid": 1337,
            "victim": {
              "container": "app",
              "pid": 4300,
              "port": 45940,
              "process": "redis-cli"
            },
            "workload": "Deployment/redis-client"
          },
          "client_hello": {
            "alpn": [
              "istio-peer-exchange",
              "istio"
            ],
            "groups": [
              "X25519",
              "P-256"
            ],
            "ja4": "t12d1409is_0d8feac7bc37_7395dae3b2f3",
            "mesh": "istio",
            "sni": "outbound_.6379_._.redis.default.svc.cluster.local",
            "versions": [
              "1.2"
            ]
          },
          "code": "mtls-to-plaintext",
          "confidence": "likely",
          "count": 1,
          "evidence": [
            "The sidecar sent a ClientHello of 205 bytes.",
            "Nothing came back for 998 ms."
          ],
          "first_seen": "2020-05-14T07:30:01.000000000Z",
          "fix": {
            "manifest": "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n",
            "text": "Tell clients to speak plaintext to this host."
          },
          "incomplete": false,
          "kind": "finding",
          "last_seen": "2020-05-14T07:30:01.000000000Z",
          "listener": {
            "behaviour": "silent",
            "first_bytes": "",
            "protocol": null
          },
          "outcome": {
            "after_ms": 998.2,
            "bytes_received": 0,
            "bytes_sent": 205,
            "ended_by": "client",
            "how": "fin"
          },
          "schema": 1,
          "server": {
            "address": "10.1.1.24",
            "headless": true,
            "namespace": "default",
            "pod": "redis-0",
            "port": 6379,
            "process": "redis-server",
            "service": "redis",
            "sidecar": false,
            "workload": "StatefulSet/redis"
          },
          "time": "2020-05-14T07:30:01.000000000Z"
        }
        "#);
    }

    #[test]
    fn keys_that_are_not_known_are_absent() {
        insta::assert_snapshot!(written(&Update::Finding(Box::new(samples::bare_finding()))), @r#"
        {
          "cause": {
            "code": "headless-unconditional-mtls",
            "text": "redis.default is headless, and its cluster in the sidecar sends mTLS to every endpoint, also to those without a sidecar."
          },
          "client": {
            "address": "fd00::25",
            "port": 50714
          },
          "client_hello": {
            "ja4": "t12d1409is_0d8feac7bc37_7395dae3b2f3"
          },
          "code": "mtls-to-plaintext",
          "confidence": "likely",
          "count": 1,
          "evidence": [],
          "first_seen": "2020-05-14T07:30:01.000000000Z",
          "fix": {
            "text": "Look at the listener."
          },
          "incomplete": true,
          "kind": "finding",
          "last_seen": "2020-05-14T07:30:01.000000000Z",
          "listener": {
            "behaviour": "plaintext",
            "first_bytes": "2d4552520d0a",
            "protocol": "redis"
          },
          "schema": 1,
          "server": {
            "address": "fd00::24",
            "port": 6379
          },
          "time": "2020-05-14T07:30:01.000000000Z"
        }
        "#);
    }

    #[test]
    fn a_resolution_is_to_the_contract() {
        insta::assert_snapshot!(written(&Update::Resolved(Box::new(samples::resolved()))), @r#"
        {
          "cause": {
            "code": "headless-unconditional-mtls",
            "text": "redis.default is headless, and its cluster in the sidecar sends mTLS to every endpoint, also to those without a sidecar."
          },
          "client": {
            "address": "10.1.1.25",
            "container": "istio-proxy",
            "namespace": "default",
            "pid": 4242,
            "pod": "redis-client-6d9f7c5b8-x2x9q",
            "port": 50714,
            "process": "envoy",
            "sidecar": true,
            "uid": 1337,
            "workload": "Deployment/redis-client"
          },
          "code": "mtls-to-plaintext",
          "count": 3,
          "evidence": [
            "A plaintext connection was answered with 5 bytes."
          ],
          "first_seen": "2020-05-14T07:30:01.000000000Z",
          "kind": "resolved",
          "last_seen": "2020-05-14T07:30:31.000000000Z",
          "schema": 1,
          "server": {
            "address": "10.1.1.24",
            "headless": true,
            "namespace": "default",
            "pod": "redis-0",
            "port": 6379,
            "process": "redis-server",
            "service": "redis",
            "sidecar": false,
            "workload": "StatefulSet/redis"
          },
          "time": "2020-05-14T07:31:00.000000000Z"
        }
        "#);
    }

    #[test]
    fn a_connection_is_to_the_contract() {
        insta::assert_snapshot!(written(&Update::Connection(Box::new(samples::connection()))), @r#"
        {
          "began_before": false,
          "client": {
            "address": "10.1.1.25",
            "container": "istio-proxy",
            "namespace": "default",
            "pid": 4242,
            "pod": "redis-client-6d9f7c5b8-x2x9q",
            "port": 50714,
            "process": "envoy",
            "sidecar": true,
            "uid": 1337,
            "workload": "Deployment/redis-client"
          },
          "client_hello": {
            "alpn": [
              "istio-peer-exchange",
              "istio"
            ],
            "groups": [
              "X25519",
              "P-256"
            ],
            "ja4": "t12d1409is_0d8feac7bc37_7395dae3b2f3",
            "mesh": "istio",
            "sni": "outbound_.6379_._.redis.default.svc.cluster.local",
            "versions": [
              "1.2"
            ]
          },
          "connect_ms": 0.045,
          "incomplete": false,
          "kind": "connection",
          "listener": {
            "behaviour": "silent",
            "first_bytes": "",
            "protocol": null
          },
          "opened": "2020-05-14T07:30:00.000000000Z",
          "outcome": {
            "after_ms": 998.2,
            "bytes_received": 0,
            "bytes_sent": 205,
            "ended_by": "client",
            "how": "fin"
          },
          "role": "connector",
          "schema": 1,
          "server": {
            "address": "10.1.1.24",
            "headless": true,
            "namespace": "default",
            "pod": "redis-0",
            "port": 6379,
            "process": "redis-server",
            "service": "redis",
            "sidecar": false,
            "workload": "StatefulSet/redis"
          },
          "time": "2020-05-14T07:30:01.000000000Z"
        }
        "#);
    }

    #[test]
    fn the_summary_is_to_the_contract() {
        let mut lines = JsonLines::new(Vec::new());
        lines.account(&samples::accounting()).unwrap();
        insta::assert_snapshot!(pretty(lines), @r#"
        {
          "began_before": 4,
          "filtered": 2,
          "findings": 1,
          "kind": "summary",
          "lost": {
            "lost_hello": 1,
            "lost_opened": 2
          },
          "open": 1,
          "reported": 10,
          "resolved": 1,
          "schema": 1,
          "seen": 15,
          "time": "2020-05-14T07:31:30.000000000Z"
        }
        "#);
    }
}
