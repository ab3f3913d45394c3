//! Findings, failed connections and the agent's own health as metrics for Prometheus; must not know who scrapes them.

pub mod definition;
mod family;
mod findings;
pub mod health;
mod text;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use family::Limits;
pub use text::Form;

use crate::{
    event::time::Time,
    sink::{
        Accounting, Sink,
        metrics::{
            definition::{FAILED_CONNECTIONS, FINDINGS_ACTIVE, SERIES_OVERFLOW},
            family::{Family, Value},
            findings::{Findings, known_or_empty},
            health::Health,
            text::Snapshot,
        },
    },
    update::{Behaviour, Connection, EndedHow, Role, Update, suspicion::Suspicion},
};

/// All metrics. Clones are of the same: one is a sink, another is scraped.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Mutex<Numbers>>);

#[derive(Debug)]
struct Numbers {
    findings: Findings,
    failed_connections: Family,
    health: Health,
    now: Time,
}

impl Metrics {
    /// Nothing was counted yet.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(Numbers {
            findings: Findings::new(limits),
            failed_connections: Family::new(&FAILED_CONNECTIONS, limits),
            health: Health::default(),
            now: Time::default(),
        })))
    }

    /// Takes how the agent is now, and forgets series that were quiet.
    pub fn health(&self, health: Health) {
        let mut numbers = self.lock();
        numbers.now = health.time;
        numbers.findings.expire(health.time);
        numbers.failed_connections.expire(health.time);
        numbers.health = health;
    }

    /// Everything as text. Whoever counts waits only while numbers are copied, not while they are written.
    pub fn text(&self, form: Form) -> String {
        let snapshot = self.lock().snapshot();
        snapshot.text(form)
    }

    /// Numbers that a panicking thread left are still numbers.
    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Metrics {
    fn update(&mut self, update: &Update) -> io::Result<()> {
        let mut numbers = self.lock();
        match update {
            Update::Finding(finding) => numbers.findings.found(finding),
            Update::Resolved(resolved) => numbers.findings.over(resolved),
            Update::Connection(connection) => numbers.connection(connection),
        }
        Ok(())
    }

    fn account(&mut self, _: &Accounting) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Numbers {
    fn connection(&mut self, connection: &Connection) {
        // The other end would count it again.
        let Some(reason) = reason(connection).filter(|_| connection.role == Role::Connector) else { return };
        let Connection { client, server, .. } = connection;
        let ends = [&client.namespace, &client.workload, &server.namespace, &server.workload];
        let labels =
            [Box::from(reason)].into_iter().chain(ends.map(|name| known_or_empty(name.as_deref()))).collect();
        self.failed_connections.add(labels, 1, connection.time);
    }

    fn snapshot(&self) -> Snapshot {
        let families = [&self.findings.failed, &self.findings.resolved, &self.failed_connections];
        let overflowed = families.iter().map(|family| family.overflowed()).sum();
        let mut series: Vec<_> =
            families.iter().map(|family| (family.definition(), family.samples())).collect();
        series.insert(1, (&FINDINGS_ACTIVE, self.findings.active(self.now)));
        series.extend(self.health.series());
        series.push((&SERIES_OVERFLOW, health::one(Value::Count(overflowed))));
        Snapshot(series)
    }
}

/// Why a connection failed, if it did: what the listener did, or what makes its end suspect, or how it ended. One that was closed in
/// peace did not fail, whatever was said on it: that is what findings are for.
fn reason(connection: &Connection) -> Option<&'static str> {
    let Connection { listener, suspicion, outcome, .. } = connection;
    if suspicion.is_none() && !outcome.is_failure() {
        return None;
    }
    let behaviour = listener.behaviour.filter(|behaviour| {
        !matches!(behaviour, Behaviour::Tls | Behaviour::Plaintext | Behaviour::SpokeFirst)
    });
    let done = behaviour.map(Behaviour::name).or(suspicion.map(Suspicion::name));
    done.or(Some(match outcome.how {
        EndedHow::Reset => Behaviour::Reset.name(),
        how => how.name(),
    }))
}

#[cfg(test)]
mod tests;
