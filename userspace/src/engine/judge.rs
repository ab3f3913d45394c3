//! From an attempt that has ended to a finding: everything known of it is put together for the verdict. Pure.

use crate::{
    attempt::{Leg, Passing},
    engine::{Attempt, Engine, Trial, acceptor_of, describe, destination, held::Held, incident::ClientKey},
    envoy::{attempt as envoy, question::Question},
    event::socket::Owner,
    flow::{Flow, Said, answer::Answer},
    policy::Declared,
    update::{Behaviour, Finding, Role, Update},
    verdict::{
        self,
        case::{Case, LegSeen, PassedOn, SentHello},
        mtls_rejected, server_first_deadlock,
    },
};

impl Engine {
    /// Judges an attempt from its client's end; from the accepting end only if that is all this node sees. Whether there
    /// was a finding.
    pub(super) fn judge(&mut self, attempt: &Attempt<'_>, updates: &mut Vec<Update>) -> bool {
        if attempt.flow.is_told_by_client()
            || attempt.flow.began_before
            || self.is_passed_through(attempt.flow)
        {
            return false;
        }
        let behaviour = self.suspect_behaviour(attempt);
        let had_finding = behaviour.is_some_and(|behaviour| self.judge_as(attempt, behaviour, None, updates));
        if !had_finding && behaviour == Some(Behaviour::Tls) {
            // What the app got from it tells more, once the app's own connection has ended too.
            self.joins.keep_for_leg(attempt.flow, attempt.outcome);
        }
        had_finding | self.judge_served(attempt, updates)
    }

    /// What the listener did, if anything of the attempt may be wrong: told from little, because most attempts are healthy.
    fn suspect_behaviour(&self, attempt: &Attempt<'_>) -> Option<Behaviour> {
        let Attempt { flow, behaviour, outcome, .. } = *attempt;
        let Some(behaviour) = behaviour else {
            return server_first_deadlock::may_be(outcome).then_some(Behaviour::Silent);
        };
        let is_failed = !matches!(behaviour, Behaviour::Tls | Behaviour::TlsAlert);
        let serves_leg = || self.joins.leg_of(flow.socket).is_some();
        let may_be_wrong = match (flow.client_hello(), flow.client_class) {
            (Some(hello), _) if hello.mesh.is_some() => {
                is_failed || mtls_rejected::may_be(hello.wire_bytes, behaviour, outcome)
            }
            (Some(_), _) => is_failed || serves_leg(),
            (None, Some(_)) => matches!(behaviour, Behaviour::Reset | Behaviour::Closed),
            (None, None) => self.may_be_hello(flow),
        };
        may_be_wrong.then_some(behaviour)
    }

    /// A proxy's connect of which only the end was followed: what it sent was not looked at.
    fn may_be_hello(&self, flow: &Flow) -> bool {
        flow.is_end_only && flow.role == Role::Connector && self.is_proxy(&flow.owner)
    }

    /// Judges the ended connection that a sidecar had opened for this one, now that both are known to their ends.
    fn judge_served(&mut self, leg: &Attempt<'_>, updates: &mut Vec<Update>) -> bool {
        let Some((flow, outcome)) = self.joins.take_kept(leg.flow.socket).map(|kept| *kept) else {
            return false;
        };
        let Some(behaviour) = flow.answer.as_ref().map(Answer::behaviour) else { return false };
        let ended_leg = Leg { said: Some(leg.flow.said(Some(leg.outcome))), ..Leg::of(leg.flow) };
        let attempt = Attempt { flow: &flow, outcome: &outcome, behaviour: Some(behaviour), ..*leg };
        self.judge_as(&attempt, behaviour, Some(ended_leg), updates)
    }

    /// `ended_leg`: the leg that it had served, if that ends now.
    fn judge_as(
        &mut self,
        attempt: &Attempt<'_>,
        behaviour: Behaviour,
        ended_leg: Option<Leg>,
        updates: &mut Vec<Update>,
    ) -> bool {
        let Attempt { flow, outcome, time, is_incomplete, .. } = *attempt;
        let leg = ended_leg.or_else(|| self.joins.leg_of(flow.socket).cloned());
        let leg = leg.map(|leg| Leg { said: Some(self.said_on(&leg)), ..leg });
        let (leg, passed_on) = (leg.as_ref(), self.passed_on(flow));
        self.try_attempt(&Trial { flow, outcome, behaviour, time, is_incomplete, leg, passed_on }, updates)
    }

    /// What there is to say of an attempt, by all that is known now.
    pub(super) fn judged(&self, trial: &Trial<'_>) -> Option<Judged> {
        let Trial { flow, outcome, behaviour, time, is_incomplete, leg, passed_on } = *trial;
        let (client, server) = self.parties(flow);
        let hello = flow.client_hello();
        let asked = envoy::Attempt::of(flow, time, leg.map(|leg| leg.local), &client, &server);
        let word = self.heard.word_of(&asked);
        let case = Case {
            time,
            client: &client,
            server: &server,
            is_from_proxy: is_from_proxy(flow),
            is_taken_over: flow.is_intercepted() && flow.peer.as_ref().is_some_and(|peer| peer.is_of_proxy),
            is_end_only: flow.is_end_only,
            hello: hello.and_then(|hello| Some(SentHello { hello, mesh: hello.mesh.as_ref()? })),
            plain_hello: hello.filter(|hello| hello.mesh.is_none()),
            client_class: flow.client_class,
            answer: flow.answer.as_ref(),
            behaviour,
            outcome: Some(outcome),
            acceptor: acceptor_of(flow),
            passed_on,
            leg: leg.and_then(|leg| leg.said.as_ref()).map(leg_seen),
            knowledge: self.listeners.knowledge_of(destination(flow)),
            declared: self.declared(flow),
            word,
        };
        let judgement = verdict::judge(&case)?;
        let question = Question::new(asked, case.seen(), judgement.code, word);
        let victim = leg.map(|leg| describe::victim(leg, &self.identity));
        let mut finding = describe::finding(&case, judgement, victim, is_incomplete);
        let (client_owner, server_owner) = Self::owners(flow);
        self.identity.add_details(&mut finding.client, client_owner, flow.opened);
        self.identity.add_details(&mut finding.server, server_owner, flow.opened);
        let owner = (flow.role == Role::Connector).then(|| flow.owner.clone());
        let unconfigured = word.cluster.is_none().then(|| Box::new(Held::new(trial, Vec::new())));
        Some(Judged {
            client: ClientKey::of(&client, owner.as_ref()),
            owner,
            finding,
            question,
            unconfigured,
        })
    }

    pub(super) fn said_on(&self, leg: &Leg) -> Said {
        let live = || self.flows.get(leg.socket).map(|flow| flow.said(None));
        leg.said.clone().or_else(live).unwrap_or_default()
    }

    fn passed_on(&self, flow: &Flow) -> PassedOn {
        let upstream = match self.joins.passing(flow, self.identity.knows_goal(flow.remote)) {
            Passing::Done(upstream) => upstream,
            Passing::Not => return PassedOn::Nothing,
            Passing::Unknown => return PassedOn::Unknown,
        };
        let passed = self.flows.get(upstream).and_then(Flow::client_hello);
        match (flow.client_hello(), passed) {
            (Some(sent), Some(passed)) if sent.content == passed.content => PassedOn::Hello,
            _ => PassedOn::Something,
        }
    }

    /// A proxy passes on a mesh's hello as it came: that is judged where it came from.
    fn is_passed_through(&self, flow: &Flow) -> bool {
        let Some(hello) = flow.client_hello().filter(|hello| hello.mesh.is_some()) else { return false };
        let came = self.joins.leg_of(flow.socket).and_then(|leg| self.said_on(leg).hello);
        came.is_some_and(|came| came.content == hello.content)
    }

    fn declared<'a>(&'a self, flow: &'a Flow) -> Declared<'a> {
        let (client, server) = Self::owners(flow);
        let target = flow.server();
        Declared::of(
            self.identity.objects(),
            self.identity.pod(flow.client().ip(), client, flow.opened),
            self.identity.pod(target.ip(), server, flow.opened),
            self.identity.service(target),
            target,
            flow.client_hello().and_then(|hello| hello.mesh.as_ref()),
        )
    }
}

/// What is to be said of an attempt, and whose it is.
pub(super) struct Judged {
    pub(super) client: ClientKey,
    /// Whose the connecting socket is, when it is on this node.
    pub(super) owner: Option<Owner>,
    pub(super) finding: Finding,
    pub(super) question: Question,
    /// The attempt, if the configuration of its proxy is not known.
    pub(super) unconfigured: Option<Box<Held>>,
}

fn is_from_proxy(flow: &Flow) -> bool {
    match flow.role {
        Role::Acceptor => flow.peer.as_ref().is_some_and(|peer| peer.is_of_proxy),
        Role::Connector | Role::Unknown => flow.is_of_proxy,
    }
}

fn leg_seen(said: &Said) -> LegSeen<'_> {
    LegSeen {
        hello: said.hello.as_deref(),
        client_class: said.client_class,
        answer: said.answer,
        end: said.end,
    }
}
