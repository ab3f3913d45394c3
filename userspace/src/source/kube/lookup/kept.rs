//! Objects that were looked up and are not watched: how long they are kept, and what replaces them. Knows no request.

use std::{net::IpAddr, time::Instant};

use rustc_hash::FxHashMap;

use crate::{event::cluster::Change, source::kube::kind::Key};

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::source::kube) enum Id {
    Pod(Key),
    Service(Key),
    Slice(Key),
}

impl Id {
    /// It is gone, or nothing is known of it any more.
    pub(in crate::source::kube) fn gone(self) -> Change {
        match self {
            Self::Pod((namespace, name)) => Change::PodGone { namespace, name },
            Self::Service((namespace, name)) => Change::ServiceGone { namespace, name },
            Self::Slice((namespace, name)) => Change::SliceGone { namespace, name },
        }
    }
}

/// What is known of an object that is kept.
#[derive(Debug)]
struct Held {
    since: Instant,
    /// The Service as one of whose objects it was found.
    service: Option<Key>,
    addresses: Box<[IpAddr]>,
}

/// Objects that were looked up.
#[derive(Debug)]
pub(in crate::source::kube) struct Kept {
    objects: FxHashMap<Id, Held>,
    /// Pods by address.
    holders: FxHashMap<IpAddr, Key>,
    most: usize,
}

impl Kept {
    /// At most so many.
    pub(in crate::source::kube) fn new(most: usize) -> Self {
        Self { objects: FxHashMap::default(), holders: FxHashMap::default(), most }
    }

    /// Keeps an object; gives what had to go for it.
    pub(in crate::source::kube) fn keep(
        &mut self,
        id: Id,
        service: Option<&Key>,
        now: Instant,
    ) -> Option<Id> {
        let known = self.objects.remove(&id);
        let oldest = (self.objects.len() >= self.most).then(|| self.oldest()).flatten();
        if let Some(oldest) = &oldest {
            self.remove(oldest);
        }
        let (former, addresses) = known.map_or_else(Default::default, |held| (held.service, held.addresses));
        self.objects.insert(id, Held { since: now, service: service.cloned().or(former), addresses });
        oldest
    }

    /// The pod has these addresses: gives the kept ones that had them before, which are gone.
    pub(in crate::source::kube) fn displaced(&mut self, pod: &Key, addresses: &[IpAddr]) -> Vec<Id> {
        let mut gone = Vec::new();
        for address in addresses {
            if let Some(holder) = self.holders.get(address)
                && holder != pod
            {
                let id = Id::Pod(holder.clone());
                self.remove(&id);
                gone.push(id);
            }
        }
        gone
    }

    /// The kept pod has these addresses.
    pub(in crate::source::kube) fn set_addresses(&mut self, pod: &Key, addresses: &[IpAddr]) {
        if let Some(held) = self.objects.get_mut(&Id::Pod(pod.clone())) {
            for address in &held.addresses {
                self.holders.remove(address);
            }
            held.addresses = addresses.into();
            self.holders.extend(addresses.iter().map(|address| (*address, pod.clone())));
        }
    }

    /// Objects of the Service that its newest lookup did not find.
    pub(in crate::source::kube) fn outdated(&mut self, service: &Key, found_at: Instant) -> Vec<Id> {
        self.remove_where(|held| held.since < found_at && held.service.as_ref() == Some(service))
    }

    /// Objects that are kept since before then.
    pub(in crate::source::kube) fn expired(&mut self, before: Instant) -> Vec<Id> {
        self.remove_where(|held| held.since < before)
    }

    /// It is somebody else's to tell of it now.
    pub(in crate::source::kube) fn remove(&mut self, id: &Id) {
        if let Some(held) = self.objects.remove(id) {
            for address in &held.addresses {
                self.holders.remove(address);
            }
        }
    }

    pub(in crate::source::kube) fn len(&self) -> usize {
        self.objects.len()
    }

    fn remove_where(&mut self, is_meant: impl Fn(&Held) -> bool) -> Vec<Id> {
        let meant = self.objects.iter().filter(|(_, held)| is_meant(held));
        let gone: Vec<Id> = meant.map(|(id, _)| id.clone()).collect();
        for id in &gone {
            self.remove(id);
        }
        gone
    }

    fn oldest(&self) -> Option<Id> {
        self.objects.iter().min_by_key(|(_, held)| held.since).map(|(id, _)| id.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::IpAddr,
        time::{Duration, Instant},
    };

    use super::{Id, Kept};
    use crate::source::kube::kind::Key;

    fn key(name: &str) -> Key {
        ("n".into(), name.into())
    }

    fn pod(name: &str) -> Id {
        Id::Pod(key(name))
    }

    fn address(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn objects_are_kept_for_a_while_after_their_last_lookup() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut kept = Kept::new(10);
        kept.keep(pod("a"), None, start);
        kept.keep(pod("b"), None, start);
        kept.keep(pod("a"), None, start + 2 * second);
        assert_eq!(kept.expired(start), []);
        assert_eq!(kept.expired(start + second), [pod("b")]);
        assert_eq!(kept.expired(start + 3 * second), [pod("a")]);
        assert_eq!(kept.len(), 0);
    }

    #[test]
    fn a_service_that_is_looked_up_again_loses_what_it_has_no_more() {
        let (start, later) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        let (service, other) = (key("s"), key("t"));
        let mut kept = Kept::new(10);
        for (name, of) in [("a", Some(&service)), ("b", Some(&service)), ("c", Some(&other)), ("d", None)] {
            kept.keep(pod(name), of, start);
        }
        kept.keep(pod("a"), Some(&service), later);
        assert_eq!(kept.outdated(&service, later), [pod("b")]);
        assert_eq!(kept.len(), 3);
    }

    #[test]
    fn an_address_has_one_pod() {
        let now = Instant::now();
        let mut kept = Kept::new(10);
        kept.keep(pod("a"), None, now);
        kept.set_addresses(&key("a"), &[address(1), address(2)]);
        assert_eq!(kept.displaced(&key("a"), &[address(1)]), []);
        assert_eq!(kept.displaced(&key("watched"), &[address(3)]), []);
        assert_eq!(kept.displaced(&key("watched"), &[address(2)]), [pod("a")]);
        assert_eq!(
            kept.displaced(&key("watched"), &[address(1)]),
            [],
            "it is gone with all of its addresses"
        );
        kept.keep(pod("b"), None, now);
        kept.set_addresses(&key("b"), &[address(1)]);
        kept.keep(pod("b"), None, now);
        kept.set_addresses(&key("b"), &[address(4)]);
        assert_eq!(kept.displaced(&key("c"), &[address(1)]), [], "it has another now");
        assert_eq!(kept.displaced(&key("c"), &[address(4)]), [pod("b")]);
    }

    #[test]
    fn the_oldest_goes_for_one_too_many() {
        let start = Instant::now();
        let mut kept = Kept::new(2);
        for (seconds, name) in [(1, "a"), (0, "b")] {
            assert_eq!(kept.keep(pod(name), None, start + Duration::from_secs(seconds)), None);
        }
        assert_eq!(kept.keep(pod("c"), None, start + Duration::from_secs(2)), Some(pod("b")));
        assert_eq!(kept.keep(pod("a"), None, start + Duration::from_secs(3)), None, "it is there already");
        assert_eq!(kept.len(), 2);
    }
}
