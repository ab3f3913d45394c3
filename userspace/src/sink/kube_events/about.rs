//! Which objects a finding is about, and what the Events about them are called; must not know what they say. Pure.
//!
//! A name is made of what both ends' agents know, and a restarted agent: the object, what is wrong, why, and who fails to reach
//! what. It has no time in it: what comes back while its Event is still there (an hour, by default) is more of the same.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::{
    sink::kube_events::announcement::{Kind, Object, Severity},
    update::{Code, Party},
};

/// Longest name of an object (RFC 1123 subdomain).
const NAME_LIMIT_BYTES: usize = 253;

/// Bytes of the hash in a name.
const HASH_BYTES: usize = 8;

/// Changes with what names are made of, so that agents of two versions do not take each other's Events for theirs.
const VERSION: &str = "1";

/// What is wrong between whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble<'a> {
    pub(super) code: Code,
    pub(super) cause: &'static str,
    pub(super) client: &'a Party,
    pub(super) server: &'a Party,
}

impl Trouble<'_> {
    /// The client's pod, the destination's Service and the destination's pod, each with the other end; those of which the uid is
    /// not known are left out, because nobody would find an Event about them.
    pub(super) fn objects(&self) -> Vec<(Object, Option<Object>)> {
        let (client, service, server) = (pod(self.client), service(self.server), pod(self.server));
        let destination = service.clone().or_else(|| server.clone());
        let mut objects = Vec::with_capacity(3);
        if let Some(client) = client.clone() {
            objects.push((client, destination));
        }
        for object in [service, server].into_iter().flatten() {
            if objects.iter().all(|(other, _)| *other != object) {
                objects.push((object, client.clone()));
            }
        }
        objects
    }

    /// Name of the Event that says this of an object.
    pub(super) fn name(&self, regarding: &Object, severity: Severity) -> String {
        let Self { code, cause, client, server } = *self;
        let port = server.address.port().to_string();
        let (source, destination) = (client_name(client), server_name(server));
        let parts = [
            VERSION,
            severity.name(),
            regarding.kind.name(),
            &regarding.uid,
            code.name(),
            cause,
            client.namespace.as_deref().unwrap_or_default(),
            &source,
            server.namespace.as_deref().unwrap_or_default(),
            &destination,
            &port,
        ];
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part);
            digest.update([0]);
        }
        let hash = HEXLOWER.encode(&digest.finalize()[..HASH_BYTES]);
        let room = NAME_LIMIT_BYTES - hash.len() - 1;
        let beginning = regarding.name.get(..room).unwrap_or(&regarding.name).trim_end_matches(['.', '-']);
        format!("{beginning}.{hash}")
    }
}

/// As people know it, and as both ends' agents do: one incident is that of a workload, whichever of its pods fails.
fn client_name(client: &Party) -> String {
    let known = client.workload.as_ref().or(client.pod.as_ref());
    known.map_or_else(|| client.address.ip().to_string(), ToString::to_string)
}

fn server_name(server: &Party) -> String {
    let known = server.service.as_ref().or(server.workload.as_ref()).or(server.pod.as_ref());
    known.map_or_else(|| server.address.ip().to_string(), ToString::to_string)
}

fn pod(party: &Party) -> Option<Object> {
    object(Kind::Pod, party, party.pod.as_deref(), party.pod_uid.as_deref())
}

fn service(party: &Party) -> Option<Object> {
    object(Kind::Service, party, party.service.as_deref(), party.service_uid.as_deref())
}

fn object(kind: Kind, party: &Party, name: Option<&str>, uid: Option<&str>) -> Option<Object> {
    let (namespace, name) = (party.namespace.clone()?, name?.into());
    let uid = uid.filter(|uid| !uid.is_empty())?.into();
    Some(Object { kind, namespace, name, uid })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{NAME_LIMIT_BYTES, Trouble};
    use crate::{
        sink::{
            kube_events::{
                announcement::{Kind, Object, Severity},
                samples::{client, server},
            },
            samples::address,
        },
        update::{Code, Party},
    };

    fn trouble<'a>(client: &'a Party, server: &'a Party) -> Trouble<'a> {
        Trouble { code: Code::MtlsToPlaintext, cause: "headless-unconditional-mtls", client, server }
    }

    fn uids(client: &Party, server: &Party) -> Vec<(String, Option<String>)> {
        trouble(client, server)
            .objects()
            .into_iter()
            .map(|(object, other)| (object.uid.to_string(), other.map(|other| other.uid.to_string())))
            .collect()
    }

    #[test]
    fn the_client_the_service_and_the_server_are_told_each_with_the_other_end() {
        let [redis, service, pod] = ["uid-client", "uid-service", "uid-server"].map(ToOwned::to_owned);
        let (client, server) = (client(), server());
        assert_eq!(
            uids(&client, &server),
            [
                (redis.clone(), Some(service.clone())),
                (service, Some(redis.clone())),
                (pod.clone(), Some(redis.clone()))
            ]
        );
        let without_service = Party { service: None, service_uid: None, ..server };
        assert_eq!(uids(&client, &without_service), [(redis.clone(), Some(pod.clone())), (pod, Some(redis))]);
    }

    #[test]
    fn what_is_not_known_well_enough_to_be_found_is_not_told() {
        let (client, server) = (client(), server());
        let nobody = Party::at(address("10.0.0.1:1"));
        let without_uid = Party { pod_uid: None, ..client.clone() };
        let empty_uid = Party { pod_uid: Some("".into()), ..client.clone() };
        for client in [&nobody, &without_uid, &empty_uid] {
            assert_eq!(uids(client, &server).len(), 2, "{client:?}");
        }
        assert_eq!(uids(&nobody, &nobody), []);
        assert_eq!(uids(&client, &client).len(), 1, "a pod that fails to reach itself is told once");
    }

    /// What one end's agent knows and the other's does not is not part of a name.
    #[test]
    fn both_ends_and_every_pod_of_a_workload_have_one_name_for_the_service() {
        let (client, server) = (client(), server());
        let objects = trouble(&client, &server).objects();
        let (service, _) = &objects[1];
        let name = trouble(&client, &server).name(service, Severity::Warning);
        let other_end = Party { container: None, process: None, pid: None, uid: None, ..client.clone() };
        let other_pod =
            Party { pod: Some("redis-client-2".into()), ..Party { pod_uid: None, ..client.clone() } };
        let other_port = Party { address: address("10.1.1.99:1"), ..client.clone() };
        let other_address = Party { address: address("10.1.1.99:6379"), process: None, ..server.clone() };
        for (client, server) in
            [(&other_end, &server), (&other_pod, &server), (&other_port, &server), (&client, &other_address)]
        {
            assert_eq!(trouble(client, server).name(service, Severity::Warning), name);
        }
    }

    #[test]
    fn whatever_is_another_thing_has_another_name() {
        let (client, server) = (client(), server());
        let base = trouble(&client, &server);
        let (object, _) = base.objects().swap_remove(0);
        let other_uid = Object { uid: "uid-2".into(), ..object.clone() };
        let other_kind = Object { kind: Kind::Service, ..object.clone() };
        let other_workload = Party { workload: Some("Deployment/other".into()), ..client.clone() };
        let other_service = Party { service: Some("sentinel".into()), ..server.clone() };
        let other_namespace = Party { namespace: Some("other".into()), ..server.clone() };
        let other_port = Party { address: address("10.1.1.24:6380"), ..server.clone() };
        let names: BTreeSet<String> = [
            base.name(&object, Severity::Warning),
            base.name(&object, Severity::Normal),
            base.name(&other_uid, Severity::Warning),
            base.name(&other_kind, Severity::Warning),
            Trouble { code: Code::DoubleTls, ..base }.name(&object, Severity::Warning),
            Trouble { cause: "lost-disable", ..base }.name(&object, Severity::Warning),
            trouble(&other_workload, &server).name(&object, Severity::Warning),
            trouble(&client, &other_service).name(&object, Severity::Warning),
            trouble(&client, &other_namespace).name(&object, Severity::Warning),
            trouble(&client, &other_port).name(&object, Severity::Warning),
        ]
        .into();
        assert_eq!(names.len(), 10, "{names:?}");
    }

    /// RFC 1123 subdomains, as the API wants names of Events to be.
    #[test]
    fn names_are_names() {
        let (client, server) = (client(), server());
        let long = format!("{}.{}", "a".repeat(235), "b".repeat(17));
        for name in ["redis-0", "web.1", &long, &"x".repeat(253)] {
            let object =
                Object { kind: Kind::Pod, namespace: "a".into(), name: name.into(), uid: "u".into() };
            let name = trouble(&client, &server).name(&object, Severity::Warning);
            assert!(name.len() <= NAME_LIMIT_BYTES, "{name}");
            for label in name.split('.') {
                let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                assert!(!label.is_empty() && label.bytes().all(is_inner), "{name}");
                assert!(!label.starts_with('-') && !label.ends_with('-'), "{name}");
            }
        }
    }
}
