//! Updates with what Events need, for the tests of this folder.

use crate::{
    event::time::{SECOND_NS, Time},
    sink::{
        kube_events::announcement::{Announcement, Kind, Object, Severity},
        samples,
    },
    update::{Finding, Party, Resolved, Update},
};

/// 2020-05-14T07:30:00Z.
pub(super) const BEGIN: Time = Time(1_589_441_400 * SECOND_NS);

pub(super) fn client() -> Party {
    Party { pod_uid: Some("uid-client".into()), ..samples::client() }
}

pub(super) fn server() -> Party {
    Party { pod_uid: Some("uid-server".into()), service_uid: Some("uid-service".into()), ..samples::server() }
}

pub(super) fn finding() -> Finding {
    Finding { client: client(), server: server(), ..samples::finding() }
}

/// So many seconds after the begin, with so many failures so far.
pub(super) fn failed(seconds: u64, count: u64) -> Update {
    let time = BEGIN + seconds * SECOND_NS;
    Update::Finding(Box::new(Finding { time, first_seen: BEGIN, last_seen: time, count, ..finding() }))
}

pub(super) fn works(seconds: u64, count: u64) -> Update {
    let time = BEGIN + seconds * SECOND_NS;
    Update::Resolved(Box::new(Resolved {
        time,
        client: client(),
        server: server(),
        count,
        first_seen: BEGIN,
        last_seen: time - SECOND_NS,
        ..samples::resolved()
    }))
}

pub(super) fn announcement() -> Announcement {
    Announcement {
        name: "redis-client-1.0123456789abcdef".into(),
        regarding: Object {
            kind: Kind::Pod,
            namespace: "default".into(),
            name: "redis-client-1".into(),
            uid: "uid-client".into(),
        },
        related: None,
        severity: Severity::Warning,
        reason: "MtlsToPlaintext".into(),
        note: "It speaks plaintext.".into(),
        first_seen: BEGIN,
        last_seen: BEGIN,
        count: 1,
        is_new: true,
        is_final: false,
    }
}
