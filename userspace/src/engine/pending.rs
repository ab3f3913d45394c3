//! Findings wait a moment for what has to be looked up in the cluster, and are completed when it comes later. Pure.

use crate::{
    engine::{Engine, Trial, held::Held, incident::Key, judge::Judged, lookups::Answer},
    event::{
        ClusterChanged,
        cluster::{Change, Lookup, LookupFailure},
        envoy::ClustersSeen,
    },
    policy::host,
    update::{Finding, Update},
};

impl Engine {
    /// Says what is wrong with an attempt, or holds it until it is known who it is about. Whether something is wrong.
    pub(super) fn try_attempt(&mut self, trial: &Trial<'_>, updates: &mut Vec<Update>) -> bool {
        let judged = self.judged(trial);
        let has_finding = judged.is_some();
        let lookups = self.needed(trial, has_finding);
        let is_awaited = self.ask(&lookups);
        if is_awaited {
            let oldest = self.waiting.push(Held::new(trial, lookups));
            if let Some(oldest) = oldest {
                self.tell(oldest, updates);
            }
        } else if let Some(judged) = judged {
            let is_missing = lookups.iter().any(|lookup| self.lookups.answer(lookup) != Answer::Known);
            let held = is_missing.then(|| Held::new(trial, lookups.clone()));
            self.say(judged, &lookups, held, updates);
        }
        has_finding
    }

    /// What has to be looked up for an attempt: who its ends are, and the Service that its client means with all that is
    /// behind it. Nothing where nobody looks it up.
    fn needed(&self, trial: &Trial<'_>, has_finding: bool) -> Vec<Lookup> {
        let flow = trial.flow;
        let mesh = flow.client_hello().and_then(|hello| hello.mesh.as_ref());
        // Of others than meshes' clients, most failures are none of ours.
        let is_of_interest =
            has_finding || mesh.is_some() || (flow.is_end_only && self.is_proxy(&flow.owner));
        if !self.looks_up || !is_of_interest {
            return Vec::new();
        }
        let named = mesh.and_then(|mesh| host::service(mesh.host.as_deref()?));
        let service = named.map(|(name, namespace)| (namespace.into(), name.into())).or_else(|| {
            let service = self.identity.service(flow.server())?;
            Some((service.namespace.clone(), service.name.clone()))
        });
        let (client, server) = Self::owners(flow);
        let is_known = |address, owner| self.identity.pod(address, owner, flow.opened).is_some();
        let mut needed = Vec::new();
        let address = flow.server().ip();
        if service.is_some() || !is_known(address, server) {
            needed.push(Lookup { address, service });
        }
        let address = flow.client().ip();
        if !is_known(address, client) {
            needed.push(Lookup { address, service: None });
        }
        needed.retain(|lookup| !lookup.address.is_loopback() && !lookup.address.is_unspecified());
        needed
    }

    /// Whether somebody is still to answer.
    fn ask(&mut self, lookups: &[Lookup]) -> bool {
        let mut is_awaited = false;
        for lookup in lookups {
            is_awaited |= self.lookups.ask(lookup, self.now) == Answer::Awaited;
        }
        is_awaited
    }

    /// Objects of the cluster came, changed and went.
    pub(super) fn cluster_changed(&mut self, changed: &ClusterChanged, updates: &mut Vec<Update>) {
        let mut has_answer = false;
        for change in &changed.changes {
            self.identity.change(change, changed.time);
            if let Change::LookedUp(looked_up) = change {
                self.lookups.answered(looked_up, changed.time);
                has_answer = true;
            }
        }
        if has_answer {
            self.tell_held(false, updates);
        }
    }

    /// Time passed: what has waited long enough and what was not counted yet is said, and what is missing is asked for again.
    pub(super) fn tick(&mut self, updates: &mut Vec<Update>) {
        if self.waiting.has_due(self.now) {
            self.tell_held(false, updates);
        }
        self.incidents.tick(self.now, updates);
        self.lookups.ask_again(self.waiting.missing(), self.now);
    }

    /// Says what is held and waits for nothing any more; `is_last`: whatever it waits for.
    pub(super) fn tell_held(&mut self, is_last: bool, updates: &mut Vec<Update>) {
        let (now, lookups) = (self.now, &self.lookups);
        let ready = self.waiting.take_ready(now, |held| {
            let mut answers = held.lookups.iter().map(|lookup| lookups.answer(lookup));
            match held.said {
                Some(_) => answers.all(|answer| answer == Answer::Known),
                None => is_last || held.is_due(now) || answers.all(|answer| answer != Answer::Awaited),
            }
        });
        for held in ready {
            self.tell(held, updates);
        }
    }

    /// Judges an attempt again that was held.
    fn tell(&mut self, mut held: Held, updates: &mut Vec<Update>) {
        held.is_of_proxy(|flow| self.is_proxy(&flow.owner));
        let Some(mut judged) = self.judged(&held.trial()) else { return };
        judged.finding.time = self.now;
        let lookups = held.lookups.clone();
        self.say(judged, &lookups, Some(held), updates);
    }

    /// The configuration of an Envoy became known: what was said without may have another cause now, and is completed then.
    pub(super) fn configured(&mut self, seen: &ClustersSeen, updates: &mut Vec<Update>) {
        self.heard.configured(seen);
        for (said, mut held) in self.incidents.take_configured(&self.heard) {
            let judged = self.judged(&held.trial()).filter(|judged| Key::of(judged) != said);
            let Some(mut judged) = judged else { continue };
            judged.finding.time = self.now;
            self.waiting.forget(&said);
            let lookups = self.needed(&held.trial(), true);
            (held.lookups, held.said) = (lookups.clone(), Some(said));
            self.say(judged, &lookups, Some(held), updates);
        }
        self.incidents.heard(&self.heard, self.now, updates);
    }

    /// Says it; what is missing is said too, and the attempt held to complete it.
    fn say(&mut self, mut judged: Judged, lookups: &[Lookup], held: Option<Held>, updates: &mut Vec<Update>) {
        let missing = self.missing(&judged.finding, lookups);
        let is_missing = !missing.is_empty();
        judged.finding.evidence.extend(missing);
        let earlier = held.as_ref().and_then(|held| held.said.clone());
        let key = match earlier {
            Some(earlier) => self.incidents.completed(&earlier, judged, self.now, updates),
            None => self.incidents.failed(judged, updates),
        };
        if let Some(mut held) = held.filter(|_| is_missing) {
            held.said = Some(key);
            // One that has to go for it was said.
            drop(self.waiting.push(held));
        }
    }

    /// A sentence for each thing that is not known because it could not be looked up.
    fn missing(&self, finding: &Finding, lookups: &[Lookup]) -> Vec<Box<str>> {
        let mut sentences = Vec::new();
        for lookup in lookups {
            let why = match self.lookups.answer(lookup) {
                Answer::Known => continue,
                Answer::Awaited => LookupFailure::Unreachable,
                Answer::Failed(failure) => failure,
            };
            let parties = [&finding.client, &finding.server];
            let is_nameless =
                parties.iter().any(|party| party.address.ip() == lookup.address && party.pod.is_none());
            if is_nameless {
                let address = lookup.address;
                sentences.push(format!("not known: which pod has {address}; {}", why.text()).into());
            }
            if let Some((namespace, name)) = &lookup.service {
                sentences.push(
                    format!(
                        "not known: the Service {namespace}/{name} and the pods behind it; {}",
                        why.text()
                    )
                    .into(),
                );
            }
        }
        sentences
    }
}
