//! Updates of the article's incident, for the tests of the sinks.

use std::net::SocketAddr;

use crate::{
    event::{
        loss::Loss,
        time::{SECOND_NS, Time},
    },
    protocol::Protocol,
    sink::Accounting,
    update::{
        Behaviour, Cause, Code, Confidence, Connection, EndedBy, EndedHow, Finding, Fix, Hello, ListenerSeen,
        Outcome, Party, Resolved, Role, Victim,
    },
};

/// 2020-05-14T07:30:00Z.
const BEGIN: Time = Time(1_589_441_400 * SECOND_NS);

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn client() -> Party {
    Party {
        pod: Some("redis-client-6d9f7c5b8-x2x9q".into()),
        namespace: Some("default".into()),
        container: Some("istio-proxy".into()),
        workload: Some("Deployment/redis-client".into()),
        process: Some("envoy".into()),
        pid: Some(4242),
        uid: Some(1337),
        sidecar: Some(true),
        ..Party::at(address("10.1.1.25:50714"))
    }
}

pub(crate) fn server() -> Party {
    Party {
        pod: Some("redis-0".into()),
        namespace: Some("default".into()),
        workload: Some("StatefulSet/redis".into()),
        process: Some("redis-server".into()),
        service: Some("redis".into()),
        headless: Some(true),
        sidecar: Some(false),
        ..Party::at(address("10.1.1.24:6379"))
    }
}

pub(super) fn hello() -> Hello {
    Hello {
        sni: Some("outbound_.6379_._.redis.default.svc.cluster.local".into()),
        alpn: vec!["istio-peer-exchange".into(), "istio".into()],
        mesh: Some("istio"),
        ja4: "t12d1409is_0d8feac7bc37_7395dae3b2f3".into(),
        versions: vec!["1.2".into()],
        groups: vec!["X25519".into(), "P-256".into()],
    }
}

fn silent() -> ListenerSeen {
    ListenerSeen { behaviour: Some(Behaviour::Silent), protocol: None, first_bytes: Box::default() }
}

fn given_up() -> Outcome {
    Outcome {
        ended_by: EndedBy::Client,
        how: EndedHow::Fin,
        after_ns: Some(998_200_000),
        bytes_sent: 205,
        bytes_received: 0,
        error: None,
        reset_reason: None,
    }
}

fn cause() -> Cause {
    Cause {
        code: "headless-unconditional-mtls",
        text: "redis.default is headless, and its cluster in the sidecar sends mTLS to every endpoint, also to those \
               without a sidecar."
            .into(),
    }
}

pub(crate) fn finding() -> Finding {
    Finding {
        time: BEGIN + SECOND_NS,
        code: Code::MtlsToPlaintext,
        confidence: Confidence::Likely,
        cause: cause(),
        client: client(),
        victim: Some(Victim {
            container: Some("app".into()),
            process: Some("redis-cli".into()),
            pid: Some(4300),
            port: 45940,
        }),
        server: server(),
        client_hello: Some(hello()),
        listener: silent(),
        outcome: Some(given_up()),
        evidence: vec![
            "The sidecar sent a ClientHello of 205 bytes.".into(),
            "Nothing came back for 998 ms.".into(),
        ],
        fix: Fix {
            text: "Tell clients to speak plaintext to this host.".into(),
            manifest: Some("apiVersion: networking.istio.io/v1\nkind: DestinationRule\n".into()),
        },
        count: 1,
        first_seen: BEGIN + SECOND_NS,
        last_seen: BEGIN + SECOND_NS,
        addresses: vec![address("10.1.1.24:6379")],
        incomplete: false,
        incident: 7,
        newly_failed: 1,
    }
}

/// The same, all that can be unknown being so.
pub(crate) fn bare_finding() -> Finding {
    Finding {
        client: Party::at(address("[fd00::25]:50714")),
        victim: None,
        server: Party::at(address("[fd00::24]:6379")),
        client_hello: Some(Hello {
            sni: None,
            alpn: vec![],
            mesh: None,
            versions: vec![],
            groups: vec![],
            ..hello()
        }),
        listener: ListenerSeen {
            behaviour: Some(Behaviour::Plaintext),
            protocol: Some(Protocol::Redis),
            first_bytes: Box::from(*b"-ERR\r\n"),
        },
        outcome: None,
        evidence: vec![],
        fix: Fix { text: "Look at the listener.".into(), manifest: None },
        incomplete: true,
        ..finding()
    }
}

pub(crate) fn resolved() -> Resolved {
    Resolved {
        time: BEGIN + 60 * SECOND_NS,
        code: Code::MtlsToPlaintext,
        cause: cause(),
        client: client(),
        server: server(),
        count: 3,
        first_seen: BEGIN + SECOND_NS,
        last_seen: BEGIN + 31 * SECOND_NS,
        evidence: vec!["A plaintext connection was answered with 5 bytes.".into()],
        confidence: Confidence::Likely,
        incident: 7,
        newly_failed: 0,
    }
}

pub(crate) fn connection() -> Connection {
    Connection {
        time: BEGIN + SECOND_NS,
        role: Role::Connector,
        client: client(),
        server: server(),
        opened: Some(BEGIN),
        connect_ns: Some(45_000),
        client_hello: Some(hello()),
        client_protocol: None,
        listener: silent(),
        outcome: given_up(),
        began_before: false,
        suspicion: None,
        incomplete: false,
    }
}

pub(crate) fn accounting() -> Accounting {
    Accounting {
        time: BEGIN + 90 * SECOND_NS,
        seen: 15,
        reported: 10,
        filtered: 2,
        open: 1,
        began_before: 4,
        findings: 1,
        resolved: 1,
        lost: vec![(Loss::Opened, 2), (Loss::Hello, 1)],
    }
}
