//! The four kinds of JSON lines; must not know where they are written.

use std::{collections::BTreeMap, net::SocketAddr};

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    protocol::Protocol,
    sink::{
        Accounting,
        json::{
            name::{Confidence, Role, Suspicion},
            party::{Cause, Client, Fix, Hello, Listener, Outcome, Party},
            value::{Milliseconds, Moment, SchemaVersion},
        },
    },
    update::{self, Update},
};

/// One line of the output of mtlsnoop. Keys that are not known are absent; keys that this schema does not have may come.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Line<'a> {
    #[serde(flatten)]
    pub(super) what: What<'a>,
    /// Name of the node whose `agent` wrote it: logs of several are read together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<&'a str>,
}

/// What a line tells.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum What<'a> {
    /// One end of a connection ended. Only with `--all`.
    Connection(Box<Connection<'a>>),
    /// Something is wrong between a client and a destination, or it is wrong again (`count`), or it is surer than before.
    Finding(Box<Finding<'a>>),
    /// What a finding told of works now.
    Resolved(Box<Resolved<'a>>),
    /// The accounting, once, at the end.
    Summary(Summary),
}

impl<'a> From<&'a Update> for What<'a> {
    fn from(update: &'a Update) -> Self {
        match update {
            Update::Connection(connection) => Self::Connection(Box::new((&**connection).into())),
            Update::Finding(finding) => Self::Finding(Box::new((&**finding).into())),
            Update::Resolved(resolved) => Self::Resolved(Box::new((&**resolved).into())),
        }
    }
}

impl From<&Accounting> for What<'_> {
    fn from(accounting: &Accounting) -> Self {
        Self::Summary(accounting.into())
    }
}

/// One end of a connection, at its end.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Connection<'a> {
    /// Version of this contract.
    schema: SchemaVersion,
    /// When it ended.
    time: Moment,
    /// Which end this is. A connection within the node has two.
    role: Role,
    /// The connecting end.
    client: Party<'a>,
    /// The listener's end.
    server: Party<'a>,
    /// When it was opened; absent when that was not followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    opened: Option<Moment>,
    /// From the connect to its answer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ms: Option<Milliseconds>,
    /// The client's hello, if it sent one.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_hello: Option<Hello<'a>>,
    /// What a client that sent no hello spoke, as far as its first bytes tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_protocol: Option<&'static str>,
    /// What the listener did.
    listener: Listener<'a>,
    /// How it ended.
    outcome: Outcome,
    /// It is older than the tracer, so that its beginning was not seen.
    began_before: bool,
    /// Why it is suspect, when only its end was followed (`--capture adaptive`).
    #[serde(skip_serializing_if = "Option::is_none")]
    suspicion: Option<Suspicion>,
    /// Something of it was lost.
    incomplete: bool,
}

impl<'a> From<&'a update::Connection> for Connection<'a> {
    fn from(connection: &'a update::Connection) -> Self {
        Self {
            schema: SchemaVersion,
            time: Moment(connection.time),
            role: connection.role.into(),
            client: (&connection.client).into(),
            server: (&connection.server).into(),
            opened: connection.opened.map(Moment),
            connect_ms: connection.connect_ns.map(|ns| Milliseconds { ns }),
            client_hello: connection.client_hello.as_ref().map(Hello::from),
            client_protocol: connection.client_protocol.map(Protocol::name),
            listener: (&connection.listener).into(),
            outcome: (&connection.outcome).into(),
            began_before: connection.began_before,
            suspicion: connection.suspicion.map(Suspicion::from),
            incomplete: connection.incomplete,
        }
    }
}

/// Something is wrong between a client and a destination.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Finding<'a> {
    /// Version of this contract.
    schema: SchemaVersion,
    /// When this was said.
    time: Moment,
    /// What is wrong: a stable code such as `mtls-to-plaintext`; new ones may come.
    code: &'static str,
    /// How sure it is.
    confidence: Confidence,
    /// Why it is wrong.
    cause: Cause<'a>,
    /// Who connects; in a mesh, the sidecar.
    client: Client<'a>,
    /// What is connected to.
    server: Party<'a>,
    /// What the client sent first; absent when only the end of the attempt was followed (`--capture adaptive`).
    #[serde(skip_serializing_if = "Option::is_none")]
    client_hello: Option<Hello<'a>>,
    /// What the listener did.
    listener: Listener<'a>,
    /// How the last attempt ended; absent while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    /// What this rests on, a sentence each.
    evidence: &'a [Box<str>],
    /// How to mend it.
    fix: Fix<'a>,
    /// Failed attempts so far.
    count: u64,
    /// When the first of them failed.
    first_seen: Moment,
    /// When the last of them failed.
    last_seen: Moment,
    /// Addresses of the destination that failed, at most 16; absent when it is only that of `server`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
    /// Something was lost in the time of the attempt.
    incomplete: bool,
}

impl<'a> From<&'a update::Finding> for Finding<'a> {
    fn from(finding: &'a update::Finding) -> Self {
        Self {
            schema: SchemaVersion,
            time: Moment(finding.time),
            code: finding.code.name(),
            confidence: finding.confidence.into(),
            cause: (&finding.cause).into(),
            client: Client::new(&finding.client, finding.victim.as_ref()),
            server: (&finding.server).into(),
            client_hello: finding.client_hello.as_ref().map(Hello::from),
            listener: (&finding.listener).into(),
            outcome: finding.outcome.as_ref().map(Outcome::from),
            evidence: &finding.evidence,
            fix: (&finding.fix).into(),
            count: finding.count,
            first_seen: Moment(finding.first_seen),
            last_seen: Moment(finding.last_seen),
            addresses: addresses(&finding.addresses),
            incomplete: finding.incomplete,
        }
    }
}

/// None where there is but one, which is the server's.
fn addresses(all: &[SocketAddr]) -> Vec<String> {
    if all.len() < 2 { Vec::new() } else { all.iter().map(SocketAddr::to_string).collect() }
}

/// What a finding told of works now.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Resolved<'a> {
    /// Version of this contract.
    schema: SchemaVersion,
    /// When the first attempt succeeded.
    time: Moment,
    /// What was wrong, as in the finding.
    code: &'static str,
    /// Why it was wrong, as in the finding.
    cause: Cause<'a>,
    /// Who connects.
    client: Party<'a>,
    /// What is connected to.
    server: Party<'a>,
    /// What showed that it works, a sentence each.
    evidence: &'a [Box<str>],
    /// Attempts that had failed.
    count: u64,
    /// When the first of them failed.
    first_seen: Moment,
    /// When the last of them failed.
    last_seen: Moment,
}

impl<'a> From<&'a update::Resolved> for Resolved<'a> {
    fn from(resolved: &'a update::Resolved) -> Self {
        Self {
            schema: SchemaVersion,
            time: Moment(resolved.time),
            code: resolved.code.name(),
            cause: (&resolved.cause).into(),
            client: (&resolved.client).into(),
            server: (&resolved.server).into(),
            evidence: &resolved.evidence,
            count: resolved.count,
            first_seen: Moment(resolved.first_seen),
            last_seen: Moment(resolved.last_seen),
        }
    }
}

/// The accounting: `seen` is the sum of `reported`, `filtered`, `open`, and of those in `lost` that are of whole connection
/// ends (`lost_opened`, `lost_accepted`, `evicted_flow`).
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Summary {
    /// Version of this contract.
    schema: SchemaVersion,
    /// When.
    time: Moment,
    /// Connection ends that began while tracing.
    seen: u64,
    /// Of these, ended and reported: those that `--all` shows, whether it was given or not.
    reported: u64,
    /// Of these, left out: the tracer's own, and those that `-n` and `-p` left out.
    filtered: u64,
    /// Of these, still open.
    open: u64,
    /// Connection ends older than the tracer that ended meanwhile; they are not in `seen`.
    began_before: u64,
    /// Findings said, repetitions not counted.
    findings: u64,
    /// Findings resolved.
    resolved: u64,
    /// Losses by name; those that are not 0.
    lost: BTreeMap<&'static str, u64>,
}

impl From<&Accounting> for Summary {
    fn from(accounting: &Accounting) -> Self {
        let Accounting { time, seen, reported, filtered, open, began_before, findings, resolved, lost } =
            accounting;
        Self {
            schema: SchemaVersion,
            time: Moment(*time),
            seen: *seen,
            reported: *reported,
            filtered: *filtered,
            open: *open,
            began_before: *began_before,
            findings: *findings,
            resolved: *resolved,
            lost: lost.iter().map(|(loss, count)| (loss.name(), *count)).collect(),
        }
    }
}
