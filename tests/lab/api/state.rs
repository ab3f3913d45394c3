//! What a server is and knows, shared by all its requests; it must not know how requests come.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::fault::Faults;
use super::request_log::RequestLog;
use super::store::Store;
use super::user::Users;

/// Often enough for tests; real servers send a bookmark about once a minute.
const BOOKMARK_EVERY: Duration = Duration::from_secs(5);

/// The state of a server, which outlives its process as etcd does.
#[derive(Debug)]
pub(crate) struct State {
    store: Mutex<Store>,
    faults: Mutex<Faults>,
    users: Mutex<Users>,
    absent_groups: Mutex<BTreeSet<String>>,
    pub(crate) log: RequestLog,
    /// Told of each change of the store.
    pub(crate) changed: watch::Sender<()>,
    /// Told when all connections are to break.
    pub(crate) broken: watch::Sender<()>,
}

impl State {
    pub(crate) fn new(users: Users) -> Self {
        Self {
            store: Mutex::new(Store::new()),
            faults: Mutex::default(),
            users: Mutex::new(users),
            absent_groups: Mutex::default(),
            log: RequestLog::default(),
            changed: watch::Sender::new(()),
            broken: watch::Sender::new(()),
        }
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    /// Changes the store, and tells those who watch.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let changed = change(&mut self.store());
        self.changed.send_replace(());
        changed
    }

    pub(crate) fn bookmark_every(&self) -> Duration {
        self.faults().bookmark_every.unwrap_or(BOOKMARK_EVERY)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(crate) fn users(&self) -> MutexGuard<'_, Users> {
        lock(&self.users)
    }

    pub(crate) fn absent_groups(&self) -> MutexGuard<'_, BTreeSet<String>> {
        lock(&self.absent_groups)
    }
}

/// A test that panics has said why; what it left is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
