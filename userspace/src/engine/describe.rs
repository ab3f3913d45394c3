//! From flows and judgements to what sinks are told. Pure.

use crate::{
    attempt::Leg,
    engine::Attempt,
    flow::{
        answer::{self, Answer},
        hello,
    },
    identity::Identity,
    tls::ja4,
    update::{Connection, Finding, Hello, ListenerSeen, Party, Role, Victim},
    verdict::{Judgement, case::Case},
};

/// A finding, said for the first time.
pub(super) fn finding(
    case: &Case<'_>,
    judgement: Judgement,
    victim: Option<Victim>,
    incomplete: bool,
) -> Finding {
    let Judgement { code, confidence, cause, evidence, fix } = judgement;
    let learned = case.knowledge.plaintext.and_then(|exchange| exchange.protocol);
    let guessed = case.answer.and_then(Answer::guess).map(|guess| guess.protocol);
    Finding {
        time: case.time,
        code,
        confidence,
        cause,
        client: case.client.clone(),
        victim,
        server: case.server.clone(),
        client_hello: case.hello.map(|sent| sent.hello).or(case.plain_hello).map(client_hello),
        listener: ListenerSeen {
            behaviour: Some(case.behaviour),
            protocol: guessed.or(learned),
            first_bytes: case.answer.map(|answer| answer.bytes.as_ref().into()).unwrap_or_default(),
        },
        outcome: case.outcome.cloned(),
        evidence,
        fix,
        count: 1,
        first_seen: case.time,
        last_seen: case.time,
        addresses: vec![case.server.address],
        incomplete,
        // Of the incident that it becomes one of.
        incident: 0,
        newly_failed: 1,
    }
}

/// The application whose connection was not served.
pub(super) fn victim(leg: &Leg, identity: &Identity) -> Victim {
    Victim {
        container: identity.container_of(leg.owner.cgroup),
        process: (!leg.owner.process.is_empty()).then(|| leg.owner.process.as_str().into()),
        pid: (leg.owner.pid != 0).then_some(leg.owner.pid),
        port: leg.local.port(),
    }
}

/// A connection end, at its end.
pub(super) fn connection(attempt: &Attempt<'_>, client: Party, server: Party) -> Connection {
    let Attempt { flow, behaviour, outcome, time, is_incomplete } = *attempt;
    let connect_ns =
        flow.established.filter(|_| flow.role == Role::Connector).map(|at| at.since_ns(flow.opened));
    Connection {
        time,
        role: flow.role,
        client,
        server,
        opened: flow.saw_beginning().then_some(flow.opened),
        connect_ns,
        client_hello: flow.client_hello().map(client_hello),
        client_protocol: flow.client_class.and_then(answer::client_protocol),
        listener: ListenerSeen {
            behaviour,
            protocol: flow.answer.as_ref().and_then(Answer::guess).map(|guess| guess.protocol),
            first_bytes: flow.answer.as_ref().map(|answer| answer.bytes.as_ref().into()).unwrap_or_default(),
        },
        outcome: outcome.clone(),
        began_before: flow.began_before,
        suspicion: None,
        incomplete: is_incomplete,
    }
}

fn client_hello(hello: &hello::Hello) -> Hello {
    let content = &hello.content;
    Hello {
        sni: content.sni.clone(),
        alpn: content.alpn.clone(),
        mesh: hello.mesh.as_ref().map(|mesh| mesh.mesh.name()),
        ja4: ja4::ja4(content).into(),
        versions: versions(content.legacy_version, &content.versions),
        groups: content.groups.iter().map(|group| group_name(*group)).collect(),
    }
}

/// Offered versions, or the legacy field of hellos without the extension (RFC 8446 §4.2.1).
fn versions(legacy: u16, offered: &[u16]) -> Vec<Box<str>> {
    let offered = if offered.is_empty() { &[legacy] } else { offered };
    offered.iter().map(|version| version_name(*version)).collect()
}

fn version_name(version: u16) -> Box<str> {
    match version {
        0x0301 => "1.0".into(),
        0x0302 => "1.1".into(),
        0x0303 => "1.2".into(),
        0x0304 => "1.3".into(),
        other => format!("0x{other:04x}").into(),
    }
}

/// Names of the IANA registry «TLS Supported Groups»; numbers for those that are rare.
fn group_name(group: u16) -> Box<str> {
    match group {
        23 => "secp256r1".into(),
        24 => "secp384r1".into(),
        25 => "secp521r1".into(),
        29 => "x25519".into(),
        30 => "x448".into(),
        256 => "ffdhe2048".into(),
        257 => "ffdhe3072".into(),
        4587 => "SecP256r1MLKEM768".into(),
        4588 => "X25519MLKEM768".into(),
        4589 => "SecP384r1MLKEM1024".into(),
        other => format!("0x{other:04x}").into(),
    }
}
