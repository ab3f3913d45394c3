//! The parts that several kinds of JSON lines have; must not know the lines.

use std::{collections::BTreeMap, net::IpAddr};

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    protocol::Protocol,
    sink::json::{
        name::{Behaviour, EndedBy, EndedHow},
        value::{Hex, Milliseconds},
    },
    update,
};

/// One end of a connection: who and where.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Party<'a> {
    /// IP address.
    address: IpAddr,
    /// TCP port.
    port: u16,
    /// Pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'a str>,
    /// Namespace of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    /// Container.
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a str>,
    /// Owner of the pod, such as `Deployment/redis-client`.
    #[serde(skip_serializing_if = "Option::is_none")]
    workload: Option<&'a str>,
    /// Service that has the address and port among its endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    /// The Service is headless.
    #[serde(skip_serializing_if = "Option::is_none")]
    headless: Option<bool>,
    /// The pod has a mesh proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    sidecar: Option<bool>,
    /// Command name of the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<&'a str>,
    /// Process id, in the node's own pid namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// User id of the socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    /// Labels of the pod; only in findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a BTreeMap<Box<str>, Box<str>>>,
}

impl<'a> From<&'a update::Party> for Party<'a> {
    fn from(party: &'a update::Party) -> Self {
        let update::Party {
            address,
            pod,
            namespace,
            container,
            workload,
            process,
            pid,
            uid,
            service,
            headless,
            sidecar,
            mesh: _,
            labels,
            pod_uid: _,
            service_uid: _,
        } = party;
        Self {
            address: address.ip(),
            port: address.port(),
            pod: pod.as_deref(),
            namespace: namespace.as_deref(),
            container: container.as_deref(),
            workload: workload.as_deref(),
            service: service.as_deref(),
            headless: *headless,
            sidecar: *sidecar,
            process: process.as_deref(),
            pid: *pid,
            uid: *uid,
            labels: labels.as_ref(),
        }
    }
}

/// Who connects; in a mesh, the sidecar.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Client<'a> {
    #[serde(flatten)]
    party: Party<'a>,
    /// The application behind the sidecar, where its connection was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    victim: Option<Victim<'a>>,
}

impl<'a> Client<'a> {
    pub(super) fn new(party: &'a update::Party, victim: Option<&'a update::Victim>) -> Self {
        Self { party: party.into(), victim: victim.map(Victim::from) }
    }
}

/// The application whose connection to its sidecar failed.
#[derive(Debug, Serialize, JsonSchema)]
struct Victim<'a> {
    /// Container.
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a str>,
    /// Command name of the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<&'a str>,
    /// Process id, in the node's own pid namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// TCP port of its connection.
    port: u16,
}

impl<'a> From<&'a update::Victim> for Victim<'a> {
    fn from(victim: &'a update::Victim) -> Self {
        let update::Victim { container, process, pid, port } = victim;
        Self { container: container.as_deref(), process: process.as_deref(), pid: *pid, port: *port }
    }
}

/// A `ClientHello`. Names from the wire are text in which everything but visible ASCII is escaped as `\xHH`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Hello<'a> {
    /// Server name; absent when the hello has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<&'a str>,
    /// Protocols offered, in order; absent when the hello offers none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    alpn: &'a [Box<str>],
    /// Mesh whose proxies write hellos like this, such as `istio`; new ones may come.
    #[serde(skip_serializing_if = "Option::is_none")]
    mesh: Option<&'static str>,
    /// JA4 fingerprint.
    ja4: &'a str,
    /// TLS versions offered, best first, such as `1.3`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    versions: &'a [Box<str>],
    /// Key exchange groups offered, in order, such as `X25519MLKEM768`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    groups: &'a [Box<str>],
}

impl<'a> From<&'a update::Hello> for Hello<'a> {
    fn from(hello: &'a update::Hello) -> Self {
        let update::Hello { sni, alpn, mesh, ja4, versions, groups } = hello;
        Self { sni: sni.as_deref(), alpn, mesh: *mesh, ja4, versions, groups }
    }
}

/// What the destination's listener did, and what it speaks.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Listener<'a> {
    /// What it did with the connection; absent when that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    behaviour: Option<Behaviour>,
    /// Protocol that it speaks, as far as its first bytes tell, such as `redis`; null when they do not. New ones may come.
    protocol: Option<&'static str>,
    /// First bytes of its answer, in hexadecimal digits; empty when it gave none or they were not looked at.
    first_bytes: Hex<'a>,
}

impl<'a> From<&'a update::ListenerSeen> for Listener<'a> {
    fn from(listener: &'a update::ListenerSeen) -> Self {
        let update::ListenerSeen { behaviour, protocol, first_bytes } = listener;
        Self {
            behaviour: behaviour.map(Behaviour::from),
            protocol: protocol.map(Protocol::name),
            first_bytes: Hex(first_bytes),
        }
    }
}

/// How a connection ended, in the client's words.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Outcome {
    /// Who ended it.
    ended_by: EndedBy,
    /// How.
    how: EndedHow,
    /// From the last payload that the client sent, or from the connect when it sent none, to the end; in milliseconds.
    /// Absent when it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ms: Option<Milliseconds>,
    /// Payload bytes from client to server.
    bytes_sent: u64,
    /// Payload bytes from server to client.
    bytes_received: u64,
    /// Errno of a failed connect or a broken connection, such as 111 for a refused one.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<u32>,
    /// The kernel's reason for a reset (`enum sk_rst_reason`).
    #[serde(skip_serializing_if = "Option::is_none")]
    reset_reason: Option<u32>,
}

impl From<&update::Outcome> for Outcome {
    fn from(outcome: &update::Outcome) -> Self {
        let update::Outcome { ended_by, how, after_ns, bytes_sent, bytes_received, error, reset_reason } =
            *outcome;
        Self {
            ended_by: ended_by.into(),
            how: how.into(),
            after_ms: after_ns.map(|ns| Milliseconds { ns }),
            bytes_sent,
            bytes_received,
            error,
            reset_reason,
        }
    }
}

/// Why it is wrong.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Cause<'a> {
    /// Stable code, such as `headless-unconditional-mtls`; new ones may come.
    code: &'static str,
    /// A sentence for people.
    text: &'a str,
}

impl<'a> From<&'a update::Cause> for Cause<'a> {
    fn from(cause: &'a update::Cause) -> Self {
        let update::Cause { code, text } = cause;
        Self { code, text }
    }
}

/// How to mend it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Fix<'a> {
    /// A sentence for people.
    text: &'a str,
    /// YAML that can be applied as it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<&'a str>,
}

impl<'a> From<&'a update::Fix> for Fix<'a> {
    fn from(fix: &'a update::Fix) -> Self {
        let update::Fix { text, manifest } = fix;
        Self { text, manifest: manifest.as_deref() }
    }
}
