//! What captures do that sockets do not: packets twice, late, cut, missing, or of connections that began before.

use mtlsnoop::{event::Event, update::Behaviour};
use mtlsnoop_tests::{
    capture_file::{Link, Pcap, PcapNg, Resolution},
    conversation::{Conversation, End, Packet},
};

use super::{AT_NS, Told, between, client, hello, long_hello, redis, silent, together, told, told_of};

#[track_caller]
fn is_one_finding(told: &Told, context: &str) {
    assert_eq!((told.findings().len(), told.summary.reported), (1, 1), "{context}: {:?}", told.summary);
    assert_eq!(told.findings()[0].count, 1, "{context}");
}

/// Packet for packet, on two interfaces of two kinds.
#[test]
fn the_same_packets_on_several_interfaces_are_one_connection() {
    for conversation in [
        silent(between(1)),
        between(2).connect().say(End::Client, &hello()).rst(End::Server),
        between(3).connect().say(End::Client, &hello()).say(End::Server, b"ERROR\r\n").close(End::Client),
    ] {
        for late_ns in [0, 5_000, 120_000, 3_000_000] {
            let interfaces = PcapNg::default()
                .section()
                .interface(Link::Ethernet(0), Resolution::Decimal(9))
                .interface(Link::LinuxCooked2, Resolution::Decimal(9));
            let mut packets: Vec<(u32, Packet)> = Vec::new();
            for packet in conversation.clone().packets() {
                packets.push((1, Packet { time_ns: packet.time_ns + late_ns, ..packet.clone() }));
                packets.push((0, packet));
            }
            packets.sort_by_key(|(_, packet)| packet.time_ns);
            let file = packets.iter().fold(interfaces, |file, (number, packet)| file.packet(*number, packet));
            is_one_finding(&told(&file.file()), &format!("{late_ns} ns"));
        }
    }
}

/// Interfaces are written in bunches, one after the other.
#[test]
fn packets_that_were_written_in_another_order_than_they_passed_are_put_in_order() {
    let mut packets = silent(between(1)).packets();
    packets.reverse();
    is_one_finding(&told_of(&packets), "the other way round");
}

#[test]
fn what_began_before_the_capture_is_older_and_never_judged() {
    let whole = between(1).connect().say(End::Client, &hello()).wait_ms(998).close(End::Client).packets();
    for missing in 3..whole.len() {
        let told = told_of(&whole[missing..]);
        assert_eq!(told.findings().len(), 0, "without the first {missing}");
        assert_eq!(told.summary.seen, 0, "without the first {missing}");
        assert!(told.connections().iter().all(|connection| connection.began_before));
    }
    // With the answer to the SYN, all that matters is there.
    for missing in 0..2 {
        is_one_finding(&told_of(&whole[missing..]), &format!("without the first {missing}"));
    }
}

#[test]
fn only_one_direction_is_never_enough() {
    let whole = silent(between(1)).packets();
    for offset in [0, 1] {
        let is_from_client = |packet: &&Packet| (packet.ip[15] == 25) == (offset == 0);
        let half: Vec<_> = whole.iter().filter(is_from_client).cloned().collect();
        assert_eq!(told_of(&half).findings().len(), 0, "{offset}");
    }
}

/// A packet that is missing may have been the answer.
#[test]
fn without_any_one_packet_there_is_no_finding_that_the_whole_does_not_give() {
    let conversations = [
        between(1)
            .connect()
            .say(End::Client, &hello())
            .say(End::Server, b"\x16\x03\x03\x00\x7a\x02\x00")
            .close(End::Client),
        between(2)
            .connect()
            .say(End::Client, b"GET / HTTP/1.1\r\n\r\n")
            .say(End::Server, b"HTTP/1.1 200 OK\r\n")
            .close(End::Server),
        between(3)
            .connect()
            .say(End::Client, &hello())
            .say(End::Server, b"\x15\x03\x03\x00\x02\x02\x28")
            .close(End::Server),
    ];
    for conversation in conversations {
        let whole = conversation.packets();
        let given: Vec<_> = told_of(&whole).findings().iter().map(|finding| finding.code).collect();
        for missing in 0..whole.len() {
            let rest: Vec<_> = whole
                .iter()
                .enumerate()
                .filter(|(index, _)| *index != missing)
                .map(|(_, packet)| packet.clone())
                .collect();
            let told = told_of(&rest);
            let is_given = told.findings().iter().all(|finding| given.contains(&finding.code));
            assert!(is_given, "without {missing}: {told:?}");
        }
    }
}

#[test]
fn bytes_that_arrived_and_are_not_in_the_capture_are_a_loss_by_name() {
    let answered = between(1).connect().say(End::Client, &hello()).say(End::Server, &[b'x'; 100]);
    let mut packets = answered.close(End::Client).packets();
    let answer = packets.iter().position(|packet| packet.ip.ends_with(&[b'x'; 100])).unwrap();
    packets.remove(answer);
    let told = told_of(&packets);
    assert_eq!((told.findings().len(), told.lost("capture_gap")), (0, 1), "{told:?}");
    let [connection] = told.connections()[..] else { panic!("{told:?}") };
    assert_eq!((connection.outcome.bytes_received, connection.listener.behaviour), (100, None));
}

#[test]
fn cut_packets_lose_what_was_cut_and_no_more() {
    let conversation = silent(between(1)).packets();
    // Ethernet, IPv4 and TCP have 54 bytes, the hello 205.
    for (snap_bytes, findings, cut) in
        [(54, 0, 1), (60, 0, 1), (200, 0, 1), (258, 0, 1), (259, 1, 0), (65_535, 1, 0)]
    {
        let file = Pcap { snap_bytes, ..Pcap::of(Link::Ethernet(0)) }.file(&conversation);
        let told = told(&file);
        assert_eq!((told.findings().len(), told.lost("cut_packet")), (findings, cut), "{snap_bytes}");
        let [connection] = told.connections()[..] else { panic!("{snap_bytes}: {told:?}") };
        assert_eq!(
            (connection.outcome.bytes_sent, connection.outcome.bytes_received),
            (205, 0),
            "{snap_bytes}"
        );
    }
    // Far from the beginning of a stream nothing is looked at.
    let long =
        between(2).connect().say(End::Client, b"GET / HTTP/1.1\r\n").say(End::Server, b"HTTP/1.1 200 OK");
    let long = long.say(End::Server, &[7; 1400]).say(End::Server, &[7; 1400]).close(End::Client).packets();
    let file = Pcap { snap_bytes: 96, ..Pcap::of(Link::Ethernet(0)) }.file(&long);
    assert_eq!(told(&file).lost("cut_packet"), 0);
}

#[test]
fn ends_that_are_used_again_are_another_connection() {
    let first = silent(between(1));
    let refused = first.clone().again().wait_ms(1).syn().rst(End::Server);
    let last = silent(refused.clone().again().wait_ms(1));
    let told = told_of(&last.packets());
    assert_eq!((told.summary.seen, told.summary.reported), (3, 3), "{told:?}");
    assert_eq!(told.findings().last().map(|finding| finding.count), Some(2));
}

#[test]
fn the_end_that_is_missing_is_a_loss_and_no_verdict() {
    let cut = between(1).connect().say(End::Client, &hello());
    let next = cut.clone().again().wait_ms(5000).connect().say(End::Client, b"PING\r\n").close(End::Client);
    let told = told_of(&next.packets());
    assert_eq!((told.findings().len(), told.lost("lost_ended")), (0, 1), "{told:?}");
    assert_eq!((told.summary.seen, told.summary.reported, told.summary.open), (2, 1, 1));
}

/// Inside a pod, `tcpdump -i any` shows the app's leg to its sidecar too, and what a sidecar passes on from 127.0.0.6.
#[test]
fn legs_on_loopback_say_nothing_of_what_others_get() {
    const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
    let app = Conversation::new(client(45940), "127.0.0.1:15001".parse().unwrap(), AT_NS);
    let app = app.connect().say(End::Client, PING).wait_ms(999).rst(End::Server);
    let inbound = Conversation::new("127.0.0.6:40001".parse().unwrap(), redis(), AT_NS);
    let inbound = inbound.connect().say(End::Client, PING).say(End::Server, b"+PONG\r\n").close(End::Client);
    let own = Conversation::new("10.1.1.24:40002".parse().unwrap(), redis(), AT_NS);
    let own = own.connect().say(End::Client, PING).say(End::Server, b"+PONG\r\n").close(End::Client);
    let quiet = told_of(&together([app.clone(), inbound.clone(), own.clone()]));
    assert_eq!(quiet.findings().len(), 0, "{quiet:?}");
    // A sidecar that closes is no evidence of plaintext, whatever the process behind it speaks on loopback.
    let closed = between(50714).wait_ms(2000).connect().say(End::Client, &hello()).close(End::Server);
    let told = told_of(&together([app, inbound, own, closed]));
    let [finding] = told.findings()[..] else { panic!("{told:?}") };
    assert_eq!(finding.confidence, mtlsnoop::update::Confidence::Possible, "{finding:?}");
}

#[test]
fn a_long_hello_in_two_packets_in_either_order() {
    let hello = long_hello();
    for (first, second) in [(0, 1), (1, 0)] {
        let conversation = between(1).connect();
        let parts = conversation.say(End::Client, &hello[..900]).say(End::Client, &hello[900..]);
        let mut packets = parts.wait_ms(998).close(End::Client).packets();
        let (at, times) = ([3, 5], [packets[3].time_ns, packets[5].time_ns]);
        let pair = [packets[at[0]].clone(), packets[at[1]].clone()];
        packets[3] = Packet { time_ns: times[0], ..pair[first].clone() };
        packets[5] = Packet { time_ns: times[1], ..pair[second].clone() };
        let told = told_of(&packets);
        is_one_finding(&told, &format!("{first} {second}"));
        assert_eq!(told.findings()[0].listener.behaviour, Some(Behaviour::Silent));
    }
}

#[test]
fn payload_of_plaintext_does_not_leave_the_source() {
    let secret = b"AUTH hunter2\r\n";
    let conversation = between(1).connect().say(End::Client, secret).say(End::Server, b"+OK hunter2\r\n");
    let told = told_of(&conversation.say(End::Client, secret).close(End::Client).packets());
    for event in &told.events {
        match event {
            Event::FirstBytes(bytes) => assert!(bytes.data.is_empty(), "{event:?}"),
            Event::Hello(_) => panic!("{event:?}"),
            _ => {}
        }
    }
    let long = [b"HTTP/1.1 400 Bad Request\r\n".as_slice(), &[b's'; 500]].concat();
    let told = told_of(
        &between(2).connect().say(End::Client, &hello()).say(End::Server, &long).close(End::Client).packets(),
    );
    let kept: usize = told
        .events
        .iter()
        .map(|event| if let Event::FirstBytes(bytes) = event { bytes.data.len() } else { 0 })
        .sum();
    assert_eq!(kept, 64);
}

#[test]
fn fragments_are_counted_and_not_guessed() {
    let mut packets = silent(between(1)).packets();
    let hello = packets.iter().position(|packet| packet.ip.len() > 200).unwrap();
    // «More fragments» (RFC 791 §3.1).
    packets[hello].ip[6] |= 0x20;
    let told = told_of(&packets);
    assert_eq!((told.findings().len(), told.lost("ip_fragment")), (0, 1));
}

/// A redirection as `tcpdump -i any` shows it: what goes to the sidecar has the sidecar's address, what comes from it the wanted one.
#[test]
fn a_redirected_leg_is_one_connection_and_what_the_sidecar_says_is_not_the_servers() {
    let sidecar = "127.0.0.1:15001".parse().unwrap();
    let leg = Conversation::new(client(45940), sidecar, AT_NS);
    let leg = leg.syn().translated(redis()).syn_ack().translated(sidecar).ack(End::Client);
    let leg = leg.say(End::Client, b"PING\r\n").translated(redis()).say(End::Server, b"+PONG\r\n");
    let leg = leg.fin(End::Server).translated(sidecar).ack(End::Client).fin(End::Client);
    let leg = leg.translated(redis()).ack(End::Server);
    let closed = between(50714).wait_ms(2000).connect().say(End::Client, &hello()).close(End::Server);
    let told = told_of(&together([leg, closed]));
    assert_eq!((told.summary.seen, told.summary.reported, told.summary.lost.len()), (2, 2, 0), "{told:?}");
    let [finding] = told.findings()[..] else { panic!("{told:?}") };
    assert_eq!(finding.confidence, mtlsnoop::update::Confidence::Possible, "{finding:?}");
}

/// Half of it only: answers whose questions go another way.
#[test]
fn answers_without_questions_say_nothing_of_who_gives_them() {
    let half = between(45940).connect().say(End::Client, b"PING\r\n").say(End::Server, b"+PONG\r\n");
    let mut packets = half.close(End::Server).packets();
    packets.retain(|packet| packet.ip[15] == 24);
    packets.extend(
        between(50714).wait_ms(2000).connect().say(End::Client, &hello()).close(End::Server).packets(),
    );
    let told = told_of(&packets);
    let [finding] = told.findings()[..] else { panic!("{told:?}") };
    assert_eq!(finding.confidence, mtlsnoop::update::Confidence::Possible, "{finding:?}");
}

#[test]
fn a_service_address_that_is_translated_is_not_a_second_connection() {
    let before =
        silent(Conversation::new(client(50714), "10.96.0.10:6379".parse().unwrap(), AT_NS)).packets();
    let after = silent(
        Conversation::new(client(50714), "10.96.0.10:6379".parse().unwrap(), AT_NS + 7000)
            .translated(redis()),
    );
    let mut packets = [before, after.packets()].concat();
    packets.sort_by_key(|packet| packet.time_ns);
    is_one_finding(&told_of(&packets), "translated");
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_is_counted() {
    let one_after_the_other = (0..50).map(|port| between(1000 + port).wait_ms(port.into()).connect());
    let packets = together(one_after_the_other);
    let file = Pcap::of(Link::Raw).file(&packets);
    let mut capture = super::CaptureFile::new(&file[..], "test").unwrap().with_limit(10);
    let mut last = None;
    while let Ok(Some(event)) = capture.next_event() {
        if let Event::Counted(counters) = event {
            last = Some(counters);
        }
    }
    let counters = last.unwrap();
    assert_eq!((counters.seen, &counters.lost[..]), (50, &[(mtlsnoop::event::loss::Loss::Ended, 40)][..]));
}

#[test]
fn an_end_that_was_told_is_forgotten_before_one_that_is_open() {
    let open = between(1).connect();
    let short = (0..50).map(|port| between(1000 + port).wait_ms(1000).connect().close(End::Client));
    let late = open.clone().wait_ms(100_000).close(End::Client);
    let mut packets = together(short.chain([late]));
    packets.push(between(2).wait_ms(300_000).syn().packets().remove(0));
    let file = Pcap::of(Link::Raw).file(&packets);
    let mut capture = super::CaptureFile::new(&file[..], "test").unwrap().with_limit(60);
    let mut ended = 0;
    while let Ok(Some(event)) = capture.next_event() {
        ended += usize::from(matches!(event, Event::Ended(_)));
    }
    assert_eq!(ended, 51);
}
