//! The core as a whole: events in, updates out. It cannot fail, does no I/O and reads no clock. Pure.
#![deny(clippy::disallowed_methods)]

mod describe;
mod incident;
mod unfollowed;

use crate::{
    attempt::Joins,
    engine::{
        incident::{ClientKey, Incidents, Success},
        unfollowed::Unfollowed,
    },
    envoy::Heard,
    event::{
        Capture, Event,
        loss::{Counters, Loss},
        socket::{Ended, Established, FirstBytes, Opened, Owner, Reset, SocketId},
        time::Time,
    },
    flow::{Flow, answer, end, hello::Reading, table::FlowTable},
    identity::{Identity, proxy},
    listener::{Destination, Exchange, Listeners},
    suspicion::{self, Suspect},
    update::{Behaviour, Connection, Outcome, Party, Role, Summary, Suspicion, Update},
    verdict::{self, Acceptor, Case, SentHello},
};

/// Bounds, and what is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Most flows that are kept at a time; the oldest goes first, and is counted.
    pub max_flows: usize,
    /// Most destinations of which is remembered what they speak.
    pub max_destinations: usize,
    /// Most findings that are kept at a time.
    pub max_findings: usize,
    /// Whether healthy connections are wanted too.
    pub connections: bool,
    /// Whether somebody takes the suspects, and arms for them.
    pub suspects: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_flows: 262_144,
            max_destinations: 65_536,
            max_findings: 4096,
            connections: false,
            suspects: false,
        }
    }
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
            Event::Began(began) => self.capture = began.capture,
            Event::Tick(_) => {}
            Event::Opened(opened) => self.opened(opened),
            Event::Established(established) => self.established(established),
            Event::Accepted(opened) => self.accepted(opened),
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
            Event::Counted(counters) => self.counted.clone_from(counters),
            Event::EnvoyLog(entry) => self.heard.logged(entry),
            Event::EnvoyClusters(seen) => self.heard.configured(seen),
        }
    }

    /// The source has ended: says what is still to be said.
    pub fn finish(&mut self, updates: &mut Vec<Update>) {
        self.incidents.finish(self.now, updates);
    }

    /// The suspects since the last call; none unless they are wanted.
    pub fn take_suspects(&mut self) -> Vec<Suspect> {
        std::mem::take(&mut self.suspects)
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
        let flow = Flow::begin(Role::Connector, opened, self.losses());
        self.joins.add_upstream(&flow);
        self.insert(flow);
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
        if let Some(listener) = self.listeners.owner_at(flow.owner.netns, flow.local) {
            flow.owner = Owner { cgroup: flow.owner.cgroup, netns: flow.owner.netns, ..listener.clone() };
        }
        if let Some(connecting) = self.joins.take_connecting_of(&flow)
            && let Some(client) = self.flows.get_mut(connecting)
        {
            client.peer = Some(peer(&flow));
            flow.peer = Some(peer(client));
            if client.is_intercepted() {
                self.joins.add_intercepted(&flow, client);
            }
        }
        self.insert(flow);
    }

    fn insert(&mut self, flow: Flow) {
        if let Some(evicted) = self.flows.insert(flow) {
            self.joins.remove(&evicted);
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

    /// A listener said its first bytes: that tells what it speaks, and that a client reaches it.
    fn answered(&mut self, socket: SocketId, updates: &mut Vec<Update>) {
        let Some(flow) = self.flows.get(socket) else { return };
        let Some(answer) = flow.answer.as_ref().filter(|_| !flow.is_intercepted()) else { return };
        let destination = destination(flow);
        let had_hello = !matches!(flow.hello, Reading::None);
        let guessed = answer.guess().map(|guess| guess.protocol);
        let protocol = guessed.or_else(|| flow.client_class.and_then(answer::client_protocol));
        let exchange = Exchange { time: answer.time, client: flow.client(), protocol };
        if answer.is_tls() {
            if had_hello {
                self.listeners.answered_tls(destination, exchange);
            }
        } else {
            self.listeners.answered_plaintext(destination, exchange);
        }
        let spoke_alike = if had_hello {
            answer.behaviour() == Behaviour::Tls
        } else {
            flow.client_class.is_some() && !answer.is_tls()
        };
        if spoke_alike && !flow.is_told_by_client() && !self.incidents.is_empty() {
            let (client, _) = self.parties(flow);
            let owner = (flow.role == Role::Connector).then_some(&flow.owner);
            let success =
                Success { client: &client, owner, server: flow.server(), exchange, was_tls: had_hello };
            self.incidents.succeeded(&success, updates);
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
        let suspicion = self.suspicion(&attempt, had_finding);
        if self.settings.connections || suspicion.is_some() {
            let (client, server) = self.parties(&flow);
            let connection =
                describe::connection(&flow, client, server, behaviour, outcome, ended.time, is_incomplete);
            updates.push(Update::Connection(Box::new(Connection { suspicion, ..connection })));
        }
        self.joins.remove(&flow);
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
                self.suspect(flow, time, true);
            }
            return None;
        }
        let is_proxy = self.is_proxy(&flow.owner);
        let suspicion = suspicion::of(&suspicion::End { role: flow.role, is_proxy, outcome, behaviour })?;
        self.suspect(flow, time, false);
        // A finding tells more.
        let is_news =
            !had_finding && self.unfollowed.is_news(flow.owner.netns, flow.server(), suspicion, time);
        is_news.then_some(suspicion)
    }

    fn suspect(&mut self, flow: &Flow, time: Time, had_hello: bool) {
        if self.settings.suspects {
            self.suspects.push(Suspect { time, cgroup: flow.owner.cgroup, had_hello });
        }
    }

    /// Judges an attempt from its client's end; from the accepting end only if that is all this node sees. Whether there
    /// was a finding.
    fn judge(&mut self, attempt: &Attempt<'_>, updates: &mut Vec<Update>) -> bool {
        let Attempt { flow, behaviour, outcome, time, is_incomplete } = *attempt;
        let Some(behaviour) = behaviour else { return false };
        if flow.is_told_by_client() || flow.is_intercepted() {
            return false;
        }
        let sent =
            flow.client_hello().and_then(|hello| Some(SentHello { hello, mesh: hello.mesh.as_ref()? }));
        if sent.is_none() && !self.may_be_hello(flow) {
            return false;
        }
        let (client, server) = self.parties(flow);
        let case = Case {
            time,
            client: &client,
            server: &server,
            hello: sent,
            answer: flow.answer.as_ref(),
            behaviour,
            outcome: Some(outcome),
            acceptor: acceptor(flow),
            knowledge: self.listeners.knowledge_of(destination(flow)),
        };
        let Some(judgement) = verdict::judge(&case) else { return false };
        let victim = self.joins.leg_of(flow.socket).map(|leg| describe::victim(leg, &self.identity));
        let finding = describe::finding(&case, judgement, victim, is_incomplete);
        let owner = (flow.role == Role::Connector).then_some(&flow.owner);
        self.incidents.failed(ClientKey::of(&client, owner), owner, finding, updates);
        true
    }

    /// A proxy's connect of which only the end was followed: what it sent was not looked at.
    fn may_be_hello(&self, flow: &Flow) -> bool {
        flow.is_end_only && flow.role == Role::Connector && self.is_proxy(&flow.owner)
    }

    fn is_proxy(&self, owner: &Owner) -> bool {
        proxy::is_proxy(owner) || self.identity.is_of_proxy(owner.cgroup)
    }

    /// The connecting and the listener's end, with all that is known of both.
    fn parties(&self, flow: &Flow) -> (Party, Party) {
        let peer = flow.peer.as_ref().map(|peer| &peer.owner);
        let (client_owner, server_owner) = match flow.role {
            Role::Acceptor => (peer, Some(&flow.owner)),
            Role::Connector | Role::Unknown => (Some(&flow.owner), peer),
        };
        (self.identity.party(flow.client(), client_owner), self.identity.party(flow.server(), server_owner))
    }
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

fn peer(flow: &Flow) -> crate::flow::Peer {
    crate::flow::Peer { local: flow.local, owner: flow.owner.clone() }
}

/// What a flow tells of, as others reach it.
fn destination(flow: &Flow) -> Destination {
    Destination { address: flow.server(), within: flow.is_local().then_some(flow.owner.netns) }
}

/// Who accepted, as far as this node sees it.
fn acceptor(flow: &Flow) -> Option<Acceptor<'_>> {
    match flow.role {
        Role::Acceptor => Some(Acceptor { owner: &flow.owner, port: flow.local.port() }),
        Role::Connector => {
            let peer = flow.peer.as_ref()?;
            Some(Acceptor { owner: &peer.owner, port: peer.local.port() })
        }
        Role::Unknown => None,
    }
}
