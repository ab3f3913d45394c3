//! What the core tells sinks: connections, findings, resolutions and the accounting. Pure data.

pub mod suspicion;

use std::{collections::BTreeMap, net::SocketAddr};

use crate::{
    event::{loss::Loss, time::Time},
    protocol::Protocol,
    tls::mesh::Mesh,
    update::suspicion::Suspicion,
};

/// One thing that the core has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// One end of a connection ended.
    Connection(Box<Connection>),
    /// Something is wrong, or it is wrong again.
    Finding(Box<Finding>),
    /// What was wrong works now.
    Resolved(Box<Resolved>),
}

/// Which end of a connection a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It connected.
    Connector,
    /// It was accepted from a listener.
    Acceptor,
    /// Not known: the connection is older than the tracer.
    Unknown,
}

impl Role {
    /// Stable name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connector => "connector",
            Self::Acceptor => "acceptor",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known of one end: who and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Address and port.
    pub address: SocketAddr,
    /// Pod.
    pub pod: Option<Box<str>>,
    /// Namespace of the pod.
    pub namespace: Option<Box<str>>,
    /// Container.
    pub container: Option<Box<str>>,
    /// Owner of the pod, such as `Deployment/redis-client`.
    pub workload: Option<Box<str>>,
    /// Command name of the process.
    pub process: Option<Box<str>>,
    /// Process id.
    pub pid: Option<u32>,
    /// User id.
    pub uid: Option<u32>,
    /// Service that has the address and port among its endpoints.
    pub service: Option<Box<str>>,
    /// The Service is headless.
    pub headless: Option<bool>,
    /// The pod has a mesh proxy beside its application.
    pub sidecar: Option<bool>,
    /// The mesh that it is in, by its proxy or by what its pod declares.
    pub mesh: Option<Mesh>,
    /// Labels of the pod; only in findings.
    pub labels: Option<BTreeMap<Box<str>, Box<str>>>,
    /// `metadata.uid` of the pod; only in findings.
    pub pod_uid: Option<Box<str>>,
    /// `metadata.uid` of the Service; only in findings.
    pub service_uid: Option<Box<str>>,
}

impl Party {
    /// Nothing but an address is known.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            pod: None,
            namespace: None,
            container: None,
            workload: None,
            process: None,
            pid: None,
            uid: None,
            service: None,
            headless: None,
            sidecar: None,
            mesh: None,
            labels: None,
            pod_uid: None,
            service_uid: None,
        }
    }
}

/// The application whose connection to its sidecar failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Victim {
    /// Container.
    pub container: Option<Box<str>>,
    /// Command name of the process.
    pub process: Option<Box<str>>,
    /// Process id.
    pub pid: Option<u32>,
    /// Port of its connection.
    pub port: u16,
}

/// A `ClientHello` as findings show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Server name.
    pub sni: Option<Box<str>>,
    /// Protocols offered.
    pub alpn: Vec<Box<str>>,
    /// Mesh that wrote it, such as `istio`.
    pub mesh: Option<&'static str>,
    /// JA4 fingerprint.
    pub ja4: Box<str>,
    /// TLS versions offered, such as `1.3`, best first.
    pub versions: Vec<Box<str>>,
    /// Key exchange groups offered, such as `X25519MLKEM768` (IANA TLS Supported Groups).
    pub groups: Vec<Box<str>>,
}

/// What a listener did with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// Answered with a TLS handshake.
    Tls,
    /// Answered with a TLS alert.
    TlsAlert,
    /// Answered with something else.
    Plaintext,
    /// Greeted before or beside the hello: what came is no answer to it.
    SpokeFirst,
    /// Took the bytes and answered nothing until the client gave up.
    Silent,
    /// Closed without an answer.
    Closed,
    /// Reset without an answer.
    Reset,
    /// Nobody listened.
    Refused,
    /// There was no way to it.
    Unreachable,
    /// The connect was never answered.
    Timeout,
}

impl Behaviour {
    /// Every behaviour.
    pub const ALL: [Self; 10] = [
        Self::Tls,
        Self::TlsAlert,
        Self::Plaintext,
        Self::SpokeFirst,
        Self::Silent,
        Self::Closed,
        Self::Reset,
        Self::Refused,
        Self::Unreachable,
        Self::Timeout,
    ];

    /// Stable name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::TlsAlert => "tls-alert",
            Self::Plaintext => "plaintext",
            Self::SpokeFirst => "spoke-first",
            Self::Silent => "silent",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
        }
    }
}

/// What the destination's listener did, and what it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSeen {
    /// What it did.
    pub behaviour: Option<Behaviour>,
    /// What it speaks, as far as bytes tell.
    pub protocol: Option<Protocol>,
    /// First bytes of its answer, at most 64; empty when it gave none or they stayed in the kernel.
    pub first_bytes: Box<[u8]>,
}

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndedBy {
    /// The connecting end.
    Client,
    /// The listener's end.
    Server,
    /// Both at the same time.
    Both,
    /// The network: a timeout or an unreachable host.
    Network,
}

impl EndedBy {
    /// Stable name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Both => "both",
            Self::Network => "network",
        }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndedHow {
    /// By FIN.
    Fin,
    /// By RST.
    Reset,
    /// The connect failed or the connection broke, with an errno.
    Error,
    /// A connect was given up before it was answered.
    GivenUp,
}

impl EndedHow {
    /// Stable name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::Reset => "rst",
            Self::Error => "error",
            Self::GivenUp => "given-up",
        }
    }
}

/// The outcome of a connection, in the client's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Who ended it.
    pub ended_by: EndedBy,
    /// How.
    pub how: EndedHow,
    /// From the last payload that the client sent, or from the connect, to the end, in nanoseconds; none when not known,
    /// as of an accepted end that was not followed.
    pub after_ns: Option<u64>,
    /// Payload bytes from client to server.
    pub bytes_sent: u64,
    /// Payload bytes from server to client.
    pub bytes_received: u64,
    /// Errno of a failed connect or a broken connection.
    pub error: Option<u32>,
    /// The kernel's reason for a reset (`enum sk_rst_reason`).
    pub reset_reason: Option<u32>,
}

impl Outcome {
    /// It was refused, cut, broken or never answered; one that was closed in peace is none, whatever was said on it.
    pub fn is_failure(&self) -> bool {
        self.error.is_some() || matches!(self.how, EndedHow::Reset | EndedHow::Error | EndedHow::GivenUp)
    }
}

/// One end of a connection, at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// When it ended.
    pub time: Time,
    /// Which end this is.
    pub role: Role,
    /// The connecting end.
    pub client: Party,
    /// The listener's end.
    pub server: Party,
    /// When it was opened; none when it is older than the tracer.
    pub opened: Option<Time>,
    /// From the connect to its answer, in nanoseconds.
    pub connect_ns: Option<u64>,
    /// The `ClientHello`, if there was one.
    pub client_hello: Option<Hello>,
    /// What a client that sent no hello spoke, as far as its first bytes tell.
    pub client_protocol: Option<Protocol>,
    /// What the listener did.
    pub listener: ListenerSeen,
    /// How it ended.
    pub outcome: Outcome,
    /// It is older than the tracer, so that its beginning was not seen.
    pub began_before: bool,
    /// Why it is suspect, when only its end was followed.
    pub suspicion: Option<Suspicion>,
    /// Something of it was lost.
    pub incomplete: bool,
}

/// Stable code of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Mesh mTLS reaches a listener that speaks plaintext.
    MtlsToPlaintext,
    /// Plaintext reaches a proxy that wants mesh mTLS.
    PlaintextToMtls,
    /// TLS that a proxy originates for a plaintext application reaches a listener that speaks plaintext.
    TlsToPlaintext,
    /// An application's TLS reaches a proxy that takes the port for plain HTTP.
    TlsToHttpPort,
    /// A proxy wraps an application's TLS into TLS of its own, and the server knows only one of them.
    DoubleTls,
    /// A proxy waits for the client's first bytes, and the client for the server's.
    ServerFirstDeadlock,
    /// One end of a mesh mTLS handshake refuses the other.
    MtlsRejected,
}

impl Code {
    /// Every code, in the order in which they are tried.
    pub const ALL: [Self; 7] = [
        Self::MtlsToPlaintext,
        Self::MtlsRejected,
        Self::PlaintextToMtls,
        Self::TlsToPlaintext,
        Self::DoubleTls,
        Self::TlsToHttpPort,
        Self::ServerFirstDeadlock,
    ];

    /// Stable name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::MtlsToPlaintext => "mtls-to-plaintext",
            Self::PlaintextToMtls => "plaintext-to-mtls",
            Self::TlsToPlaintext => "tls-to-plaintext",
            Self::TlsToHttpPort => "tls-to-http-port",
            Self::DoubleTls => "double-tls",
            Self::ServerFirstDeadlock => "server-first-deadlock",
            Self::MtlsRejected => "mtls-rejected",
        }
    }
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// It looks like it; nothing is known of the destination.
    Possible,
    /// It looks like it, and the destination has no proxy.
    Likely,
    /// There is direct evidence that the listener speaks plaintext.
    Certain,
}

impl Confidence {
    /// Stable name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

/// Why it is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Stable code.
    pub code: &'static str,
    /// A sentence for people.
    pub text: Box<str>,
}

/// How to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// A sentence for people.
    pub text: Box<str>,
    /// YAML that can be applied as it stands.
    pub manifest: Option<Box<str>>,
}

/// Something is wrong between a client and a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// When this was said.
    pub time: Time,
    /// What is wrong.
    pub code: Code,
    /// How sure.
    pub confidence: Confidence,
    /// Why.
    pub cause: Cause,
    /// Who connects; in a mesh, the sidecar.
    pub client: Party,
    /// The application behind the sidecar, where its connection was seen.
    pub victim: Option<Victim>,
    /// What was connected to.
    pub server: Party,
    /// What the client sent first.
    pub client_hello: Option<Hello>,
    /// What the listener did.
    pub listener: ListenerSeen,
    /// How the last attempt ended; none while it lasts.
    pub outcome: Option<Outcome>,
    /// What this rests on, a sentence each.
    pub evidence: Vec<Box<str>>,
    /// How to mend it.
    pub fix: Fix,
    /// Failed attempts so far.
    pub count: u64,
    /// When the first of them failed.
    pub first_seen: Time,
    /// When the last of them failed.
    pub last_seen: Time,
    /// Addresses of the destination that failed, at most [`Finding::MAX_ADDRESSES`], in the order of their failing.
    pub addresses: Vec<SocketAddr>,
    /// Something was lost in the time of the attempt.
    pub incomplete: bool,
    /// Number of the incident, of those of this run: the same whenever it is said again, also of other addresses of the same
    /// client and destination. Not written.
    pub incident: u64,
    /// Of the failed attempts, those that were not told before. Not written.
    pub newly_failed: u64,
}

impl Finding {
    /// Most addresses that a finding names.
    pub const MAX_ADDRESSES: usize = 16;
}

/// A finding's client reaches its destination now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// When the first attempt succeeded.
    pub time: Time,
    /// What was wrong.
    pub code: Code,
    /// Why it was wrong.
    pub cause: Cause,
    /// Who connects.
    pub client: Party,
    /// What is connected to.
    pub server: Party,
    /// Attempts that had failed.
    pub count: u64,
    /// When the first of them failed.
    pub first_seen: Time,
    /// When the last of them failed.
    pub last_seen: Time,
    /// What showed that it works.
    pub evidence: Vec<Box<str>>,
    /// How sure it was that something was wrong. Not written.
    pub confidence: Confidence,
    /// Number of the incident, as its findings have it. Not written.
    pub incident: u64,
    /// Of the failed attempts, those that were not told before. Not written.
    pub newly_failed: u64,
}

/// The accounting: `seen` is the sum of all the others but the losses that are not of whole connection ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// When.
    pub time: Time,
    /// Connection ends that began while tracing.
    pub seen: u64,
    /// Of these, ended and reported.
    pub reported: u64,
    /// Of these, left out: the tracer's own.
    pub own: u64,
    /// Of these, still open.
    pub open: u64,
    /// Connection ends older than the tracer that ended meanwhile; they are not in `seen`.
    pub began_before: u64,
    /// Findings said, repetitions not counted.
    pub findings: u64,
    /// Findings resolved.
    pub resolved: u64,
    /// Losses by kind; those that are not 0.
    pub lost: Vec<(Loss, u64)>,
}
