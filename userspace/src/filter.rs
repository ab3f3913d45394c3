//! What of the updates was asked for, and the count of what was not; must not know sinks' formats or where updates come from.

use std::collections::BTreeSet;

use crate::{
    sink::Accounting,
    update::{Party, Summary, Update},
};

/// Findings that were left out are told apart up to this many; with more at a time, repetitions count as new.
const HIDDEN_MAX: usize = 65_536;

/// Which updates are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Connections too, not only what is wrong with them.
    pub connections: bool,
    /// Only what has an end in one of these; all if there are none.
    pub namespaces: Vec<String>,
    /// Only what has one of these as an end, by name or `NAMESPACE/NAME`; all if there are none.
    pub pods: Vec<String>,
}

impl Selection {
    /// Only some pods are asked for.
    pub fn is_of_pods(&self) -> bool {
        !(self.namespaces.is_empty() && self.pods.is_empty())
    }

    /// Connections are shown, or counted when they are left out.
    pub fn needs_connections(&self) -> bool {
        self.connections || self.is_of_pods()
    }

    /// One end is both in a namespace and a pod that were asked for.
    fn has(&self, party: &Party) -> bool {
        let namespace = party.namespace.as_deref();
        let in_namespace = |wanted: &String| namespace == Some(wanted);
        let is_pod = |wanted: &String| match wanted.split_once('/') {
            Some((wanted_namespace, pod)) => {
                namespace == Some(wanted_namespace) && party.pod.as_deref() == Some(pod)
            }
            None => party.pod.as_deref() == Some(wanted),
        };
        (self.namespaces.is_empty() || self.namespaces.iter().any(in_namespace))
            && (self.pods.is_empty() || self.pods.iter().any(is_pod))
    }
}

/// Lets through what was asked for, and counts the rest.
#[derive(Debug)]
pub struct Filter {
    selection: Selection,
    hidden_connections: u64,
    hidden_before: u64,
    hidden_findings: u64,
    hidden_resolved: u64,
    /// Numbers of incidents.
    hidden: BTreeSet<u64>,
}

impl Filter {
    /// A filter for this selection.
    pub fn new(selection: Selection) -> Self {
        Self {
            selection,
            hidden_connections: 0,
            hidden_before: 0,
            hidden_findings: 0,
            hidden_resolved: 0,
            hidden: BTreeSet::new(),
        }
    }

    /// The update is asked for.
    pub fn passes(&mut self, update: &Update) -> bool {
        let (client, server) = match update {
            Update::Connection(connection) => (&connection.client, &connection.server),
            Update::Finding(finding) => (&finding.client, &finding.server),
            Update::Resolved(resolved) => (&resolved.client, &resolved.server),
        };
        let is_selected =
            !self.selection.is_of_pods() || self.selection.has(client) || self.selection.has(server);
        if !is_selected {
            self.count(update);
        }
        let is_healthy = matches!(update, Update::Connection(connection) if connection.suspicion.is_none());
        is_selected && (self.selection.connections || !is_healthy)
    }

    fn count(&mut self, update: &Update) {
        match update {
            Update::Connection(connection) if connection.began_before => self.hidden_before += 1,
            Update::Connection(_) => self.hidden_connections += 1,
            Update::Finding(finding) => {
                if self.hidden.insert(finding.incident) {
                    self.hidden_findings += 1;
                }
                if self.hidden.len() > HIDDEN_MAX {
                    self.hidden.pop_first();
                }
            }
            Update::Resolved(resolved) => {
                self.hidden.remove(&resolved.incident);
                self.hidden_resolved += 1;
            }
        }
    }

    /// The accounting of what was asked for.
    pub fn account(&self, summary: Summary) -> Accounting {
        let whole = Accounting::from(summary);
        Accounting {
            reported: whole.reported.saturating_sub(self.hidden_connections),
            filtered: whole.filtered + self.hidden_connections,
            began_before: whole.began_before.saturating_sub(self.hidden_before),
            findings: whole.findings.saturating_sub(self.hidden_findings),
            resolved: whole.resolved.saturating_sub(self.hidden_resolved),
            ..whole
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, Selection};
    use crate::{
        sink::samples,
        update::{Connection, Finding, Party, Summary, Update},
    };

    fn selection(namespaces: &[&str], pods: &[&str]) -> Selection {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Selection { connections: true, namespaces: owned(namespaces), pods: owned(pods) }
    }

    #[test]
    fn either_end_may_be_the_one_that_was_asked_for() {
        let other = Party { namespace: Some("other".into()), ..samples::client() };
        let unknown = Party::at(samples::address("192.0.2.1:1"));
        for (namespaces, pods, client, passes) in [
            (&[] as &[&str], &[] as &[&str], &unknown, true),
            (&["default"], &[], &other, true),
            (&["other"], &[], &other, true),
            (&["other", "third"], &[], &other, true),
            (&["third"], &[], &other, false),
            (&[], &["redis-0"], &unknown, true),
            (&[], &["redis"], &unknown, false),
            (&[], &["default/redis-0"], &unknown, true),
            (&[], &["other/redis-0"], &unknown, false),
            (&["default"], &["redis-0"], &other, true),
            (&["other"], &["redis-0"], &other, false),
        ] {
            let update =
                Update::Connection(Box::new(Connection { client: client.clone(), ..samples::connection() }));
            let mut filter = Filter::new(selection(namespaces, pods));
            assert_eq!(filter.passes(&update), passes, "{namespaces:?} {pods:?} {client:?}");
        }
    }

    #[test]
    fn connections_that_are_not_shown_are_reported_all_the_same() {
        let mut filter = Filter::new(Selection::default());
        assert!(!filter.passes(&Update::Connection(Box::new(samples::connection()))));
        assert!(filter.passes(&Update::Finding(Box::new(samples::finding()))));
        let summary = Summary { seen: 1, reported: 1, findings: 1, ..Summary::default() };
        let accounting = filter.account(summary);
        assert_eq!((accounting.reported, accounting.filtered, accounting.findings), (1, 0, 1));
    }

    #[test]
    fn what_is_left_out_is_counted_and_the_numbers_still_add_up() {
        let mut filter = Filter::new(selection(&["elsewhere"], &[]));
        let before = Connection { began_before: true, ..samples::connection() };
        let again = Finding { count: 2, ..samples::finding() };
        for update in [
            Update::Connection(Box::new(samples::connection())),
            Update::Connection(Box::new(before)),
            Update::Finding(Box::new(samples::finding())),
            Update::Finding(Box::new(again)),
            Update::Resolved(Box::new(samples::resolved())),
        ] {
            assert!(!filter.passes(&update), "{update:?}");
        }
        let summary = Summary {
            seen: 7,
            reported: 4,
            own: 2,
            open: 1,
            began_before: 3,
            findings: 2,
            resolved: 1,
            ..Summary::default()
        };
        let accounting = filter.account(summary);
        assert_eq!((accounting.reported, accounting.filtered, accounting.open), (3, 3, 1));
        assert_eq!((accounting.began_before, accounting.findings, accounting.resolved), (2, 1, 0));
        assert_eq!(accounting.seen, accounting.reported + accounting.filtered + accounting.open);
    }
}
