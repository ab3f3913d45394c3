//! However TCP cuts, repeats and reorders a stream, and however a capture is damaged: the same verdict, or none.

use mtlsnoop::{source::capture::CaptureFile, update::Finding};
use mtlsnoop_tests::{
    capture_file::{Link, Pcap},
    conversation::{Conversation, End, Packet},
};
use proptest::prelude::{Strategy, any, proptest};

use super::{between, hello, long_hello, told, told_of};

/// What must not depend on how segments went.
fn essence(finding: &Finding) -> String {
    let Finding { code, confidence, cause, client, server, client_hello, listener, outcome, count, .. } =
        finding;
    let outcome = outcome
        .as_ref()
        .map(|outcome| (outcome.ended_by, outcome.how, outcome.bytes_sent, outcome.bytes_received));
    format!(
        "{code:?} {confidence:?} {cause:?} {client:?} {server:?} {client_hello:?} {listener:?} {outcome:?} {count}"
    )
}

/// One end says it in pieces, each acknowledged.
fn say_in_pieces(mut conversation: Conversation, end: End, payload: &[u8], cuts: &[usize]) -> Conversation {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut % payload.len()).chain([0, payload.len()]).collect();
    places.sort_unstable();
    places.dedup();
    for range in places.windows(2) {
        conversation = conversation.say(end, &payload[range[0]..range[1]]);
    }
    conversation
}

fn story(number: usize, cuts: &[usize]) -> Conversation {
    let begun = between(50714).connect();
    match number {
        0 => say_in_pieces(begun, End::Client, &hello(), cuts).wait_ms(998).close(End::Client),
        1 => say_in_pieces(begun, End::Client, &long_hello(), cuts).wait_ms(998).close(End::Client),
        2 => say_in_pieces(begun, End::Client, &hello(), cuts).close(End::Server),
        3 => say_in_pieces(begun, End::Client, &long_hello(), cuts).rst(End::Server),
        4 => {
            let asked = say_in_pieces(begun, End::Client, &hello(), cuts);
            say_in_pieces(asked, End::Server, b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", cuts)
                .close(End::Server)
        }
        _ => {
            let asked = say_in_pieces(begun, End::Client, &hello(), cuts);
            say_in_pieces(asked, End::Server, b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03", cuts)
                .close(End::Client)
        }
    }
}

const STORIES: usize = 6;

/// Packets further apart than this keep their order: it is no network's doing.
const NEAR_NS: u64 = 100_000_000;

/// Moves packets by some places and repeats some, keeping the handshake first.
fn disordered(packets: &[Packet], moves: &[(usize, usize)], repeats: &[usize]) -> Vec<Packet> {
    let mut order: Vec<usize> = (0..packets.len()).collect();
    order.extend(repeats.iter().map(|repeat| repeat % packets.len()));
    order.sort_unstable();
    let times: Vec<u64> = order.iter().map(|index| packets[*index].time_ns).collect();
    // Packets of it may be there several times.
    let after_handshake = order.iter().position(|index| *index > 2).unwrap_or(order.len() - 1);
    for (from, by) in moves {
        let from = after_handshake + from % (order.len() - after_handshake);
        let to = (from + by % 5).min(order.len() - 1);
        if times[to] - times[from] < NEAR_NS {
            order.swap(from, to);
        }
    }
    // They pass in the new order: what is at a place has the time of that place.
    let passed =
        |(index, time_ns): (&usize, &u64)| Packet { time_ns: *time_ns, ip: packets[*index].ip.clone() };
    order.iter().zip(&times).map(passed).collect()
}

fn moves() -> impl Strategy<Value = Vec<(usize, usize)>> {
    proptest::collection::vec((any::<usize>(), any::<usize>()), 0..8)
}

proptest! {
    #[test]
    fn cuts_order_and_repetition_change_nothing(
        number in 0..STORIES,
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
        moves in moves(),
        repeats in proptest::collection::vec(any::<usize>(), 0..6),
    ) {
        let whole = told_of(&story(number, &[]).packets());
        let packets = disordered(&story(number, &cuts).packets(), &moves, &repeats);
        let parts = told_of(&packets);
        let of = |told: &super::Told| told.findings().into_iter().map(essence).collect::<Vec<_>>();
        assert_eq!(of(&whole), of(&parts), "{number} {cuts:?} {moves:?} {repeats:?}");
        assert_eq!(parts.summary.seen, 1);
    }

    #[test]
    fn no_damage_makes_it_panic_or_adds_up_wrongly(
        number in 0..STORIES,
        link in 0..Link::ALL.len(),
        damages in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..20),
    ) {
        let mut file = Pcap::of(Link::ALL[link]).file(&story(number, &[7, 100]).packets());
        for (at, value) in damages {
            // The header stays, so that something is read.
            let at = 24 + at % (file.len() - 24);
            file[at] = value;
        }
        let mut capture = CaptureFile::new(&file[..], "test").unwrap();
        while let Ok(Some(_)) = capture.next_event() {}
    }

    #[test]
    fn no_bytes_make_it_panic(ng in any::<bool>(), bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let form = Pcap::of(Link::Ethernet(0));
        let beginning = if ng { mtlsnoop_tests::capture_file::PcapNg::default().section().file() } else { form.file([]) };
        let _told = told(&[beginning, bytes].concat()).broken;
    }
}
