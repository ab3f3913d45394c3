//! Istio's objects as its watches tell of them, put together to what is known of Istio as a whole. Knows no request.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    event::istio::{ControlPlane, DestinationRule, Istio, PeerAuthentication, ServiceEntry, WorkloadEntry},
    source::{
        kube::{
            kind::{Fact, Key},
            known::{Known, Told},
            state::Watch,
            watch::News,
        },
        object::istio::mesh_config::MeshConfig,
    },
};

/// The mesh's own configuration, and who runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mesh {
    pub(super) control_planes: Vec<ControlPlane>,
    pub(super) configs: Vec<MeshConfig>,
}

/// How much is known of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Progress {
    /// Not all of it.
    #[default]
    Unknown,
    Listed,
    /// The cluster has no such kind.
    Absent,
}

/// Everything that is known of Istio.
#[derive(Debug)]
pub(super) struct Book {
    /// None where an object could not be read.
    rules: Known<Option<Box<DestinationRule>>>,
    policies: Known<Option<Box<PeerAuthentication>>>,
    entries: Known<Option<Box<ServiceEntry>>>,
    workloads: Known<Option<Box<WorkloadEntry>>>,
    progress: FxHashMap<Watch, Progress>,
    /// Kinds of which a list is on its way.
    listing: FxHashSet<Watch>,
    /// None before it was looked at.
    mesh: Option<Mesh>,
}

impl Book {
    /// At most so many objects of each kind.
    pub(super) fn new(most: usize) -> Self {
        Self {
            rules: Known::new(most),
            policies: Known::new(most),
            entries: Known::new(most),
            workloads: Known::new(most),
            progress: FxHashMap::default(),
            listing: FxHashSet::default(),
            mesh: None,
        }
    }

    /// Takes what a watch tells; true where it changes what is known.
    pub(super) fn hear(&mut self, watch: Watch, news: News) -> bool {
        let is_further = self.advance(watch, &news);
        let is_changed = match watch {
            Watch::Rules => apply(&mut self.rules, news, |fact| match fact {
                Fact::Rule(rule) => Some(rule),
                _ => None,
            }),
            Watch::Policies => apply(&mut self.policies, news, |fact| match fact {
                Fact::Policy(policy) => Some(policy),
                _ => None,
            }),
            Watch::Entries => apply(&mut self.entries, news, |fact| match fact {
                Fact::Entry(entry) => Some(entry),
                _ => None,
            }),
            Watch::Workloads => apply(&mut self.workloads, news, |fact| match fact {
                Fact::Workload(workload) => Some(workload),
                _ => None,
            }),
            Watch::Pods | Watch::Services | Watch::Slices => false,
        };
        is_further | is_changed
    }

    /// True where more is known of a kind as a whole, or less. A list that begins anew does not make less known.
    fn advance(&mut self, watch: Watch, news: &News) -> bool {
        let progress = match news {
            News::Began => {
                self.listing.insert(watch);
                return false;
            }
            News::Listed => Progress::Listed,
            News::Absent => Progress::Absent,
            // What it has may be forbidden: then nothing more is heard of it.
            News::Present => return self.progress.remove(&watch).is_some(),
            News::Is { .. } | News::Gone(_) => return false,
        };
        self.listing.remove(&watch);
        self.progress.insert(watch, progress) != Some(progress)
    }

    /// Takes what is known of the mesh; true where it is another than before.
    pub(super) fn set_mesh(&mut self, mesh: Mesh) -> bool {
        let is_other = self.mesh.as_ref() != Some(&mesh);
        self.mesh = Some(mesh);
        is_other
    }

    /// A list is on its way: what is known now is soon replaced.
    pub(super) fn is_listing(&self) -> bool {
        !self.listing.is_empty()
    }

    /// Objects of a kind that are known, and those that were too many.
    pub(super) fn count(&self, watch: Watch) -> (usize, u64) {
        match watch {
            Watch::Rules => (self.rules.len(), self.rules.refused()),
            Watch::Policies => (self.policies.len(), self.policies.refused()),
            Watch::Entries => (self.entries.len(), self.entries.refused()),
            Watch::Workloads => (self.workloads.len(), self.workloads.refused()),
            Watch::Pods | Watch::Services | Watch::Slices => (0, 0),
        }
    }

    /// All of it as one.
    pub(super) fn istio(&self) -> Istio {
        let mut istio = Istio {
            is_listed: self.is_complete(),
            destination_rules: values(&self.rules),
            peer_authentications: values(&self.policies),
            service_entries: values(&self.entries),
            workload_entries: values(&self.workloads),
            ..Istio::default()
        };
        if let Some(mesh) = &self.mesh {
            istio.control_planes.clone_from(&mesh.control_planes);
            for config in &mesh.configs {
                config.clone().add_to(&mut istio);
            }
        }
        istio
    }

    /// An object that is not known does not exist. Where the cluster has none of the kinds, Istio's objects may be in another.
    fn is_complete(&self) -> bool {
        let progress = |watch| self.progress.get(&watch).copied().unwrap_or_default();
        let is_final = |progress| matches!(progress, Progress::Listed | Progress::Absent);
        self.mesh.is_some()
            && Watch::ISTIO.into_iter().all(|watch| is_final(progress(watch)))
            && Watch::ISTIO.into_iter().any(|watch| progress(watch) == Progress::Listed)
            && is_whole(&self.rules)
            && is_whole(&self.policies)
            && is_whole(&self.entries)
            && is_whole(&self.workloads)
    }
}

/// Nothing of the kind was unreadable or too much.
fn is_whole<T>(known: &Known<Option<T>>) -> bool {
    known.refused() == 0 && known.iter().all(|(_, value)| value.is_some())
}

/// In the order of their names, so that the same objects are the same facts.
fn values<T: Clone>(known: &Known<Option<Box<T>>>) -> Vec<T> {
    let mut all: Vec<(&Key, &T)> =
        known.iter().filter_map(|(key, value)| Some((key, &**value.as_ref()?))).collect();
    all.sort_by_key(|(key, _)| *key);
    all.into_iter().map(|(_, value)| value.clone()).collect()
}

fn apply<T>(known: &mut Known<Option<T>>, news: News, read: impl FnOnce(Fact) -> Option<T>) -> bool {
    match news {
        News::Began => {
            known.begin();
            false
        }
        News::Is { key, version, fact } => {
            known.tell(key, &version, fact.and_then(|fact| read(*fact))) != Told::Again
        }
        News::Gone(key) => known.remove(&key),
        News::Present => false,
        News::Listed => !known.finish().is_empty(),
        News::Absent => {
            known.begin();
            !known.finish().is_empty()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Book, Mesh};
    use crate::{
        event::istio::{ControlPlane, DestinationRule},
        source::kube::{kind::Fact, state::Watch, watch::News},
    };

    fn rule(name: &str, version: &str) -> News {
        let rule = DestinationRule { name: name.into(), host: version.into(), ..DestinationRule::default() };
        let fact = Some(Box::new(Fact::Rule(Box::new(rule))));
        News::Is { key: ("n".into(), name.into()), version: version.into(), fact }
    }

    /// All kinds are listed and the mesh is known; the rules are these.
    fn book(rules: impl IntoIterator<Item = News>) -> Book {
        let mut book = Book::new(10);
        book.set_mesh(Mesh::default());
        for watch in Watch::ISTIO {
            assert!(!book.istio().is_listed, "before {watch:?}");
            book.hear(watch, News::Began);
        }
        for news in rules {
            book.hear(Watch::Rules, news);
        }
        assert!(book.is_listing());
        for watch in Watch::ISTIO {
            assert!(book.hear(watch, News::Listed));
        }
        book
    }

    fn hosts(book: &Book) -> Vec<String> {
        book.istio().destination_rules.iter().map(|rule| rule.host.to_string()).collect()
    }

    #[test]
    fn all_of_it_is_known_when_every_list_is_complete() {
        let book = book([rule("b", "1"), rule("a", "2")]);
        assert!(book.istio().is_listed && !book.is_listing());
        assert_eq!(hosts(&book), ["2", "1"], "in the order of names");
        let mut without_mesh = Book::new(10);
        for watch in Watch::ISTIO {
            without_mesh.hear(watch, News::Listed);
        }
        assert!(!without_mesh.istio().is_listed);
    }

    #[test]
    fn a_kind_that_is_absent_is_complete_and_all_absent_say_nothing() {
        let mut book = book([]);
        for (count, watch) in Watch::ISTIO.into_iter().enumerate() {
            assert!(book.istio().is_listed, "{count} are absent");
            book.hear(watch, News::Absent);
        }
        assert!(!book.istio().is_listed);
    }

    #[test]
    fn a_kind_that_comes_and_is_not_listed_is_unknown() {
        let mut book = book([]);
        book.hear(Watch::Entries, News::Absent);
        assert!(book.istio().is_listed);
        assert!(book.hear(Watch::Entries, News::Present));
        assert!(!book.istio().is_listed);
    }

    #[test]
    fn what_cannot_be_read_makes_it_incomplete_until_it_can() {
        let mut book = book([rule("a", "1")]);
        let unreadable = News::Is { key: ("n".into(), "b".into()), version: "2".into(), fact: None };
        assert!(book.hear(Watch::Rules, unreadable));
        assert!(!book.istio().is_listed);
        assert!(book.hear(Watch::Rules, News::Gone(("n".into(), "b".into()))));
        assert!(book.istio().is_listed);
    }

    #[test]
    fn a_new_list_changes_only_what_is_other() {
        let mut book = book([rule("a", "1"), rule("b", "1")]);
        assert!(!book.hear(Watch::Rules, News::Began));
        assert!(book.is_listing() && book.istio().is_listed, "what is known stays known");
        assert_eq!(hosts(&book).len(), 2);
        assert!(!book.hear(Watch::Rules, rule("a", "1")));
        assert!(book.hear(Watch::Rules, News::Listed), "b is gone");
        assert_eq!(hosts(&book), ["1"]);
        assert!(!book.hear(Watch::Rules, News::Gone(("n".into(), "b".into()))));
        assert!(!book.hear(Watch::Policies, News::Began));
        assert!(!book.hear(Watch::Policies, News::Listed), "the same again");
    }

    #[test]
    fn the_mesh_is_part_of_it() {
        let mut book = book([]);
        let plane = ControlPlane { namespace: "istio-system".into(), ..ControlPlane::default() };
        let mesh = Mesh { control_planes: vec![plane.clone()], configs: vec![] };
        assert!(book.set_mesh(mesh.clone()));
        assert!(!book.set_mesh(mesh));
        assert_eq!(book.istio().control_planes, [plane]);
    }
}
