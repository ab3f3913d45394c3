//! What a judgement rests on, in sentences that can be checked against a capture. Pure.

use crate::{
    event::time::{MILLISECOND_NS, SECOND_NS},
    flow::answer::Answer,
    update::{Behaviour, EndedBy, Outcome, Party},
    verdict::{Acceptor, Case, SentHello},
};

/// The sentences of a case, the decisive ones first.
pub fn of(case: &Case<'_>) -> Vec<Box<str>> {
    [
        Some(of_hello(case)),
        Some(of_behaviour(case)),
        of_exchange(case),
        of_acceptor(case),
        of_declaration(case.server),
    ]
    .into_iter()
    .flatten()
    .map(String::into_boxed_str)
    .collect()
}

fn of_hello(case: &Case<'_>) -> String {
    let who = case.client.process.as_deref().unwrap_or("the client");
    let server = case.server.address;
    let Some(SentHello { hello, mesh }) = case.hello else {
        let bytes = case.outcome.map_or(0, |outcome| outcome.bytes_sent);
        return format!(
            "{who}, a mesh proxy, sent {bytes} bytes to {server}, as many as a ClientHello has; they were not looked at, \
             because nothing was suspect before"
        );
    };
    let sni = hello.content.sni.as_deref().map_or_else(|| "no SNI".to_owned(), |sni| format!("SNI {sni}"));
    let alpn = if hello.content.alpn.is_empty() { "none".to_owned() } else { hello.content.alpn.join(", ") };
    format!(
        "{who} sent a ClientHello of {} bytes to {server}: {sni}, ALPN {alpn}; that is {} mesh mTLS",
        hello.wire_bytes,
        mesh.mesh.name()
    )
}

fn of_behaviour(case: &Case<'_>) -> String {
    let after = |outcome: &Outcome| outcome.after_ns.map_or_else(|| "some time".to_owned(), duration);
    let protocol = case.answer.and_then(Answer::guess).map(|guess| format!(" ({})", guess.protocol.name()));
    let protocol = protocol.unwrap_or_default();
    match (case.behaviour, case.outcome) {
        (Behaviour::Plaintext, _) => format!("the listener answered it with bytes that are no TLS{protocol}"),
        (Behaviour::SpokeFirst, _) => {
            format!("the listener greets its clients with bytes that are no TLS{protocol}")
        }
        (Behaviour::Silent, Some(outcome)) => {
            let who = if outcome.ended_by == EndedBy::Client { "the client" } else { "both ends" };
            format!(
                "the listener's kernel acknowledged it, no byte came back, and {who} closed {} later",
                after(outcome)
            )
        }
        (Behaviour::Closed, Some(outcome)) => {
            format!("the listener closed {} later without a byte", after(outcome))
        }
        (Behaviour::Reset, Some(outcome)) => {
            format!("the listener reset the connection {} later without a byte", after(outcome))
        }
        (behaviour, _) => format!("the listener's behaviour was: {}", behaviour.name()),
    }
}

fn of_exchange(case: &Case<'_>) -> Option<String> {
    // This attempt's own answer is told already.
    let exchange = case.knowledge.plaintext.filter(|exchange| exchange.client != case.client.address)?;
    let protocol = exchange.protocol.map(|protocol| format!(" ({})", protocol.name())).unwrap_or_default();
    Some(format!(
        "{} spoke plaintext{protocol} with {}, {} before",
        case.server.address,
        exchange.client,
        duration(case.time.since_ns(exchange.time))
    ))
}

fn of_acceptor(case: &Case<'_>) -> Option<String> {
    let Acceptor { owner, port } = case.acceptor?;
    if owner.process.is_empty() {
        return None;
    }
    let process = owner.process.as_str();
    if port != case.server.address.port() {
        return Some(format!(
            "{process} (uid {}) accepted it at port {port}, so it was redirected there",
            owner.uid
        ));
    }
    let role = if crate::identity::proxy::is_proxy(owner) { "a mesh proxy" } else { "no mesh proxy" };
    Some(format!("{process} (uid {}), {role}, accepted it itself at port {port}", owner.uid))
}

fn of_declaration(server: &Party) -> Option<String> {
    let pod = server.pod.as_deref()?;
    let has = if server.sidecar? { "has a mesh proxy" } else { "has no mesh proxy" };
    Some(format!("pod {pod} {has} among its containers"))
}

/// A duration for people: milliseconds below ten seconds, else seconds.
fn duration(ns: u64) -> String {
    let tenths_ms = ns / (MILLISECOND_NS / 10);
    if ns < 10 * SECOND_NS {
        return format!("{}.{} ms", tenths_ms / 10, tenths_ms % 10);
    }
    format!("{}.{} s", ns / SECOND_NS, ns % SECOND_NS / (SECOND_NS / 10))
}
