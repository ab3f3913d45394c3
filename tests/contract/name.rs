//! Names that users and tests build on, as the design lists them; they may grow, and none may change.

use std::collections::BTreeSet;

use mtlsnoop::{
    event::loss::Loss,
    update::{Behaviour, Code, Confidence, EndedBy, EndedHow, Role},
    verdict::cause,
};
use mtlsnoop_ebpf::counter;

/// Lowercase words with hyphens between them.
fn is_kebab_case(name: &str) -> bool {
    name.split('-')
        .all(|word| !word.is_empty() && word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9')))
}

#[test]
fn behaviours_of_listeners() {
    assert_eq!(
        Behaviour::ALL.map(Behaviour::name),
        [
            "tls",
            "tls-alert",
            "plaintext",
            "spoke-first",
            "silent",
            "closed",
            "reset",
            "refused",
            "unreachable",
            "timeout"
        ]
    );
}

#[test]
fn codes_of_findings() {
    assert_eq!(
        Code::ALL.map(Code::name),
        [
            "mtls-to-plaintext",
            "mtls-rejected",
            "plaintext-to-mtls",
            "tls-to-plaintext",
            "double-tls",
            "tls-to-http-port",
            "server-first-deadlock"
        ]
    );
}

#[test]
fn confidences_from_weak_to_strong() {
    let all = [Confidence::Possible, Confidence::Likely, Confidence::Certain];
    assert_eq!(all.map(Confidence::name), ["possible", "likely", "certain"]);
    assert!(all.is_sorted());
}

#[test]
fn who_ended_a_connection_and_how() {
    let by = [EndedBy::Client, EndedBy::Server, EndedBy::Both, EndedBy::Network];
    assert_eq!(by.map(EndedBy::name), ["client", "server", "both", "network"]);
    let how = [EndedHow::Fin, EndedHow::Reset, EndedHow::Error, EndedHow::GivenUp];
    assert_eq!(how.map(EndedHow::name), ["fin", "rst", "error", "given-up"]);
}

#[test]
fn ends_of_a_connection() {
    let roles = [Role::Connector, Role::Acceptor, Role::Unknown];
    assert_eq!(roles.map(Role::name), ["connector", "acceptor", "unknown"]);
}

#[test]
fn codes_of_causes_are_of_one_spelling_and_each_is_there_once() {
    let codes: Vec<_> = Code::ALL.into_iter().flat_map(cause::rules).map(|rule| rule.code).collect();
    assert!(codes.contains(&"headless-unconditional-mtls"), "the design's own example: {codes:?}");
    for code in &codes {
        assert!(is_kebab_case(code), "{code}");
    }
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len(), "{codes:?}");
}

#[test]
fn spelling_is_checked_at_all() {
    for (name, expected) in [
        ("a-b2", true),
        ("tls", true),
        ("", false),
        ("a--b", false),
        ("A", false),
        ("a_b", false),
        ("-a", false),
    ] {
        assert_eq!(is_kebab_case(name), expected, "{name:?}");
    }
}

#[test]
fn what_the_kernel_loses_has_the_same_name_outside() {
    /// What user space loses by itself.
    const OF_USER_SPACE: [&str; 6] = [
        "undecodable_record",
        "evicted_flow",
        "incomplete_hello",
        "lost_detail",
        "lost_output",
        "lost_recording",
    ];
    /// What a packet capture lacks.
    const OF_CAPTURES: [&str; 6] = [
        "cut_packet",
        "capture_gap",
        "capture_dropped",
        "ip_fragment",
        "unknown_link_type",
        "malformed_packet",
    ];
    let of_kernel = counter::NAMES.into_iter().filter(|name| !["seen", "destroyed"].contains(name));
    let expected: BTreeSet<_> = of_kernel.chain(OF_USER_SPACE).chain(OF_CAPTURES).collect();
    let named: BTreeSet<_> = Loss::ALL.into_iter().map(Loss::name).collect();
    assert_eq!(named, expected);
    assert_eq!(Loss::from_name("seen"), None);
    for loss in Loss::ALL {
        assert_eq!(Loss::from_name(loss.name()), Some(loss));
    }
}
