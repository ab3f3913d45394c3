//! From updates to what Events say and when; must not know how they are posted, nor any clock but the one that it is told. Pure,
//! bounded.

use std::{collections::BTreeSet, hash::Hasher as _};

use rustc_hash::{FxHashMap, FxHasher};

use crate::{
    event::time::{SECOND_NS, Time},
    sink::kube_events::{
        about::Trouble,
        announcement::{Announcement, Object, Severity},
        note,
        pace::{Budget, Pauses, is_due},
    },
    update::{Code, Confidence, Finding, Resolved, Update},
};

/// What is announced, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the node.
    pub node: Box<str>,
    /// Findings that are less sure are not announced.
    pub least: Confidence,
    /// At most so many announcements go out in a minute.
    pub per_minute: u32,
    /// At most so many Events are kept in mind.
    pub limit: usize,
}

impl Settings {
    /// What suits a node: nothing that is only possible, because an Event that is wrong costs the trust in all of them; and
    /// no more than an API server takes from thousands of nodes. What is kept in mind is half of what a hash table can hold,
    /// so that it never grows while Events come and go.
    pub fn of_node(node: &str) -> Self {
        Self { node: node.into(), least: Confidence::Likely, per_minute: 20, limit: 896 }
    }
}

/// What nothing was heard of for this long is forgotten: the API server has forgotten it as well.
const FORGOTTEN_AFTER_NS: u64 = 3600 * SECOND_NS;

/// How often it is looked for what is to be forgotten.
const SWEEP_NS: u64 = 60 * SECOND_NS;

/// Turns findings and resolutions into announcements.
#[derive(Debug)]
pub struct Announcer {
    settings: Settings,
    budget: Budget,
    events: FxHashMap<Box<str>, Kept>,
    /// Those that have something to say, by when they may.
    due: BTreeSet<(Time, Box<str>)>,
    swept: Time,
    dropped: u64,
}

/// An incident as updates tell it: the time of the first failure stays the same as long as it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Incident {
    first_seen: Time,
    code: Code,
    cause: &'static str,
}

/// An Event that was or is to be announced.
#[derive(Debug)]
struct Kept {
    announcement: Announcement,
    incident: Incident,
    pauses: Pauses,
    /// When it may be announced; at once at first.
    not_before: Time,
    /// When it is in line for.
    due: Option<Time>,
    /// When something was heard of it.
    heard: Time,
}

/// Something that an Event says.
struct Saying<'a> {
    incident: Incident,
    severity: Severity,
    note: String,
    trouble: Trouble<'a>,
    at: Time,
    first_seen: Time,
    last_seen: Time,
}

impl Announcer {
    /// Announces nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            budget: Budget::new(settings.per_minute),
            settings,
            events: FxHashMap::default(),
            due: BTreeSet::new(),
            swept: Time::default(),
            dropped: 0,
        }
    }

    /// Takes an update.
    pub fn update(&mut self, update: &Update) {
        match update {
            Update::Connection(_) => {}
            Update::Finding(finding) => self.found(finding),
            Update::Resolved(resolved) => self.resolved(resolved),
        }
    }

    /// The next announcement that may go out, if there is one. It counts as gone.
    pub fn next(&mut self, now: Time) -> Option<Announcement> {
        self.sweep(now);
        let (due, _) = self.due.first()?;
        if !is_due(*due, now) || !self.budget.has_left(now) {
            return None;
        }
        let (_, name) = self.due.pop_first()?;
        let kept = self.events.get_mut(&name)?;
        self.budget.spend(now);
        kept.due = None;
        kept.not_before = kept.pauses.announced(now);
        let announcement = kept.announcement.clone();
        kept.announcement.is_new = false;
        Some(announcement)
    }

    /// Nothing more comes: what is left to say may go out now.
    pub fn hurry(&mut self, now: Time) {
        for (_, name) in std::mem::take(&mut self.due) {
            if let Some(kept) = self.events.get_mut(&name) {
                kept.announcement.is_final = true;
                kept.due = Some(now);
                self.due.insert((now, name));
            }
        }
    }

    /// Events that were never announced, or not with all that they had to say, because there were too many.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Events that have something to say, and may not yet.
    pub fn waiting(&self) -> u64 {
        u64::try_from(self.due.len()).unwrap_or(u64::MAX)
    }

    fn found(&mut self, finding: &Finding) {
        let Finding {
            time,
            code,
            confidence,
            ref cause,
            ref client,
            ref server,
            count,
            first_seen,
            last_seen,
            ..
        } = *finding;
        if confidence < self.settings.least {
            return;
        }
        let saying = Saying {
            incident: Incident { first_seen, code, cause: cause.code },
            severity: Severity::Warning,
            note: note::of_finding(finding),
            trouble: Trouble { code, cause: cause.code, client, server },
            at: time,
            first_seen,
            last_seen,
        };
        for (regarding, related) in saying.trouble.objects() {
            let kept = self.keep(&saying, regarding, related);
            let told = &mut kept.announcement;
            let has_more = told.is_new || count > told.count || last_seen > told.last_seen;
            told.count = told.count.max(count);
            told.last_seen = told.last_seen.max(last_seen);
            told.is_final = false;
            kept.heard = time;
            let (name, not_before) = (told.name.clone(), kept.not_before);
            if has_more {
                self.enqueue(&name, not_before.max(time));
            }
        }
    }

    fn resolved(&mut self, resolved: &Resolved) {
        let Resolved { time, code, ref cause, ref client, ref server, count, first_seen, last_seen, .. } =
            *resolved;
        let incident = Incident { first_seen, code, cause: cause.code };
        let saying = Saying {
            incident,
            severity: Severity::Normal,
            note: note::of_resolved(resolved),
            trouble: Trouble { code, cause: cause.code, client, server },
            at: time,
            first_seen: time,
            last_seen: time,
        };
        for (name, regarding, related) in self.warned(incident) {
            self.ended(&name, count, last_seen, time);
            let kept = self.keep(&saying, regarding, related);
            let told = &mut kept.announcement;
            told.count += 1;
            told.last_seen = told.last_seen.max(time);
            kept.heard = time;
            let (name, not_before) = (told.name.clone(), kept.not_before);
            self.enqueue(&name, not_before.max(time));
        }
    }

    /// What was said to be wrong: the objects about which there are warnings of an incident.
    fn warned(&self, incident: Incident) -> Vec<(Box<str>, Object, Option<Object>)> {
        let of_incident = |kept: &&Kept| {
            kept.incident == incident
                && kept.announcement.severity == Severity::Warning
                && !kept.announcement.is_final
        };
        let told = self.events.values().filter(of_incident).map(|kept| &kept.announcement);
        let mut warned: Vec<_> =
            told.map(|told| (told.name.clone(), told.regarding.clone(), told.related.clone())).collect();
        warned.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        warned
    }

    /// The last word of a warning: said at once, if there is more to say than was said.
    fn ended(&mut self, name: &str, count: u64, last_seen: Time, now: Time) {
        let Some(kept) = self.events.get_mut(name) else { return };
        let told = &mut kept.announcement;
        let has_more = kept.due.is_some() || count > told.count || last_seen > told.last_seen;
        told.count = told.count.max(count);
        told.last_seen = told.last_seen.max(last_seen);
        told.is_final = true;
        kept.heard = now;
        if has_more {
            self.enqueue(name, now);
        }
    }

    /// The Event that says this of an object, kept from now on.
    fn keep(&mut self, saying: &Saying<'_>, regarding: Object, related: Option<Object>) -> &mut Kept {
        let name: Box<str> = saying.trouble.name(&regarding, saying.severity).into();
        if !self.events.contains_key(&name) {
            self.make_room();
        }
        let pauses = Pauses::new(chance(&self.settings.node, &name));
        let kept = self.events.entry(name.clone()).or_insert_with(|| Kept {
            announcement: Announcement {
                name,
                regarding,
                related,
                severity: saying.severity,
                reason: saying.severity.reason(saying.trouble.code).into(),
                note: saying.note.as_str().into(),
                first_seen: saying.first_seen,
                last_seen: saying.last_seen,
                count: 0,
                is_new: true,
                is_final: false,
            },
            incident: saying.incident,
            pauses,
            not_before: saying.at,
            due: None,
            heard: saying.at,
        });
        // The same trouble again, after the core had forgotten it.
        kept.incident = saying.incident;
        kept
    }

    /// In line for that time, or for an earlier one that it is in line for already.
    fn enqueue(&mut self, name: &str, due: Time) {
        let Some(kept) = self.events.get_mut(name) else { return };
        let due = kept.due.map_or(due, |earlier| earlier.min(due));
        if let Some(before) = kept.due.replace(due) {
            self.due.remove(&(before, name.into()));
        }
        self.due.insert((due, name.into()));
    }

    fn make_room(&mut self) {
        if self.events.len() < self.settings.limit.max(1) {
            return;
        }
        let quietest = self.events.iter().min_by_key(|(name, kept)| (kept.heard, *name));
        if let Some(name) = quietest.map(|(name, _)| name.clone()) {
            self.forget(&name);
        }
    }

    fn sweep(&mut self, now: Time) {
        if now.since_ns(self.swept) < SWEEP_NS {
            return;
        }
        self.swept = now;
        let is_quiet = |kept: &Kept| kept.due.is_none() && now.since_ns(kept.heard) >= FORGOTTEN_AFTER_NS;
        self.events.retain(|_, kept| !is_quiet(kept));
    }

    fn forget(&mut self, name: &str) {
        if let Some(due) = self.events.remove(name).and_then(|kept| kept.due) {
            self.dropped += 1;
            self.due.remove(&(due, name.into()));
        }
    }
}

/// Another number for another node or Event, and the same for the same.
fn chance(node: &str, name: &str) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(node.as_bytes());
    hasher.write(name.as_bytes());
    hasher.finish()
}
