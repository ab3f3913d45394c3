//! An API server, a client of it with the rights of the documentation, and findings that agents announce; must not know what is
//! expected of them.

use std::{sync::mpsc, thread, time::Duration};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use mtlsnoop::{
    event::time::{SECOND_NS, Time},
    sink::{
        Sink as _,
        kube_events::{KubeEvents, announcer::Settings, poster::state::PosterState},
    },
    update::{Cause, Code, Confidence, Finding, Fix, ListenerSeen, Party, Resolved, Update},
};
use mtlsnoop_tests::{api::Api, wait};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    runtime::{self, Handle},
    sync::oneshot,
};

/// 2026-11-23T02:00:00Z.
const BEGIN: Time = Time(1_795_399_200 * SECOND_NS);

/// So many seconds after the begin.
pub(crate) fn at(seconds: u64) -> Time {
    BEGIN + seconds * SECOND_NS
}

/// A cluster with an API server, and a runtime as the agent's source has one.
pub(crate) struct World {
    pub(crate) api: Api,
    client: Client,
    runtime: Handle,
    /// The runtime ends with it.
    _end: oneshot::Sender<()>,
    _folder: TempDir,
}

impl World {
    /// The agents may do what the documentation says they need for Events, and nothing else.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let api = Api::start_in(folder.path()).unwrap();
        api.put(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "default" } }))
            .unwrap();
        api.restrict(&may(&["create", "patch"])).unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let (runtimes, runtime) = mpsc::channel();
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtimes.send(runtime.handle().clone()).unwrap();
            // It ends when the other end is dropped.
            let _ = runtime.block_on(ended);
        });
        let runtime: Handle = runtime.recv().unwrap();
        let kubeconfig = Kubeconfig::read_from(api.kubeconfig().unwrap()).unwrap();
        let client = runtime.block_on(async {
            let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
            Client::try_from(config.unwrap()).unwrap()
        });
        Self { api, client, runtime, _end: end, _folder: folder }
    }

    /// The agent of a node, just started.
    pub(crate) fn agent(&self, node: &str) -> Agent {
        Agent(KubeEvents::start(Settings::of_node(node), self.client.clone(), &self.runtime))
    }

    /// Events as they are, each as reason, object and count, sorted.
    pub(crate) fn events(&self) -> Vec<(String, String, u64)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut events: Vec<_> = self
            .api
            .list("events")
            .unwrap()
            .iter()
            .map(|event| {
                let object =
                    format!("{}/{}", text(&event["regarding"]["kind"]), text(&event["regarding"]["name"]));
                (text(&event["reason"]), object, event["series"]["count"].as_u64().unwrap_or(1))
            })
            .collect();
        events.sort();
        events
    }

    /// Requests so far, as verbs.
    pub(crate) fn verbs(&self) -> Vec<String> {
        self.api.requests().iter().map(|request| request.verb.clone()).collect()
    }
}

/// A role with these verbs of Events.
pub(crate) fn may(verbs: &[&str]) -> Vec<Value> {
    vec![json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": { "name": "mtlsnoop" },
        "rules": [{ "apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": verbs }],
    })]
}

/// An agent, as far as it announces.
pub(crate) struct Agent(KubeEvents);

impl Agent {
    /// Takes an update.
    pub(crate) fn takes(&mut self, update: &Update) {
        self.0.update(update).unwrap();
    }

    /// Hands on what may go out at that second, until so many announcements have come to something.
    #[track_caller]
    pub(crate) fn announces(&mut self, seconds: u64, count: u64) -> PosterState {
        let what = format!("{count} announcements");
        wait::until(what, wait::LONG, || {
            self.0.pump(at(seconds), 0);
            let state = self.0.state();
            Ok((state.outcomes().map(|(_, count)| count).sum::<u64>() >= count).then_some(state))
        })
        .unwrap()
    }

    /// Hands on what may go out at that second, and does not wait.
    pub(crate) fn pumps(&mut self, seconds: u64) {
        self.0.pump(at(seconds), 0);
    }

    /// Ends.
    pub(crate) fn ends(self, seconds: u64, patience: Duration) -> PosterState {
        self.0.finish(at(seconds), 0, patience)
    }
}

fn party(address: &str, pod: &str, workload: &str) -> Party {
    Party {
        pod: Some(pod.into()),
        namespace: Some("default".into()),
        workload: Some(workload.into()),
        pod_uid: Some(format!("uid-of-{pod}").into()),
        ..Party::at(address.parse().unwrap())
    }
}

fn client() -> Party {
    party("10.1.1.25:50714", "redis-client-1", "Deployment/redis-client")
}

fn server() -> Party {
    Party {
        service: Some("redis".into()),
        service_uid: Some("uid-of-redis".into()),
        headless: Some(true),
        ..party("10.1.1.24:6379", "redis-0", "StatefulSet/redis")
    }
}

fn cause() -> Cause {
    Cause { code: "headless-unconditional-mtls", text: "redis.default is headless.".into() }
}

/// It failed so often, from one second to another.
pub(crate) fn failed(first: u64, last: u64, count: u64) -> Update {
    Update::Finding(Box::new(Finding {
        time: at(last),
        code: Code::MtlsToPlaintext,
        confidence: Confidence::Certain,
        cause: cause(),
        client: client(),
        victim: None,
        server: server(),
        client_hello: None,
        listener: ListenerSeen { behaviour: None, protocol: None, first_bytes: Box::default() },
        outcome: None,
        evidence: vec![],
        fix: Fix { text: "Turn mTLS off for it.".into(), manifest: None },
        count,
        first_seen: at(first),
        last_seen: at(last),
        addresses: vec![],
        incomplete: false,
        incident: first,
        newly_failed: 1,
    }))
}

/// It works at that second, after it had failed so often since another.
pub(crate) fn works(first: u64, now: u64, count: u64) -> Update {
    Update::Resolved(Box::new(Resolved {
        time: at(now),
        code: Code::MtlsToPlaintext,
        cause: cause(),
        client: client(),
        server: server(),
        count,
        first_seen: at(first),
        last_seen: at(now - 1),
        evidence: vec![],
        confidence: Confidence::Likely,
        incident: first,
        newly_failed: 0,
    }))
}
