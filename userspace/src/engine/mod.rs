//! The core as a whole: events in, updates out. It cannot fail, does no I/O and reads no clock. Pure.
#![deny(clippy::disallowed_methods)]

mod describe;
mod held;
mod incident;
mod judge;
mod lookups;
mod pending;
mod success;
mod unfollowed;

use crate::{
    attempt::{Joins, Leg},
    engine::{held::Waiting, incident::Incidents, lookups::Lookups, unfollowed::Unfollowed},
    envoy::Heard,
    event::{
        Capture, Event,
        cluster::Lookup,
        loss::{Counters, Loss},
        socket::{Ended, Established, FirstBytes, Opened, Owner, Reached, Reset, SocketId},
        time::Time,
    },
    flow::{Flow, Peer, end, table::FlowTable},
    identity::{Identity, proxy},
    listener::{Destination, Listeners},
    suspicion::{self, Sign, Suspect},
    update::{Behaviour, Connection, Outcome, Party, Role, Summary, Update, suspicion::Suspicion},
    verdict::case::{Acceptor, PassedOn},
};

/// Bounds, and what is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Most flows that are kept at a time; the oldest goes first, and is counted.
    pub max_flows: usize,
    /// Most destinations of which is remembered what they speak, and most listeners whose holders are.
    pub max_destinations: usize,
    /// Most findings that are kept at a time.
    pub max_findings: usize,
    /// Which connections are wanted beside the suspect ones.
    pub connections: Connections,
    /// Whether somebody takes the suspects, and arms for them.
    pub suspects: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_flows: 262_144,
            // Half of what a hash table can hold: where keys come and go, a fuller one grows sooner or later, and never again
            // becomes smaller.
            max_destinations: 14_336,
            max_findings: 3584,
            connections: Connections::Suspect,
            suspects: false,
        }
    }
}

/// Which connections are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Connections {
    /// Those that are suspect.
    Suspect,
    /// Also those that failed.
    Failed,
    /// All of them.
    All,
}

/// The core.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    flows: FlowTable,
    joins: Joins,
    listeners: Listeners,
    identity: Identity,
    heard: Heard,
    incidents: Incidents,
    capture: Capture,
    unfollowed: Unfollowed,
    suspects: Vec<Suspect>,
    /// Somebody looks up what is not known of the cluster.
    looks_up: bool,
    lookups: Lookups,
    waiting: Waiting,
    counted: Counters,
    now: Time,
    reported: u64,
    began_before: u64,
    incomplete_hellos: u64,
}

impl Engine {
    /// Knows nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            flows: FlowTable::new(settings.max_flows),
            joins: Joins::default(),
            listeners: Listeners::new(settings.max_destinations),
            identity: Identity::default(),
            heard: Heard::default(),
            incidents: Incidents::new(settings.max_findings),
            capture: Capture::default(),
            unfollowed: Unfollowed::default(),
            suspects: Vec::new(),
            looks_up: false,
            lookups: Lookups::default(),
            waiting: Waiting::default(),
            counted: Counters::default(),
            now: Time::default(),
            reported: 0,
            began_before: 0,
            incomplete_hellos: 0,
        }
    }

    /// Takes in one event, and appends what there is to say.
    pub fn apply(&mut self, event: &Event, updates: &mut Vec<Update>) {
        self.now = self.now.max(event.time());
        match event {
            Event::Began(began) => {
                self.capture = began.capture;
                self.looks_up |= began.looks_up;
            }
            Event::Tick(_) => self.tick(updates),
            Event::Opened(opened) => self.opened(opened),
            Event::Established(established) => self.established(established),
            Event::Accepted(opened) => self.accepted(opened),
            Event::Reached(reached) => self.reached(reached),
            Event::Hello(segment) => {
                if let Some(flow) = self.flows.get_mut(segment.socket) {
                    flow.add_hello(segment);
                }
            }
            Event::FirstBytes(bytes) => self.first_bytes(bytes, updates),
            Event::Reset(reset) => self.reset(reset),
            Event::Ended(ended) => self.ended(ended, updates),
            Event::Listening(listener) => {
                self.identity.observe(&listener.owner);
                self.listeners.began(listener);
            }
            Event::ListenerClosed(listener) => self.listeners.ended(listener),
            Event::Cgroup(cgroup) => self.identity.add_cgroup(cgroup),
            Event::Cluster(seen) => self.identity.set_cluster(&seen.cluster),
            Event::ClusterChanged(changed) => self.cluster_changed(changed, updates),
            Event::Counted(counters) => self.counted.clone_from(counters),
            Event::EnvoyLog(entry) => {
                self.heard.logged(entry);
                self.incidents.heard_of(&self.heard, entry, self.now, updates);
            }
            Event::EnvoyClusters(seen) => self.configured(seen, updates),
        }
    }

    /// The source has ended: says what is still to be said.
    pub fn finish(&mut self, updates: &mut Vec<Update>) {
        self.tell_held(true, updates);
        self.incidents.finish(self.now, updates);
    }

    /// The suspects since the last call; none unless they are wanted.
    pub fn take_suspects(&mut self) -> Vec<Suspect> {
        std::mem::take(&mut self.suspects)
    }

    /// What is to be looked up in the cluster since the last call; none unless somebody does.
    pub fn take_lookups(&mut self) -> Vec<Lookup> {
        self.lookups.take()
    }

    /// Connection ends that are followed now.
    pub fn open(&self) -> usize {
        self.flows.len()
    }

    /// A connection that is followed has no answer yet.
    pub fn awaits_answer(&self, socket: SocketId) -> bool {
        self.flows.get(socket).is_some_and(|flow| flow.answer.is_none())
    }

    /// The accounting so far.
    ///
    /// Where only ends are followed, ends are what is counted: a flow that is open is not counted yet, and what is lost of
    /// beginnings is detail.
    pub fn summary(&self) -> Summary {
        let mut lost = self.counted.lost.clone();
        for (loss, count) in
            [(Loss::EvictedFlow, self.flows.evicted()), (Loss::IncompleteHello, self.incomplete_hellos)]
        {
            if count > 0 {
                lost.push((loss, count));
            }
        }
        let is_adaptive = self.capture == Capture::Adaptive;
        if is_adaptive {
            lost = with_details_together(lost);
        }
        Summary {
            time: self.now,
            seen: self.counted.seen,
            reported: self.reported,
            own: self.counted.own,
            open: if is_adaptive { 0 } else { self.flows.len() as u64 },
            began_before: self.began_before,
            findings: self.incidents.said(),
            resolved: self.incidents.resolved(),
            lost,
        }
    }

    fn losses(&self) -> u64 {
        self.counted.lost.iter().map(|(_, count)| count).sum()
    }

    fn opened(&mut self, opened: &Opened) {
        self.identity.observe(&opened.owner);
        let mut flow = Flow::begin(Role::Connector, opened, self.losses());
        flow.is_of_proxy = self.is_proxy(&flow.owner);
        if flow.is_of_proxy {
            self.joins.add_upstream(&flow, &mut self.identity.virtual_addresses(flow.remote));
        }
        self.joins.opened(&flow);
        self.insert(flow);
    }

    fn reached(&mut self, reached: &Reached) {
        if let Some(flow) = self.flows.get_mut(reached.socket).filter(|flow| flow.reached_pod.is_none()) {
            flow.reached_pod = Some(reached.time);
            self.joins.reached(flow);
        }
    }

    fn established(&mut self, established: &Established) {
        if let Some(flow) = self.flows.get_mut(established.socket) {
            flow.local = established.local;
            flow.established = Some(established.time);
            self.joins.add_connecting(flow);
        }
    }

    /// The accepting end: learns its process from its listener, and finds its connecting end.
    fn accepted(&mut self, opened: &Opened) {
        self.identity.observe(&opened.owner);
        let mut flow = Flow::begin(Role::Acceptor, opened, self.losses());
        self.listeners.accepted(flow.owner.netns, flow.local.ip());
        if let Some(listener) = self.listeners.owner_at(flow.owner.netns, flow.local)
            && may_be_of(&flow.owner, listener)
        {
            flow.owner = Owner { cgroup: flow.owner.cgroup, netns: flow.owner.netns, ..listener.clone() };
        }
        flow.is_of_proxy = self.is_proxy(&flow.owner);
        if flow.is_of_proxy {
            self.joins.accepted_by_proxy(&flow);
        }
        if let Some(connecting) = self.joins.take_connecting_of(&flow)
            && let Some(client) = self.flows.get_mut(connecting)
        {
            client.peer = Some(peer(&flow));
            flow.peer = Some(peer(client));
            if client.is_intercepted() || flow.is_of_proxy {
                self.joins.taken_over(&flow, client);
            }
        }
        self.insert(flow);
    }

    fn insert(&mut self, flow: Flow) {
        if let Some(evicted) = self.flows.insert(flow) {
            self.joins.remove(&evicted, None);
        }
    }

    fn reset(&mut self, reset: &Reset) {
        let Some(socket) = reset.socket else { return };
        if let Some(flow) = self.flows.get_mut(socket) {
            flow.reset.get_or_insert((reset.direction, reset.reason));
        } else if self.capture == Capture::Adaptive {
            self.unfollowed.reset(socket, reset);
        }
    }

    fn first_bytes(&mut self, bytes: &FirstBytes, updates: &mut Vec<Update>) {
        let is_answer = self.flows.get_mut(bytes.socket).is_some_and(|flow| flow.add_first_bytes(bytes));
        if is_answer {
            self.answered(bytes.socket, updates);
        }
    }

    fn ended(&mut self, ended: &Ended, updates: &mut Vec<Update>) {
        let flow = self.flow_of(ended);
        let ended = &end::completed(&flow, ended);
        if flow.began_before {
            self.began_before += 1;
        } else {
            self.reported += 1;
        }
        self.incomplete_hellos += u64::from(flow.hello.is_partial());
        let outcome = end::outcome(&flow, ended);
        let behaviour = if flow.began_before { None } else { end::behaviour(&flow, ended, &outcome) };
        let is_incomplete = self.losses() > flow.losses_at_opening;
        let attempt = Attempt { flow: &flow, behaviour, outcome: &outcome, time: ended.time, is_incomplete };
        let had_finding = self.judge(&attempt, updates);
        if !had_finding {
            self.ended_well(&flow, updates);
        }
        let suspicion = self.suspicion(&attempt, had_finding);
        if self.is_wanted(suspicion, &outcome) {
            let (client, server) = self.parties(&flow);
            let connection = describe::connection(&attempt, client, server);
            updates.push(Update::Connection(Box::new(Connection { suspicion, ..connection })));
        }
        self.joins.remove(&flow, Some(&outcome));
    }

    fn is_wanted(&self, suspicion: Option<Suspicion>, outcome: &Outcome) -> bool {
        match self.settings.connections {
            Connections::All => true,
            Connections::Failed => suspicion.is_some() || outcome.is_failure(),
            Connections::Suspect => suspicion.is_some(),
        }
    }

    /// The flow that ends; made from its end when its beginning was not followed.
    fn flow_of(&mut self, ended: &Ended) -> Flow {
        let losses = self.losses();
        let mut flow = match self.flows.remove(ended.socket) {
            Some(flow) => flow,
            None if self.capture == Capture::Adaptive => {
                Flow::told_by_end(ended, self.unfollowed.reset_of(ended).as_ref(), losses)
            }
            None => Flow::older(ended, losses),
        };
        if flow.local.port() == 0 {
            flow.local = ended.local;
        }
        flow
    }

    /// Why an end that was told by the sentinel alone is suspect, once in a while; and whoever arms learns of all suspects.
    fn suspicion(&mut self, attempt: &Attempt<'_>, had_finding: bool) -> Option<Suspicion> {
        let Attempt { flow, behaviour, outcome, time, .. } = *attempt;
        if self.capture != Capture::Adaptive {
            return None;
        }
        if !flow.is_end_only {
            // Watched already: only what failed with a mesh hello is a reason to go on.
            if had_finding {
                self.suspect(flow, time, Sign::Hello);
            }
            return None;
        }
        let is_proxy = self.is_proxy(&flow.owner);
        let suspicion = suspicion::of(&suspicion::End { role: flow.role, is_proxy, outcome, behaviour })?;
        self.suspect(flow, time, Sign::Numbers(suspicion));
        // A finding tells more.
        let is_news =
            !had_finding && self.unfollowed.is_news(flow.owner.netns, flow.server(), suspicion, time);
        is_news.then_some(suspicion)
    }

    fn suspect(&mut self, flow: &Flow, time: Time, sign: Sign) {
        if self.settings.suspects {
            self.suspects.push(Suspect { time, cgroup: flow.owner.cgroup, sign });
        }
    }

    fn is_proxy(&self, owner: &Owner) -> bool {
        proxy::is_proxy(owner) || self.identity.is_of_proxy(owner.cgroup)
    }

    /// Whose the connecting and the listener's sockets are, where they are on this node.
    ///
    /// Its own pod's sidecar is not what the client wanted to reach.
    fn owners(flow: &Flow) -> (Option<&Owner>, Option<&Owner>) {
        let peer = flow.peer.as_ref().map(|peer| &peer.owner);
        let (client, server) = match flow.role {
            Role::Acceptor => (peer, Some(&flow.owner)),
            Role::Connector | Role::Unknown => (Some(&flow.owner), peer),
        };
        (client, server.filter(|_| !flow.is_intercepted()))
    }

    /// The connecting and the listener's end, with all that is known of both.
    fn parties(&self, flow: &Flow) -> (Party, Party) {
        let (client, server) = Self::owners(flow);
        let party = |address, owner| self.identity.party(address, owner, flow.opened);
        (party(flow.client(), client), party(flow.server(), server))
    }
}

/// The socket may have been accepted from this listener: a transparent proxy accepts at addresses that others listen at
/// (`TPROXY`), and is told from these by its user and control group.
fn may_be_of(accepted: &Owner, listener: &Owner) -> bool {
    let is_same_user = match (accepted.known_uid(), listener.known_uid()) {
        (Some(accepted), Some(listener)) => accepted == listener,
        _ => true,
    };
    is_same_user && (accepted.cgroup == listener.cgroup || accepted.cgroup == 0 || listener.cgroup == 0)
}

/// One end of an attempt, at its end.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    flow: &'a Flow,
    behaviour: Option<Behaviour>,
    outcome: &'a Outcome,
    time: Time,
    /// Something was lost while it lasted.
    is_incomplete: bool,
}

/// An attempt of which something may be wrong, with what belongs to it.
#[derive(Clone, Copy)]
struct Trial<'a> {
    flow: &'a Flow,
    outcome: &'a Outcome,
    behaviour: Behaviour,
    time: Time,
    /// Something was lost while it lasted.
    is_incomplete: bool,
    /// The connection that it serves, with what was said on it.
    leg: Option<&'a Leg>,
    passed_on: PassedOn,
}

/// Losses of a source that follows ends: what is lost of beginnings is detail, because every end is told all the same.
fn with_details_together(lost: Vec<(Loss, u64)>) -> Vec<(Loss, u64)> {
    let is_detail = |loss: &Loss| loss.is_of_flow() && *loss != Loss::Destroyed;
    let (details, mut others): (Vec<_>, Vec<_>) = lost.into_iter().partition(|(loss, _)| is_detail(loss));
    let count: u64 = details.iter().map(|(_, count)| count).sum();
    if count > 0 {
        others.push((Loss::Detail, count));
    }
    others
}

fn peer(flow: &Flow) -> Peer {
    Peer { local: flow.local, owner: flow.owner.clone(), is_of_proxy: flow.is_of_proxy }
}

/// What a flow tells of, as others reach it.
fn destination(flow: &Flow) -> Destination {
    Destination { address: flow.server(), within: flow.is_local().then_some(flow.owner.netns) }
}

/// Who accepted, as far as this node sees it.
fn acceptor_of(flow: &Flow) -> Option<Acceptor<'_>> {
    match flow.role {
        Role::Acceptor => {
            Some(Acceptor { owner: &flow.owner, port: flow.local.port(), is_proxy: flow.is_of_proxy })
        }
        Role::Connector => {
            let Peer { local, owner, is_of_proxy } = flow.peer.as_ref()?;
            Some(Acceptor { owner, port: local.port(), is_proxy: *is_of_proxy })
        }
        Role::Unknown => None,
    }
}
