//! Log entries of the last while, and which of them is of an attempt. Pure, bounded.

use std::{collections::VecDeque, net::SocketAddr};

use crate::{
    envoy::attempt::Attempt,
    event::{
        envoy::LogEntry,
        time::{MILLISECOND_NS, Time},
    },
};

/// Most entries that are kept: failures only, and those of attempts that are over are of no use.
const ENTRIES_MAX: usize = 4096;

/// By how much the times of an entry may miss those of its attempt: they are cut to milliseconds, and an entry is made while its
/// sockets are closed.
const TOLERANCE_NS: u64 = 250 * MILLISECOND_NS;

/// Entries, oldest first.
#[derive(Debug, Default)]
pub(super) struct Entries(VecDeque<LogEntry>);

/// How well an entry fits an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// The same pod connected to the same destination in that time.
    Near,
    /// One of its connections is that of the attempt, by address and port.
    Exact,
}

impl Entries {
    pub(super) fn add(&mut self, entry: LogEntry) {
        if self.0.len() >= ENTRIES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    /// The entry that fits best; of several that fit as well the one whose end is nearest.
    pub(super) fn of(&self, attempt: &Attempt) -> Option<&LogEntry> {
        let fitting = self.0.iter().filter_map(|entry| Some((fit(entry, attempt)?, entry)));
        fitting
            .max_by_key(|(fit, entry)| (*fit, std::cmp::Reverse(entry.ended().0.abs_diff(attempt.ended.0))))
            .map(|(_, entry)| entry)
    }
}

/// Of a client's sidecar: the upstream host is the destination, and the downstream end the app's. Of a server's: its downstream ends
/// are both ends of the attempt.
///
/// A proxy connects after its entry begins and before it ends; a request with retries is one entry for several attempts. The end of a
/// socket may come long after (a listener that does not close in its turn), so that it is not asked for.
fn fit(entry: &LogEntry, attempt: &Attempt) -> Option<Fit> {
    if !is_in_time(entry, attempt) {
        return None;
    }
    if entry.downstream_remote == Some(attempt.client) && entry.downstream_local == Some(attempt.server) {
        return Some(Fit::Exact);
    }
    let is_there = entry.upstream_host == Some(attempt.server)
        || (entry.upstream_host.is_none()
            && entry.upstream_cluster.is_some()
            && entry.upstream_cluster == attempt.cluster);
    if !is_there {
        return None;
    }
    // The log of another pod's sidecar tells of other attempts at the same destination.
    let is_of_pod = entry.downstream_remote.is_none_or(|app| app.ip() == attempt.client.ip());
    match (same(entry.upstream_local, Some(attempt.client)), same(entry.downstream_remote, attempt.app)) {
        // Of several retries the entry has the last one's own end only.
        (_, Some(true)) | (Some(true), _) => Some(Fit::Exact),
        (Some(false), _) | (_, Some(false)) => None,
        (None, None) => is_of_pod.then_some(Fit::Near),
    }
}

/// None when one is not known.
fn same(one: Option<SocketAddr>, other: Option<SocketAddr>) -> Option<bool> {
    Some(one? == other?)
}

fn is_in_time(entry: &LogEntry, attempt: &Attempt) -> bool {
    let (from, to): (Time, Time) = (entry.began - TOLERANCE_NS, entry.ended() + TOLERANCE_NS);
    attempt.opened <= to && from <= attempt.ended && (from <= attempt.opened || attempt.ended <= to)
}

#[cfg(test)]
mod tests {
    use super::{ENTRIES_MAX, Entries, Fit, fit};
    use crate::{
        envoy::attempt::{Attempt, Who},
        event::{
            envoy::{LogEntry, sample_entry as entry},
            time::MILLISECOND_NS,
        },
    };

    fn attempt() -> Attempt {
        let began = entry().began;
        Attempt {
            server: "10.1.1.24:6379".parse().unwrap(),
            client: "10.1.1.25:50714".parse().unwrap(),
            app: Some("10.1.1.25:45940".parse().unwrap()),
            opened: began + MILLISECOND_NS,
            ended: began + 1000 * MILLISECOND_NS,
            proxy: Who::default(),
            sni: None,
            cluster: Some("outbound|6379||redis.default.svc.cluster.local".into()),
            service: None,
        }
    }

    #[test]
    fn an_entry_fits_by_addresses_and_time() {
        let ms = |ms: u64| entry().began + ms * MILLISECOND_NS;
        let (upstream, other) = ("10.1.1.25:50714".parse().unwrap(), "10.1.1.25:50715".parse().unwrap());
        let cases: [(&str, LogEntry, Attempt, Option<Fit>); 13] = [
            ("the app's end", entry(), attempt(), Some(Fit::Exact)),
            ("the app's end is not known", entry(), Attempt { app: None, ..attempt() }, Some(Fit::Near)),
            ("another connection of the app", entry(), Attempt { app: Some(other), ..attempt() }, None),
            (
                "the proxy's end",
                LogEntry { upstream_local: Some(upstream), ..entry() },
                Attempt { app: None, ..attempt() },
                Some(Fit::Exact),
            ),
            (
                "another of the proxy's",
                LogEntry { upstream_local: Some(other), ..entry() },
                Attempt { app: None, ..attempt() },
                None,
            ),
            (
                "elsewhere",
                LogEntry { upstream_host: Some("10.1.1.26:6379".parse().unwrap()), ..entry() },
                attempt(),
                None,
            ),
            (
                "no host, the same cluster",
                LogEntry { upstream_host: None, ..entry() },
                attempt(),
                Some(Fit::Exact),
            ),
            ("neither", LogEntry { upstream_host: None, upstream_cluster: None, ..entry() }, attempt(), None),
            (
                "another pod",
                LogEntry { downstream_remote: Some("10.1.1.77:45940".parse().unwrap()), ..entry() },
                Attempt { app: None, ..attempt() },
                None,
            ),
            (
                "the server's sidecar",
                LogEntry {
                    upstream_host: None,
                    upstream_cluster: None,
                    downstream_remote: Some(upstream),
                    ..entry()
                },
                attempt(),
                Some(Fit::Exact),
            ),
            ("before it", entry(), Attempt { opened: ms(1300), ended: ms(2000), ..attempt() }, None),
            (
                "the first of two retries",
                LogEntry { duration_ms: 2100, ..entry() },
                Attempt { ended: ms(990), ..attempt() },
                Some(Fit::Exact),
            ),
            (
                "the listener did not close for a minute",
                entry(),
                Attempt { ended: ms(61_000), ..attempt() },
                Some(Fit::Exact),
            ),
        ];
        for (what, entry, attempt, expected) in cases {
            assert_eq!(fit(&entry, &attempt), expected, "{what}");
        }
    }

    #[test]
    fn the_best_entry_is_taken_and_memory_is_bounded() {
        let mut entries = Entries::default();
        let unknown = Attempt { app: None, ..attempt() };
        for port in 0..5 {
            let app = ([10, 1, 1, 25], 45_938 + port).into();
            let began = entry().began + u64::from(port) * 10 * MILLISECOND_NS;
            entries.add(LogEntry { downstream_remote: Some(app), began, ..entry() });
        }
        assert_eq!(entries.of(&attempt()).unwrap().downstream_remote, attempt().app, "the exact one");
        let nearest = entries.of(&unknown).unwrap();
        assert_eq!(nearest.ended(), entry().ended(), "the nearest, where none is exact");
        for _ in 0..ENTRIES_MAX {
            entries.add(LogEntry { upstream_host: None, upstream_cluster: None, ..entry() });
        }
        assert_eq!((entries.0.len(), entries.of(&attempt())), (ENTRIES_MAX, None));
    }
}
