//! What becomes of a connection: how it began, was answered and ended, in the words of the connecting end's kernel.

use mtlsnoop::{
    event::{
        Event,
        socket::{Ended, State},
    },
    update::{Behaviour, Confidence, EndedBy, EndedHow, Outcome},
};
use mtlsnoop_tests::conversation::{Conversation, End};

use super::{Told, between, hello, silent, together, told_of};

fn ended(told: &Told) -> &Ended {
    let ended = told.events.iter().find_map(|event| match event {
        Event::Ended(ended) => Some(ended),
        _ => None,
    });
    ended.unwrap()
}

#[test]
fn the_end_of_the_incident_is_that_of_a_kernel_in_every_number() {
    let told = told_of(&silent(between(50714)).packets());
    let ended = ended(&told);
    assert_eq!((ended.state, ended.error, ended.peer_closed), (State::FinWait2, 0, true));
    // Its SYN and FIN count; of the listener nothing came but these.
    assert_eq!((ended.bytes_sent, ended.bytes_acked, ended.bytes_received), (205, 207, 0));
    assert_eq!(ended.local.to_string(), "10.1.1.25:50714");
    let finding = told.findings()[0];
    let outcome = finding.outcome.clone().unwrap();
    let expected = Outcome {
        ended_by: EndedBy::Client,
        how: EndedHow::Fin,
        after_ns: Some(998_150_000),
        bytes_sent: 205,
        bytes_received: 0,
        error: None,
        reset_reason: None,
    };
    assert_eq!(outcome, expected);
    let client = &finding.client;
    assert_eq!((&client.process, client.pid, client.uid, &client.container), (&None, None, None, &None));
}

/// What a connection came to: what the listener did, who ended it, how, and with which error.
type Came = (Option<Behaviour>, EndedBy, EndedHow, Option<u32>);

#[track_caller]
fn comes_to(name: &str, conversation: Conversation, came: Came) {
    let told = told_of(&conversation.packets());
    let [connection] = told.connections()[..] else { panic!("{name}: {told:?}") };
    let outcome = &connection.outcome;
    let found = (connection.listener.behaviour, outcome.ended_by, outcome.how, outcome.error);
    assert_eq!(found, came, "{name}");
    assert!(connection.opened.is_some() && !connection.began_before, "{name}");
}

fn asked(port: u16) -> Conversation {
    between(port).connect().say(End::Client, &hello())
}

#[test]
fn each_answer_is_told_apart() {
    const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
    let (alert, server_hello) = (b"\x15\x03\x03\x00\x02\x02\x28", b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76");
    let plain = between(6).connect().say(End::Client, PING).say(End::Server, b"+PONG\r\n");
    for (name, conversation, behaviour) in [
        ("answered", asked(1).say(End::Server, b"ERROR\r\n"), Behaviour::Plaintext),
        ("alert", asked(2).say(End::Server, alert), Behaviour::TlsAlert),
        ("tls", asked(3).say(End::Server, server_hello), Behaviour::Tls),
        (
            "greeted",
            between(4).connect().cross(&hello(), b"INFO {\"server_id\":\"A\"}\r\n"),
            Behaviour::SpokeFirst,
        ),
        ("echoed", asked(5).say(End::Server, &hello()), Behaviour::Plaintext),
        ("plaintext", plain, Behaviour::Plaintext),
    ] {
        comes_to(
            name,
            conversation.close(End::Client),
            (Some(behaviour), EndedBy::Client, EndedHow::Fin, None),
        );
    }
}

#[test]
fn each_end_is_told_apart() {
    use Behaviour::{Closed, Refused, Reset, Silent, Unreachable};
    let half = asked(5).fin(End::Server).wait_ms(5).rst(End::Server);
    for (name, conversation, came) in [
        ("closed", asked(1).close(End::Server), (Some(Closed), EndedBy::Server, EndedHow::Fin, None)),
        ("reset", asked(2).rst(End::Server), (Some(Reset), EndedBy::Server, EndedHow::Reset, Some(104))),
        ("aborted", asked(3).rst(End::Client), (Some(Silent), EndedBy::Client, EndedHow::Reset, None)),
        ("unasked", between(4).connect().close(End::Server), (None, EndedBy::Server, EndedHow::Fin, None)),
        ("half closed", half, (Some(Closed), EndedBy::Server, EndedHow::Fin, Some(32))),
        (
            "refused",
            between(6).syn().rst(End::Server),
            (Some(Refused), EndedBy::Server, EndedHow::Reset, Some(111)),
        ),
        (
            "unreachable",
            between(7).syn().unreachable(),
            (Some(Unreachable), EndedBy::Network, EndedHow::Error, Some(113)),
        ),
    ] {
        comes_to(name, conversation, came);
    }
}

#[test]
fn an_answer_in_plaintext_is_direct_evidence_here_too() {
    let conversation = between(50714).connect().say(End::Client, &hello());
    let told = told_of(&conversation.say(End::Server, b"ERROR\r\n").close(End::Client).packets());
    let [finding] = told.findings()[..] else { panic!("{told:?}") };
    assert_eq!(finding.confidence, Confidence::Certain);
    assert_eq!(&*finding.listener.first_bytes, b"ERROR\r\n");
}

#[test]
fn what_works_after_the_fix_is_resolved() {
    let failed = silent(between(1));
    let works = between(2).wait_ms(5000).connect().say(End::Client, b"PING\r\n");
    let told = told_of(&together([failed, works.say(End::Server, b"+PONG\r\n").close(End::Client)]));
    assert_eq!((told.findings().len(), told.summary.resolved), (1, 1), "{told:?}");
}

#[test]
fn a_client_that_closed_and_was_not_answered_is_told_at_the_end_of_the_capture() {
    let open = between(1).connect().say(End::Client, &hello());
    let closed =
        between(2).connect().say(End::Client, &hello()).wait_ms(900).fin(End::Client).ack(End::Server);
    assert_eq!(told_of(&open.packets()).summary.open, 1);
    let told = told_of(&closed.packets());
    assert_eq!((told.summary.open, told.findings().len()), (0, 1), "{told:?}");
}

#[test]
fn a_connect_without_an_answer_is_given_up_or_times_out() {
    let later = |told: &Told| told.connections().first().map(|one| one.outcome.error);
    for (syns, expected) in [(1, None), (3, Some(None)), (7, Some(Some(110)))] {
        let mut conversation = between(1).syn();
        let first = conversation.clone().packets();
        let mut packets = first.clone();
        for number in 1..syns {
            conversation = conversation.wait_ms(1000 << (number - 1));
            let time_ns = first[0].time_ns + ((1_u64 << number) - 1) * 1_000_000_000;
            packets.extend(
                first.iter().map(|syn| mtlsnoop_tests::conversation::Packet { time_ns, ..syn.clone() }),
            );
        }
        // The capture goes on.
        let other = between(2).wait_ms(300_000).syn().packets();
        packets.extend(other);
        let told = told_of(&packets);
        assert_eq!(later(&told), expected, "{syns}");
    }
}
