//! From one attempt to what is wrong with it: code, confidence, cause, evidence and fix. Pure; one rule a file.
#![deny(clippy::disallowed_methods)]

pub mod cause;
pub mod destination_rule;
pub mod evidence;
pub mod mtls_to_plaintext;

use crate::{
    event::{socket::Owner, time::Time},
    flow::{answer::Answer, hello::Hello},
    listener::Knowledge,
    tls::mesh::MeshHello,
    update::{Behaviour, Cause, Code, Confidence, Fix, Outcome, Party},
};

/// One attempt of a mesh client, with everything known about it.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// When it is judged.
    pub time: Time,
    /// Who connects.
    pub client: &'a Party,
    /// What is connected to.
    pub server: &'a Party,
    /// What the client sent; none when only the end of the attempt was followed.
    pub hello: Option<SentHello<'a>>,
    /// What the listener said, if anything.
    pub answer: Option<&'a Answer>,
    /// What the listener did.
    pub behaviour: Behaviour,
    /// How it ended; none while it lasts.
    pub outcome: Option<&'a Outcome>,
    /// Who accepted, where that was seen, and at which port.
    pub acceptor: Option<Acceptor<'a>>,
    /// What the same address and port answered to others.
    pub knowledge: Knowledge,
}

/// A hello that a mesh wrote.
#[derive(Clone, Copy, Debug)]
pub struct SentHello<'a> {
    /// The hello.
    pub hello: &'a Hello,
    /// The mesh that wrote it.
    pub mesh: &'a MeshHello,
}

/// Who accepted a connection, seen on this node.
#[derive(Clone, Copy, Debug)]
pub struct Acceptor<'a> {
    /// Owner of the accepted socket, with the process of its listener.
    pub owner: &'a Owner,
    /// Its port; another than the client's destination when it was redirected.
    pub port: u16,
}

/// What is wrong with an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What is wrong.
    pub code: Code,
    /// How sure.
    pub confidence: Confidence,
    /// Why.
    pub cause: Cause,
    /// What it rests on.
    pub evidence: Vec<Box<str>>,
    /// How to mend it.
    pub fix: Fix,
}

/// Judges one attempt; none when nothing is wrong with it, or nothing that is known of here.
pub fn judge(case: &Case<'_>) -> Option<Judgement> {
    let confidence = mtls_to_plaintext::confidence(case)?;
    let (why, fix) = cause::of(case);
    Some(Judgement { code: Code::MtlsToPlaintext, confidence, cause: why, evidence: evidence::of(case), fix })
}

/// Whether a proxy answers at the destination, as far as is known: what was seen goes before what was declared.
pub fn has_proxy_at_destination(case: &Case<'_>) -> Option<bool> {
    let seen = case.acceptor.and_then(|acceptor| {
        let was_redirected = acceptor.port != case.server.address.port();
        if was_redirected || crate::identity::proxy::is_proxy(acceptor.owner) {
            return Some(true);
        }
        // Without a process name, a listener that is none of a proxy's looks like one whose owner was not found.
        (!acceptor.owner.process.is_empty()).then_some(false)
    });
    seen.or(case.server.sidecar)
}
