//! Every form in which captures are written gives the same; what is no whole capture says where and what.

use mtlsnoop::{
    source::unreadable::{Broken, Reason},
    update::{Behaviour, Confidence},
};
use mtlsnoop_tests::{
    capture_file::{Link, Pcap, PcapNg, Resolution},
    conversation::{Conversation, Packet},
};

use super::{AT_NS, CaptureFile, Told, between, silent, told};

/// The incident over IPv4 and over IPv6.
fn incidents() -> [Vec<Packet>; 2] {
    let v6 =
        Conversation::new("[fd00::25]:50714".parse().unwrap(), "[fd00::24]:6379".parse().unwrap(), AT_NS);
    [between(50714), v6].map(|conversation| silent(conversation).packets())
}

#[track_caller]
fn has_the_incident(told: &Told, form: &str) {
    assert!(told.broken.is_none(), "{form}: {:?}", told.broken);
    let [finding] = told.findings()[..] else { panic!("{form}: {told:?}") };
    assert_eq!(finding.listener.behaviour, Some(Behaviour::Silent), "{form}");
    // Nothing is known of the destination: who accepted is not in a capture.
    assert_eq!(finding.confidence, Confidence::Possible, "{form}");
    assert_eq!(finding.client_hello.as_ref().and_then(|hello| hello.mesh), Some("istio"), "{form}");
    let outcome = finding.outcome.as_ref().unwrap();
    assert_eq!((outcome.bytes_sent, outcome.bytes_received), (205, 0), "{form}");
    assert_eq!(outcome.after_ns.map(|ns| ns / 1_000_000), Some(998), "{form}");
    assert_eq!((told.summary.seen, told.summary.reported, told.summary.lost.len()), (1, 1, 0), "{form}");
}

#[test]
fn every_link_type_byte_order_and_resolution_of_pcap() {
    for packets in incidents() {
        for link in Link::ALL {
            for (is_big_endian, is_in_ns) in [(false, false), (false, true), (true, false), (true, true)] {
                let form = Pcap { is_big_endian, is_in_ns, ..Pcap::of(link) };
                has_the_incident(&told(&form.file(&packets)), &format!("{form:?}"));
            }
        }
    }
}

#[test]
fn every_interface_of_every_section_of_pcapng() {
    for packets in incidents() {
        for (index, link) in Link::ALL.into_iter().enumerate() {
            for resolution in [
                Resolution::Decimal(6),
                Resolution::Decimal(9),
                Resolution::Decimal(3),
                Resolution::Binary(20),
                Resolution::Binary(30),
            ] {
                let other = Link::ALL[(index + 3) % Link::ALL.len()];
                let empty = PcapNg::default().section().interface(link, Resolution::Decimal(6)).section();
                let interfaces = empty.interface(other, Resolution::Decimal(9)).interface(link, resolution);
                let file = packets.iter().fold(interfaces, |file, packet| file.packet(1, packet)).file();
                has_the_incident(&told(&file), &format!("{link:?} {resolution:?}"));
            }
        }
    }
}

#[test]
fn what_the_capturing_program_dropped_is_a_loss_by_name() {
    let [packets, _] = incidents();
    let file = PcapNg::default().section().interface(Link::Raw, Resolution::Decimal(9));
    let file = packets.iter().fold(file, |file, packet| file.packet(0, packet)).dropped(0, 7).dropped(0, 9);
    let file = file.section().interface(Link::Raw, Resolution::Decimal(9)).dropped(0, 2).file();
    let told = told(&file);
    assert_eq!((told.findings().len(), told.lost("capture_dropped")), (1, 11));
}

#[test]
fn a_packet_of_an_interface_that_is_not_there_is_a_loss_by_name() {
    let [packets, _] = incidents();
    let file = PcapNg::default().section().interface(Link::Raw, Resolution::Decimal(9));
    let told = told(&packets.iter().fold(file, |file, packet| file.packet(5, packet)).file());
    assert_eq!((told.findings().len(), told.lost("undecodable_record")), (0, packets.len() as u64));
}

#[test]
fn cut_anywhere_everything_whole_before_is_used() {
    let [packets, _] = incidents();
    let whole = Pcap::of(Link::Ethernet(0)).file(&packets);
    let whole_ng = packets
        .iter()
        .fold(PcapNg::default().section().interface(Link::Raw, Resolution::Decimal(9)), |file, packet| {
            file.packet(0, packet)
        })
        .file();
    for file in [whole, whole_ng] {
        let (mut ends, mut findings) = (0, 0);
        for length in 100..=file.len() {
            let told = told(&file[..length]);
            match told.broken {
                None => ends += 1,
                Some(Broken::CutShort { offset }) => assert!(offset <= length as u64),
                Some(other) => panic!("cut at {length}: {other}"),
            }
            findings += usize::from(!told.findings().is_empty());
        }
        // Within the beginning that is left out there are one or two of them.
        assert!((packets.len() - 2..=packets.len()).contains(&ends), "{ends} of {}", packets.len());
        assert!(findings > 0);
    }
}

#[test]
fn a_block_that_cannot_be_is_corruption_and_takes_no_memory() {
    let [packets, _] = incidents();
    let form = Pcap::of(Link::Ethernet(0));
    let mut file = form.file(&packets);
    let at = file.len() as u64;
    file.extend([0xff; 400]);
    let damaged = told(&file);
    assert!(matches!(damaged.broken, Some(Broken::Corrupt { offset }) if offset == at), "{damaged:?}");
    assert_eq!(damaged.findings().len(), 1);
}

#[test]
fn what_cannot_be_read_at_all_says_what_it_is() {
    let [packets, _] = incidents();
    let mut wireless = Pcap::of(Link::Ethernet(0)).file(&packets);
    wireless[20] = 105;
    for (bytes, says) in [
        (&wireless[..], "link type 105 (IEEE 802.11)"),
        (&wireless[..12], "ends within its header"),
        (&[][..], "the file is empty"),
    ] {
        let reason: Reason = CaptureFile::new(bytes, "test").unwrap_err();
        assert!(reason.to_string().contains(says), "{reason}");
    }
}
