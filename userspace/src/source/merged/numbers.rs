//! Numbers of several kernels as numbers of one: sockets, network namespaces and control groups; must not know files.

use rustc_hash::FxHashMap;

use crate::event::{
    Event,
    socket::{Owner, SocketId},
};

/// Where the numbers of nodes begin in a socket's number. Cookies are counted from 0 (`__sock_gen_cookie`,
/// `net/core/sock_diag.c`).
const NODE_BIT: u32 = 48;

/// New numbers for old ones.
#[derive(Debug)]
pub(super) struct Numbers {
    /// Of each file: the number of its node, from 1; none for captures, whose sockets have numbers of their own.
    nodes: Vec<Option<u32>>,
    namespaces: FxHashMap<(u32, u32), u32>,
    cgroups: FxHashMap<(u32, u64), u64>,
    is_several: bool,
}

impl Numbers {
    /// For files from these nodes. Those of one node share its numbers.
    pub(super) fn of(is_several: bool, nodes: &[Option<Box<str>>]) -> Self {
        let mut known: Vec<&str> = Vec::new();
        let mut numbers = Vec::with_capacity(nodes.len());
        for node in nodes {
            let number = node.as_deref().map(|node| {
                known.iter().position(|known| *known == node).unwrap_or_else(|| {
                    known.push(node);
                    known.len() - 1
                })
            });
            numbers.push(number.and_then(|number| u32::try_from(number + 1).ok()));
        }
        Self { nodes: numbers, namespaces: FxHashMap::default(), cgroups: FxHashMap::default(), is_several }
    }

    /// Gives an event of a file its new numbers.
    pub(super) fn apply(&mut self, file: usize, event: &mut Event) {
        let Some(node) = self.nodes.get(file).copied().flatten().filter(|_| self.is_several) else { return };
        match event {
            Event::Opened(opened) | Event::Accepted(opened) => {
                socket(node, &mut opened.socket);
                self.owner(node, &mut opened.owner);
            }
            Event::Established(established) => socket(node, &mut established.socket),
            Event::Hello(segment) => socket(node, &mut segment.socket),
            Event::FirstBytes(bytes) => socket(node, &mut bytes.socket),
            Event::Reached(reached) => socket(node, &mut reached.socket),
            Event::Reset(reset) => {
                if let Some(number) = &mut reset.socket {
                    socket(node, number);
                }
            }
            Event::Ended(ended) => {
                socket(node, &mut ended.socket);
                ended.netns = self.namespace(node, ended.netns);
                ended.cgroup = self.cgroup(node, ended.cgroup);
            }
            Event::Listening(listener) | Event::ListenerClosed(listener) => {
                self.owner(node, &mut listener.owner);
            }
            Event::Cgroup(cgroup) => cgroup.id = self.cgroup(node, cgroup.id),
            Event::EnvoyClusters(seen) => seen.netns = seen.netns.map(|netns| self.namespace(node, netns)),
            Event::Began(_)
            | Event::Cluster(_)
            | Event::ClusterChanged(_)
            | Event::EnvoyLog(_)
            | Event::Counted(_)
            | Event::Tick(_) => {}
        }
    }

    fn owner(&mut self, node: u32, owner: &mut Owner) {
        owner.netns = self.namespace(node, owner.netns);
        owner.cgroup = self.cgroup(node, owner.cgroup);
    }

    /// 0 stays 0: it is not known.
    fn namespace(&mut self, node: u32, number: u32) -> u32 {
        if number == 0 {
            return 0;
        }
        let new = u32::try_from(self.namespaces.len() + 1).unwrap_or(u32::MAX);
        *self.namespaces.entry((node, number)).or_insert(new)
    }

    /// 0 stays 0: it is not known.
    fn cgroup(&mut self, node: u32, number: u64) -> u64 {
        if number == 0 {
            return 0;
        }
        let new = self.cgroups.len() as u64 + 1;
        *self.cgroups.entry((node, number)).or_insert(new)
    }
}

fn socket(node: u32, number: &mut SocketId) {
    number.0 |= u64::from(node) << NODE_BIT;
}

#[cfg(test)]
mod tests {
    use super::Numbers;
    use crate::event::{
        Cgroup, Event,
        socket::{Opened, Owner, SocketId},
        time::Time,
    };

    fn opened(netns: u32, cgroup: u64) -> Event {
        let address = "10.1.1.25:50714".parse().unwrap();
        let owner = Owner { cgroup, netns, ..Owner::default() };
        Event::Opened(Opened { time: Time(1), socket: SocketId(7), local: address, remote: address, owner })
    }

    /// Socket, network namespace and control group after renumbering.
    fn numbered(numbers: &mut Numbers, file: usize, mut event: Event) -> (u64, u32, u64) {
        numbers.apply(file, &mut event);
        match event {
            Event::Opened(Opened { socket, owner, .. }) => (socket.0, owner.netns, owner.cgroup),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_number_of_two_nodes_is_two_numbers_and_of_one_node_one() {
        let nodes = ["a", "b", "a"].map(|node| Some(node.into()));
        let mut numbers = Numbers::of(true, &nodes);
        let [a, b, again] = [0, 1, 2].map(|file| numbered(&mut numbers, file, opened(4, 9)));
        assert_eq!(a, again);
        assert!(a.0 != b.0 && a.1 != b.1 && a.2 != b.2, "{a:?} {b:?}");
        let other = numbered(&mut numbers, 0, opened(5, 10));
        assert!(![a.1, b.1, 0].contains(&other.1) && ![a.2, b.2, 0].contains(&other.2), "{other:?}");
    }

    #[test]
    fn a_control_group_has_the_number_that_its_sockets_have() {
        let mut numbers = Numbers::of(true, &[None, Some("a".into())]);
        let (.., cgroup) = numbered(&mut numbers, 1, opened(4, 9));
        let mut event = Event::Cgroup(Cgroup { time: Time(1), id: 9, path: "/".into() });
        numbers.apply(1, &mut event);
        assert!(matches!(event, Event::Cgroup(seen) if seen.id == cgroup));
    }

    #[test]
    fn what_is_not_known_captures_and_single_files_keep_theirs() {
        let mut numbers = Numbers::of(true, &[None, Some("a".into())]);
        assert_eq!(numbered(&mut numbers, 0, opened(4, 9)), (7, 4, 9), "a capture");
        let (_, netns, cgroup) = numbered(&mut numbers, 1, opened(0, 0));
        assert_eq!((netns, cgroup), (0, 0));
        let mut single = Numbers::of(false, &[Some("a".into())]);
        assert_eq!(numbered(&mut single, 0, opened(4, 9)), (7, 4, 9), "one file");
    }
}
