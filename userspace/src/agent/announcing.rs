//! Kubernetes Events of findings, wired to a run: told by the pipeline, handed on between drains, and the last ones at the end. It must
//! not know what is announced.

use std::{cell::RefCell, io, rc::Rc, time::Duration};

use crate::{
    event::time::Time,
    sink::{
        Accounting, Sink,
        kube_events::{KubeEvents, announcer::Settings},
    },
    source::kube::Kube,
    update::{Confidence, Update},
};

/// Who announces. Clones are of the same: one is a sink, the other hands on.
#[derive(Clone)]
pub(super) struct Announcing(Rc<RefCell<Option<KubeEvents>>>);

impl Announcing {
    /// As the agent of this node, if there is an API to announce to: findings that are at least so sure, none where that is not wanted.
    pub(super) fn start(kube: Option<&Kube>, node: &str, least: Option<Confidence>) -> Self {
        let events = kube.zip(least).map(|(kube, least)| {
            let (client, runtime) = kube.client();
            KubeEvents::start(Settings { least, ..Settings::of_node(node) }, client, &runtime)
        });
        Self(Rc::new(RefCell::new(events)))
    }

    /// Hands on what may go out now; never waits. The calendar was stepped so far since the time of events began.
    pub(super) fn pump(&self, now: Time, step_ns: i64) {
        if let Some(events) = &mut *self.0.borrow_mut() {
            events.pump(now, step_ns);
        }
    }

    /// What came of announcements so far.
    pub(super) fn outcomes(&self) -> Vec<(&'static str, u64)> {
        self.0.borrow().iter().flat_map(|events| events.state().outcomes().collect::<Vec<_>>()).collect()
    }

    /// Posts the last ones, for as long as the patience lasts. Tells how many were never posted.
    pub(super) fn finish(&self, now: Time, step_ns: i64, patience: Duration) -> u64 {
        let Some(events) = self.0.borrow_mut().take() else { return 0 };
        let state = events.finish(now, step_ns, patience);
        state.outcomes().find(|(outcome, _)| *outcome == "dropped").map_or(0, |(_, count)| count)
    }
}

impl Sink for Announcing {
    fn update(&mut self, update: &Update) -> io::Result<()> {
        self.0.borrow_mut().as_mut().map_or(Ok(()), |events| events.update(update))
    }

    fn account(&mut self, _: &Accounting) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
