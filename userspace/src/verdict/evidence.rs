//! What a judgement rests on, in sentences that can be checked against a capture. Pure.

use crate::{
    event::time::{MILLISECOND_NS, SECOND_NS},
    flow::{
        SaidEnd,
        answer::{Answer, client_protocol},
        hello::Hello,
    },
    listener::Exchange,
    update::{Behaviour, Code, EndedBy, Outcome, Party},
    verdict::{
        case::{Acceptor, Case, PassedOn, SentHello},
        declaration,
        mtls_rejected::{Refusal, refusal},
    },
};

/// The sentences of a case, the decisive ones first.
pub fn of(code: Code, case: &Case<'_>) -> Vec<Box<str>> {
    [
        Some(of_sent(case)),
        of_refusal(code, case).or_else(|| Some(of_behaviour(case))),
        of_leg(case),
        of_passing(case),
        of_exchange(code, case),
        of_acceptor(case),
        of_declaration(case.server),
    ]
    .into_iter()
    .flatten()
    // They speak of Istio's objects.
    .chain(declaration::sentences(case).into_iter().filter(|_| !case.is_of_other_mesh()))
    .map(String::into_boxed_str)
    .collect()
}

/// What the client sent first.
fn of_sent(case: &Case<'_>) -> String {
    let who = case.client.process.as_deref().unwrap_or("the client");
    let server = case.server.address;
    match (case.hello, case.plain_hello, case.client_class) {
        (Some(SentHello { hello, mesh }), ..) => {
            format!("{who} sent {} to {server}; that is {} mesh mTLS", hello_words(hello), mesh.mesh.name())
        }
        (None, Some(hello), _) => {
            format!("{who} sent {} to {server}; no mesh writes it so", hello_words(hello))
        }
        (None, None, Some(class)) => {
            let bytes = case.outcome.map_or(0, |outcome| outcome.bytes_sent);
            let protocol = client_protocol(class).map(|protocol| format!(" ({})", protocol.name()));
            format!("{who} sent {bytes} bytes of plaintext{} to {server}", protocol.unwrap_or_default())
        }
        (None, None, None) if case.is_end_only => {
            let bytes = case.outcome.map_or(0, |outcome| outcome.bytes_sent);
            format!(
                "{who}, a mesh proxy, sent {bytes} bytes to {server}, as many as a ClientHello has; they were not looked at, \
                 because nothing was suspect before"
            )
        }
        (None, None, None) => format!("{who} connected to {server} and sent nothing"),
    }
}

fn hello_words(hello: &Hello) -> String {
    let sni = hello.content.sni.as_deref().map_or_else(|| "no SNI".to_owned(), |sni| format!("SNI {sni}"));
    let alpn = if hello.content.alpn.is_empty() { "none".to_owned() } else { hello.content.alpn.join(", ") };
    format!("a ClientHello of {} bytes ({sni}, ALPN {alpn})", hello.wire_bytes)
}

/// Who refused whom in a handshake.
fn of_refusal(code: Code, case: &Case<'_>) -> Option<String> {
    if code != Code::MtlsRejected {
        return None;
    }
    let outcome = case.outcome?;
    let after_hello = outcome.bytes_sent.saturating_sub(case.hello?.hello.wire_bytes);
    Some(match refusal(case)? {
        Refusal::HelloByServer => "the listener answered it with a TLS alert".to_owned(),
        Refusal::ServerByClient => format!(
            "the listener answered with a ServerHello and {} bytes, and all that the client sent then were {after_hello} bytes, as \
             many as an alert has",
            outcome.bytes_received
        ),
        Refusal::ClientByServer => format!(
            "the handshake went on for {after_hello} bytes from the client and {} from the listener, and then the connection was \
             over",
            outcome.bytes_received
        ),
    })
}

/// What the app and its sidecar said to each other.
fn of_leg(case: &Case<'_>) -> Option<String> {
    let leg = case.leg?;
    let spoke = match (leg.hello, leg.client_class.and_then(client_protocol)) {
        (Some(hello), _) => hello_words(hello),
        (None, Some(protocol)) => format!("plaintext ({})", protocol.name()),
        (None, None) if leg.client_class.is_some() => "plaintext".to_owned(),
        (None, None) => return None,
    };
    let got = match (leg.answer, leg.end) {
        (Some(Behaviour::Tls), _) => ", and was answered in TLS",
        (Some(_), _) => ", and got an answer that is no TLS",
        (None, Some(SaidEnd { bytes_received: 0, .. })) => ", and got nothing",
        (None, _) => "",
    };
    Some(format!("the application had sent {spoke} to its sidecar{got}"))
}

/// What the proxy that accepted did with it.
fn of_passing(case: &Case<'_>) -> Option<String> {
    if case.passed_on == PassedOn::Hello {
        return Some("the proxy that accepted it passed the hello on to the application as it is".to_owned());
    }
    let has_proxy = case.is_taken_over || case.acceptor.is_some_and(|acceptor| acceptor.is_proxy);
    (has_proxy && case.passed_on == PassedOn::Nothing)
        .then(|| "the proxy that accepted it connected to nothing for it".to_owned())
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
        (Behaviour::Silent, Some(outcome)) if outcome.bytes_sent == 0 => {
            format!("no byte came back either, until {} closed {} later", closer(outcome), after(outcome))
        }
        (Behaviour::Silent, Some(outcome)) => {
            let who = closer(outcome);
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

fn closer(outcome: &Outcome) -> &'static str {
    match outcome.ended_by {
        EndedBy::Client => "the client",
        EndedBy::Server => "the listener",
        EndedBy::Both => "both ends",
        EndedBy::Network => "the network",
    }
}

/// What the destination answered to others.
fn of_exchange(code: Code, case: &Case<'_>) -> Option<String> {
    let (exchange, how) = match code {
        Code::PlaintextToMtls => (case.knowledge.mtls?, "answered the mesh mTLS of"),
        Code::ServerFirstDeadlock => (case.knowledge.greeting?, "greeted"),
        Code::MtlsToPlaintext | Code::TlsToPlaintext => (case.knowledge.plaintext?, "spoke plaintext with"),
        Code::MtlsRejected | Code::DoubleTls | Code::TlsToHttpPort => return None,
    };
    // This attempt's own answer is told already.
    let Exchange { time, client, protocol } = exchange;
    if client == case.client.address {
        return None;
    }
    let protocol = protocol.map(|protocol| format!(" ({})", protocol.name())).unwrap_or_default();
    let before = duration(case.time.since_ns(time));
    Some(format!("{} {how} {client}{protocol}, {before} before", case.server.address))
}

fn of_acceptor(case: &Case<'_>) -> Option<String> {
    let Acceptor { owner, port, is_proxy } = case.acceptor?;
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
    let role = if is_proxy { "a mesh proxy" } else { "no mesh proxy" };
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
