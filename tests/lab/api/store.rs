//! All objects and what changed of late, with one version for all as etcd has; it must not know who asks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use super::body::{Body, Key};
use super::resource::RESOURCES;

/// How many changes are kept for those who watch; a real server's watch cache has about as many for each kind
/// (apiserver `pkg/storage/cacher/watch_cache.go`).
const WINDOW: usize = 100_000;

/// An object and the version in which it is what it is.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) version: u64,
    pub(crate) body: Body,
}

/// One change of one object.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) resource: usize,
    pub(crate) key: Key,
    pub(crate) before: Option<Stored>,
    pub(crate) after: Option<Body>,
}

/// A version that is gone, or is not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSuchVersion {
    TooOld { oldest: u64 },
    TooLarge { current: u64 },
}

/// The objects.
#[derive(Debug)]
pub(crate) struct Store {
    objects: Vec<BTreeMap<Key, Stored>>,
    changes: VecDeque<Change>,
    version: u64,
    /// Changes up to this version are forgotten.
    oldest: u64,
}

/// Where a list begins: all, or after the last object of the part before.
pub(crate) type After<'a> = Option<&'a Key>;

impl Store {
    /// An empty one. Versions begin where those of a cluster that is some months old are.
    pub(crate) fn new() -> Self {
        let first = 48_215_071;
        let objects = RESOURCES.iter().map(|_| BTreeMap::new()).collect();
        Self { objects, changes: VecDeque::new(), version: first, oldest: first }
    }

    /// The version of the last change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// An object, as it is now.
    pub(crate) fn get(&self, resource: usize, key: &Key) -> Option<&Stored> {
        self.objects[resource].get(key)
    }

    /// How many objects of a kind there are.
    pub(crate) fn count(&self, resource: usize) -> usize {
        self.objects[resource].len()
    }

    /// Puts an object in, or replaces it, and gives its version.
    pub(crate) fn put(&mut self, resource: usize, key: Key, body: Body) -> u64 {
        self.version += 1;
        let stored = Stored { version: self.version, body: body.clone() };
        let before = self.objects[resource].insert(key.clone(), stored);
        self.remember(Change { version: self.version, resource, key, before, after: Some(body) });
        self.version
    }

    /// Puts an object in that was there before anybody could watch.
    pub(crate) fn load(&mut self, resource: usize, key: Key, body: Body) {
        self.version += 1;
        self.oldest = self.version;
        self.changes.clear();
        self.objects[resource].insert(key, Stored { version: self.version, body });
    }

    /// Takes an object out.
    pub(crate) fn remove(&mut self, resource: usize, key: &Key) -> Option<Stored> {
        let before = self.objects[resource].remove(key)?;
        self.version += 1;
        self.remember(Change {
            version: self.version,
            resource,
            key: key.clone(),
            before: Some(before.clone()),
            after: None,
        });
        Some(before)
    }

    /// Forgets all changes, so that every version so far is too old.
    pub(crate) fn compact(&mut self) {
        self.version += 1;
        self.oldest = self.version;
        self.changes.clear();
    }

    /// Forgets all changes; the newest version is still good, as after a restart of the server.
    pub(crate) fn forget_changes(&mut self) {
        self.oldest = self.version;
        self.changes.clear();
    }

    fn remember(&mut self, change: Change) {
        self.changes.push_back(change);
        if self.changes.len() > WINDOW
            && let Some(forgotten) = self.changes.pop_front()
        {
            self.oldest = forgotten.version;
        }
    }

    /// At most `limit` changes after `version`, of all kinds.
    pub(crate) fn changes_after(
        &self,
        version: u64,
        limit: usize,
    ) -> Result<impl Iterator<Item = &Change>, NoSuchVersion> {
        if version < self.oldest {
            return Err(NoSuchVersion::TooOld { oldest: self.oldest });
        }
        let start = self.changes.partition_point(|change| change.version <= version);
        Ok(self.changes.range(start..).take(limit))
    }

    /// The objects of a kind as they were at a version, after `after`, in order, as far as they are wanted.
    pub(crate) fn at(
        &self,
        resource: usize,
        version: u64,
        after: After<'_>,
        is_wanted: impl Fn(&Key, &Body) -> bool,
    ) -> Result<Vec<(Key, Stored)>, NoSuchVersion> {
        if version > self.version {
            return Err(NoSuchVersion::TooLarge { current: self.version });
        }
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let now = self.objects[resource].range::<Key, _>(range);
        if version == self.version {
            let wanted = now.filter(|(key, stored)| is_wanted(key, &stored.body));
            return Ok(wanted.map(|(key, stored)| (key.clone(), stored.clone())).collect());
        }
        let mut then: BTreeMap<Key, Stored> =
            now.map(|(key, stored)| (key.clone(), stored.clone())).collect();
        let mut undone = BTreeSet::new();
        for change in self.changes_after(version, usize::MAX)? {
            let is_listed = change.resource == resource && after.is_none_or(|after| change.key > *after);
            if is_listed && undone.insert(&change.key) {
                match &change.before {
                    Some(before) => then.insert(change.key.clone(), before.clone()),
                    None => then.remove(&change.key),
                };
            }
        }
        then.retain(|key, stored| is_wanted(key, &stored.body));
        Ok(then.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn key(name: &str) -> Key {
        ("default".into(), name.into())
    }

    fn body(text: &str) -> Body {
        Body::Whole(Arc::new(json!({ "metadata": {}, "text": text })))
    }

    fn texts(store: &Store, version: u64) -> Vec<String> {
        let objects = store.at(0, version, None, |_, _| true).unwrap();
        objects.iter().map(|(_, stored)| stored.body.object(0)["text"].to_string()).collect()
    }

    #[test]
    fn earlier_states_are_what_they_were() {
        let mut store = Store::new();
        let first = store.put(0, key("a"), body("a1"));
        let second = store.put(0, key("b"), body("b1"));
        let third = store.put(0, key("a"), body("a2"));
        store.put(1, key("c"), body("other kind"));
        store.remove(0, &key("b")).unwrap();
        assert_eq!(texts(&store, first), ["\"a1\""]);
        assert_eq!(texts(&store, second), ["\"a1\"", "\"b1\""]);
        assert_eq!(texts(&store, third), ["\"a2\"", "\"b1\""]);
        assert_eq!(texts(&store, store.version()), ["\"a2\""]);
        let after = store.at(0, second, Some(&key("a")), |_, _| true).unwrap();
        assert_eq!(after.len(), 1);
    }

    #[test]
    fn what_is_forgotten_is_too_old_and_the_future_is_not_there() {
        let mut store = Store::new();
        let first = store.put(0, key("a"), body("a1"));
        assert_eq!(store.changes_after(first - 1, 9).unwrap().count(), 1);
        store.compact();
        assert!(matches!(store.changes_after(first, 9).err(), Some(NoSuchVersion::TooOld { .. })));
        assert!(matches!(store.at(0, first, None, |_, _| true).err(), Some(NoSuchVersion::TooOld { .. })));
        assert!(matches!(
            store.at(0, first + 9, None, |_, _| true).err(),
            Some(NoSuchVersion::TooLarge { .. })
        ));
        assert_eq!(store.changes_after(store.version(), 9).unwrap().count(), 0);
    }
}
