//! Who had an address before: pods that are gone, or that gave an address up; must not know who has it now. Pure.

use std::{collections::VecDeque, net::IpAddr, sync::Arc};

use rustc_hash::FxHashMap;

use crate::event::{
    cluster::Pod,
    time::{SECOND_NS, Time},
};

/// How long a pod keeps its name after it is gone: its last connections may be told of minutes later.
pub(super) const REMEMBERED_NS: u64 = 600 * SECOND_NS;

/// Most tenures that are remembered at a time; the oldest goes first.
const MAX_TENURES: usize = 4096;

/// A pod had an address until then.
#[derive(Debug)]
struct Tenure {
    pod: Arc<Pod>,
    until: Time,
}

/// Former holders of addresses.
#[derive(Debug, Default)]
pub(super) struct Former {
    /// In the order of their leaving.
    by_address: FxHashMap<IpAddr, VecDeque<Tenure>>,
    order: VecDeque<(Time, IpAddr)>,
}

impl Former {
    /// A pod has an address no more.
    pub(super) fn left(&mut self, address: IpAddr, pod: Arc<Pod>, now: Time) {
        self.forget(now);
        self.by_address.entry(address).or_default().push_back(Tenure { pod, until: now });
        self.order.push_back((now, address));
    }

    /// Who had the address at this time and gave it up later.
    pub(super) fn at(&self, address: IpAddr, time: Time) -> Option<&Arc<Pod>> {
        self.by_address.get(&address)?.iter().find(|tenure| time < tenure.until).map(|tenure| &tenure.pod)
    }

    /// Who had the address last.
    pub(super) fn last(&self, address: IpAddr, time: Time) -> Option<&Arc<Pod>> {
        let tenure = self.by_address.get(&address)?.back()?;
        (time.since_ns(tenure.until) <= REMEMBERED_NS).then_some(&tenure.pod)
    }

    fn forget(&mut self, now: Time) {
        while let Some((until, address)) = self.order.front().copied() {
            if self.order.len() < MAX_TENURES && now.since_ns(until) <= REMEMBERED_NS {
                break;
            }
            self.order.pop_front();
            if let Some(tenures) = self.by_address.get_mut(&address) {
                tenures.pop_front();
                if tenures.is_empty() {
                    self.by_address.remove(&address);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc};

    use super::{Former, MAX_TENURES, REMEMBERED_NS};
    use crate::event::{cluster::Pod, time::Time};

    fn pod(name: &str) -> Arc<Pod> {
        Arc::new(Pod { name: name.into(), ..Pod::default() })
    }

    #[test]
    fn an_address_is_that_of_who_had_it_then() {
        let address: IpAddr = [10, 1, 1, 24].into();
        let mut former = Former::default();
        former.left(address, pod("first"), Time(10));
        former.left(address, pod("second"), Time(20));
        for (time, then) in [(5, Some("first")), (10, Some("second")), (19, Some("second")), (20, None)] {
            assert_eq!(former.at(address, Time(time)).map(|pod| &*pod.name), then, "{time}");
        }
        let last = |time| former.last(address, Time(time)).map(|pod| &*pod.name);
        assert_eq!(last(20 + REMEMBERED_NS), Some("second"));
        assert_eq!(last(21 + REMEMBERED_NS), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut former = Former::default();
        for number in 0..u32::try_from(3 * MAX_TENURES).unwrap() {
            former.left(IpAddr::from(number.to_be_bytes()), pod("one"), Time(u64::from(number)));
        }
        assert_eq!((former.order.len(), former.by_address.len()), (MAX_TENURES, MAX_TENURES));
        former.left([10, 1, 1, 24].into(), pod("late"), Time(2 * REMEMBERED_NS));
        assert_eq!((former.order.len(), former.by_address.len()), (1, 1), "old ones are forgotten");
    }
}
