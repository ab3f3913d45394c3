//! What a watch has told of so far, by key: which objects are new, and which are gone after the next list. Knows no kind.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use crate::source::kube::kind::Key;

/// Objects that a watch has told of.
#[derive(Debug)]
pub(super) struct Known<V> {
    objects: FxHashMap<Key, Object<V>>,
    /// Known before the list that runs, and not told of by it yet.
    before: FxHashMap<Key, Object<V>>,
    most: usize,
    /// Objects that were too many.
    refused: u64,
}

#[derive(Debug)]
struct Object<V> {
    version: Box<str>,
    value: V,
}

/// What an object that was told of is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// New, or another than it was.
    Anew,
    /// Known already in this version.
    Again,
    /// One too many.
    Refused,
}

impl<V> Known<V> {
    /// Of at most so many objects.
    pub(super) fn new(most: usize) -> Self {
        Self { objects: FxHashMap::default(), before: FxHashMap::default(), most, refused: 0 }
    }

    /// A list begins: what it does not tell of is gone.
    pub(super) fn begin(&mut self) {
        // One that was cut short has left something in `before`, which is still to be told of.
        self.before.extend(self.objects.drain());
    }

    /// The object is there.
    pub(super) fn tell(&mut self, key: Key, version: &str, value: V) -> Told {
        let before = self.before.remove(&key);
        let is_full = self.objects.len() + self.before.len() >= self.most;
        let object = Object { version: version.into(), value };
        match self.objects.entry(key) {
            Entry::Occupied(mut known) => {
                let is_same = !version.is_empty() && *known.get().version == *version;
                known.insert(object);
                if is_same { Told::Again } else { Told::Anew }
            }
            Entry::Vacant(_) if is_full && before.is_none() => {
                self.refused += 1;
                Told::Refused
            }
            Entry::Vacant(place) => {
                let is_same = before.is_some_and(|known| !version.is_empty() && *known.version == *version);
                place.insert(object);
                if is_same { Told::Again } else { Told::Anew }
            }
        }
    }

    /// The object is gone; false where it was not known.
    pub(super) fn remove(&mut self, key: &Key) -> bool {
        self.objects.remove(key).is_some() | self.before.remove(key).is_some()
    }

    /// The list is complete: what is gone.
    pub(super) fn finish(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.before).into_keys().collect()
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.objects.contains_key(key) || self.before.contains_key(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &V)> {
        self.objects.iter().chain(&self.before).map(|(key, object)| (key, &object.value))
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len() + self.before.len()
    }

    /// Objects that were too many, so far.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, Told};
    use crate::source::kube::kind::Key;

    fn key(name: &str) -> Key {
        ("n".into(), name.into())
    }

    fn listed(known: &mut Known<u8>, names: &[(&str, &str)]) -> (Vec<Told>, Vec<Key>) {
        known.begin();
        let told = names.iter().map(|(name, version)| known.tell(key(name), version, 0)).collect();
        (told, known.finish())
    }

    #[test]
    fn what_a_new_list_lacks_is_gone() {
        let mut known = Known::new(10);
        assert_eq!(listed(&mut known, &[("a", "1"), ("b", "1")]), (vec![Told::Anew; 2], vec![]));
        let told = vec![Told::Again, Told::Anew];
        assert_eq!(listed(&mut known, &[("b", "1"), ("c", "3")]), (told, vec![key("a")]));
        assert!(!known.contains(&key("a")) && known.contains(&key("b")));
        assert_eq!(listed(&mut known, &[("b", "2")]), (vec![Told::Anew], vec![key("c")]));
    }

    #[test]
    fn a_list_that_is_cut_short_loses_nothing() {
        let mut known = Known::new(10);
        listed(&mut known, &[("a", "1"), ("b", "1"), ("c", "1")]);
        known.begin();
        assert_eq!(known.tell(key("a"), "1", 0), Told::Again);
        assert!(known.contains(&key("b")), "not gone before the list is complete");
        assert_eq!(listed(&mut known, &[("b", "1")]).1.len(), 2);
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn changes_of_a_watch_are_told_once() {
        let mut known = Known::new(10);
        listed(&mut known, &[("a", "1")]);
        assert_eq!(known.tell(key("a"), "2", 0), Told::Anew);
        assert_eq!(known.tell(key("a"), "2", 0), Told::Again);
        assert_eq!(known.tell(key("a"), "", 0), Told::Anew, "no version: nothing is known of it");
        assert_eq!((known.remove(&key("a")), known.remove(&key("a"))), (true, false));
    }

    #[test]
    fn more_than_the_most_are_refused_and_counted() {
        let mut known = Known::new(2);
        let told = vec![Told::Anew, Told::Anew, Told::Refused];
        assert_eq!(listed(&mut known, &[("a", "1"), ("b", "1"), ("c", "1")]).0, told);
        assert_eq!(listed(&mut known, &[("b", "1"), ("a", "1")]).0, [Told::Again; 2]);
        assert_eq!((known.len(), known.refused()), (2, 1));
    }
}
