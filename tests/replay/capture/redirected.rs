//! Connections that a pod's own sidecar takes over, in captures of all of the pod's interfaces.

use std::net::SocketAddr;

use mtlsnoop::update::{Code, Confidence, Finding};
use mtlsnoop_tests::{
    capture_file::{Link, Pcap},
    conversation::{Conversation, End, Packet},
};

use super::{AT_NS, Told, client, hello, redis, together, told};

/// A hello that no mesh wrote, of this test file.
fn plain_hello(recorded: &str) -> Vec<u8> {
    let digits: String = recorded.lines().filter(|line| !line.starts_with('#')).collect();
    data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).unwrap()
}

fn of_app() -> Vec<u8> {
    plain_hello(include_str!("../../../userspace/src/tls/testdata/curl.hex"))
}

fn of_sidecar() -> Vec<u8> {
    plain_hello(include_str!("../../../userspace/src/tls/testdata/openssl_tls12.hex"))
}

/// What the app sends has the sidecar's address, what it gets the one that it had wanted to reach.
struct Leg(Conversation);

impl Leg {
    fn connect(from: SocketAddr) -> Self {
        let leg = Conversation::new(from, sidecar(), AT_NS).syn().translated(redis()).syn_ack();
        Self(leg.translated(sidecar()).ack(End::Client))
    }

    fn says(self, payload: &[u8]) -> Self {
        Self(self.0.say(End::Client, payload))
    }

    fn gets(self, payload: &[u8]) -> Self {
        // Its sidecar connects meanwhile.
        Self(self.0.wait_ms(10).translated(redis()).say(End::Server, payload).translated(sidecar()))
    }

    fn closed(self) -> Conversation {
        let closing = self.0.translated(redis()).fin(End::Server).translated(sidecar()).fin(End::Client);
        closing.translated(redis()).ack(End::Server)
    }
}

fn sidecar() -> SocketAddr {
    ([127, 0, 0, 1], 15_001).into()
}

fn upstream(port: u16) -> Conversation {
    Conversation::new(client(port), redis(), AT_NS).wait_ms(1).connect()
}

fn of_any_interface(packets: &[Packet]) -> Told {
    told(&Pcap::of(Link::LinuxCooked2).file(packets))
}

fn only(told: &Told) -> &Finding {
    let [finding] = told.findings()[..] else { panic!("{told:?}") };
    finding
}

const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";

#[test]
fn a_sidecars_own_answer_to_tls_is_told_from_the_servers() {
    let leg = || Leg::connect(client(45_940)).says(&of_app());
    let answered = leg().gets(BAD_REQUEST).closed();
    let told = of_any_interface(&together([answered.clone()]));
    let finding = only(&told);
    // Without a cluster file it is not known what stands for the address.
    assert_eq!((finding.code, finding.confidence), (Code::TlsToHttpPort, Confidence::Possible));
    assert_eq!(finding.server.address, redis());
    assert_eq!((told.summary.seen, told.summary.reported), (2, 2), "both ends: {:?}", told.summary);
    // The server's own answer comes by a connection of the sidecar.
    let passed_on = upstream(50_714).say(End::Client, &of_app()).say(End::Server, BAD_REQUEST);
    let quiet = of_any_interface(&together([answered.clone(), passed_on.close(End::Server)]));
    assert!(quiet.findings().is_empty(), "{quiet:?}");
    // Of one interface alone it is not known what else there was.
    let one = super::told_of(&together([answered]));
    assert!(one.findings().is_empty(), "{one:?}");
}

#[test]
fn two_hellos_one_in_the_other_are_told_by_the_two_connections() {
    const SERVER_HELLO: &[u8] = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76";
    let leg = |port| Leg::connect(client(port)).says(&of_app()).gets(BAD_REQUEST).closed();
    let outer = |from: Conversation| from.say(End::Client, &of_sidecar()).say(End::Server, SERVER_HELLO);
    let told = of_any_interface(&together([leg(45_940), outer(upstream(50_714)).close(End::Client)]));
    let finding = only(&told);
    assert_eq!((finding.code, finding.confidence), (Code::DoubleTls, Confidence::Certain));
    assert_eq!(finding.victim.as_ref().map(|victim| victim.port), Some(45_940));
    // Another pod's connection to the same place is none of this one's.
    let other: SocketAddr = ([10, 1, 1, 77], 50_714).into();
    let other = outer(Conversation::new(other, redis(), AT_NS).wait_ms(1).connect()).close(End::Client);
    let told = of_any_interface(&together([leg(45_940), other]));
    assert!(told.findings().iter().all(|finding| finding.code != Code::DoubleTls), "{told:?}");
}

#[test]
fn the_app_that_waits_is_named_in_the_seeds_finding() {
    let leg = Leg::connect(client(45_940)).says(b"PING\r\n");
    let reset = leg.0.wait_ms(998).translated(redis()).rst(End::Server);
    let silent = upstream(50_714).say(End::Client, &hello()).wait_ms(990).close(End::Client);
    let told = of_any_interface(&together([reset, silent]));
    let finding = only(&told);
    assert_eq!((finding.code, finding.client.address), (Code::MtlsToPlaintext, client(50_714)));
    assert_eq!(finding.victim.as_ref().map(|victim| victim.port), Some(45_940));
}

#[test]
fn a_connect_that_the_sidecar_never_answers_adds_up() {
    let syn = || Conversation::new(client(45_940), sidecar(), AT_NS).syn();
    for packets in [syn(), syn().wait_ms(1000).syn().wait_ms(90_000), syn().rst(End::Client)] {
        of_any_interface(&packets.packets());
    }
}
