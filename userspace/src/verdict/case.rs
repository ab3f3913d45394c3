//! One attempt with everything known about it: what verdicts are made from; must not know codes or causes.

use crate::{
    envoy::{Seen, Word},
    event::{
        socket::{Class, Owner},
        time::{MILLISECOND_NS, Time},
    },
    flow::{SaidEnd, answer::Answer, hello::Hello},
    listener::Knowledge,
    policy::Declared,
    tls::mesh::{Mesh, MeshHello},
    update::{Behaviour, Outcome, Party},
};

/// A client that gives up sooner says more about itself than about the listener: sidecars wait for their connect
/// timeout, of which the shortest default is 1 s (Istio before 1.6, pkg/config/mesh/mesh.go).
const SHORTEST_SILENCE_NS: u64 = 250 * MILLISECOND_NS;

/// One attempt to connect.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// When it is judged.
    pub time: Time,
    /// Who connects.
    pub client: &'a Party,
    /// What is connected to.
    pub server: &'a Party,
    /// The connecting socket is a mesh proxy's.
    pub is_from_proxy: bool,
    /// It was the app's own connection, and its own pod's sidecar took it over.
    pub is_taken_over: bool,
    /// Only its end was followed.
    pub is_end_only: bool,
    /// The hello that a mesh wrote, if the client sent one.
    pub hello: Option<SentHello<'a>>,
    /// The hello that no mesh wrote, if the client sent one.
    pub plain_hello: Option<&'a Hello>,
    /// What the client sent first, if it was no hello.
    pub client_class: Option<Class>,
    /// What the listener said, if anything.
    pub answer: Option<&'a Answer>,
    /// What the listener did.
    pub behaviour: Behaviour,
    /// How it ended; none while it lasts.
    pub outcome: Option<&'a Outcome>,
    /// Who accepted, where that was seen, and at which port.
    pub acceptor: Option<Acceptor<'a>>,
    /// What the proxy that accepted passed on of it.
    pub passed_on: PassedOn,
    /// The app's connection that a proxy serves with this attempt, where that was seen.
    pub leg: Option<LegSeen<'a>>,
    /// What the same address and port answered to others.
    pub knowledge: Knowledge,
    /// What the cluster declares for it.
    pub declared: Declared<'a>,
    /// What an Envoy says of it itself.
    pub word: Word<'a>,
}

impl Case<'_> {
    /// What Envoy's word is compared with.
    pub fn seen(&self) -> Seen {
        Seen { behaviour: self.behaviour, had_hello: self.hello.is_some() }
    }

    /// The listener was silent, and not for long enough to tell anything of it; or it is not known for how long.
    pub fn gave_up_soon(&self) -> bool {
        let after_ns = self.outcome.and_then(|outcome| outcome.after_ns);
        self.behaviour == Behaviour::Silent && after_ns.is_none_or(|after_ns| after_ns < SHORTEST_SILENCE_NS)
    }

    /// The connecting socket is a mesh proxy's, or its owner is not known and its pod has a mesh proxy, which speaks for it.
    pub fn may_be_from_proxy(&self) -> bool {
        let is_unknown = self.client.process.is_none() && self.client.uid.is_none();
        self.is_from_proxy || (is_unknown && !self.is_taken_over && self.client.sidecar == Some(true))
    }

    /// The client's mesh: the one that wrote the hello; without a hello, the one that the client is in.
    pub fn mesh(&self) -> Option<Mesh> {
        self.hello.map(|sent| sent.mesh.mesh).or(self.client.mesh)
    }

    /// One end is known to be in a mesh other than Istio.
    pub fn is_of_other_mesh(&self) -> bool {
        let is_other = |mesh: Mesh| !matches!(mesh, Mesh::Istio | Mesh::IstioAmbient);
        [self.mesh(), self.server.mesh].into_iter().flatten().any(is_other)
    }
}

/// A hello that a mesh wrote.
#[derive(Clone, Copy, Debug)]
pub struct SentHello<'a> {
    /// The hello.
    pub hello: &'a Hello,
    /// The mesh that wrote it.
    pub mesh: &'a MeshHello,
}

/// Who accepted a connection, seen on this node.
#[derive(Clone, Copy, Debug)]
pub struct Acceptor<'a> {
    /// Owner of the accepted socket, with the process of its listener.
    pub owner: &'a Owner,
    /// Its port; another than the client's destination when it was redirected.
    pub port: u16,
    /// It is a socket of a mesh proxy.
    pub is_proxy: bool,
}

/// What a proxy passed on of what it had accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOn {
    /// No proxy was seen to accept it, or it cannot be told.
    Unknown,
    /// It connected to nothing for it.
    Nothing,
    /// It connected to the application, or to wherever it leads.
    Something,
    /// The client's hello, as it came.
    Hello,
}

/// The app's connection to its sidecar.
#[derive(Clone, Copy, Debug)]
pub struct LegSeen<'a> {
    /// The hello that the app sent, if it sent one.
    pub hello: Option<&'a Hello>,
    /// What the app sent first, if it was no hello.
    pub client_class: Option<Class>,
    /// What came back to the app first.
    pub answer: Option<Behaviour>,
    /// How it ended; none while it lasts.
    pub end: Option<SaidEnd>,
}
