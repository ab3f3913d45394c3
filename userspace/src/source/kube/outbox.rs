//! Changes on their way to the core, in batches and in their order; waits when the core does not take them. Knows no source of
//! them.

use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::event::cluster::Change;

/// Batches that wait for the core, at most.
const MOST_BATCHES: usize = 16;

/// A batch is sent when it weighs so much: an object counts as one, and each endpoint, rule and entry in it.
const FULL_BATCH: usize = 1024;

/// Where changes are put.
pub(super) struct Outbox {
    sender: Sender<Vec<Change>>,
    batch: Vec<Change>,
    weight: usize,
}

/// Where they are taken.
pub(super) struct Inbox(Receiver<Vec<Change>>);

/// Both ends.
pub(super) fn pair() -> (Outbox, Inbox) {
    let (sender, receiver) = mpsc::channel(MOST_BATCHES);
    (Outbox { sender, batch: Vec::new(), weight: 0 }, Inbox(receiver))
}

impl Outbox {
    /// Puts a change to the others of the batch; waits when there are too many.
    pub(super) async fn put(&mut self, change: Change) {
        self.weight += weight(&change);
        self.batch.push(change);
        if self.weight >= FULL_BATCH {
            self.flush().await;
        }
    }

    /// Sends what there is.
    pub(super) async fn flush(&mut self) {
        if !self.batch.is_empty() {
            self.weight = 0;
            // Fails when nobody takes them any more: the whole source ends then.
            let _ = self.sender.send(std::mem::take(&mut self.batch)).await;
        }
    }
}

impl Inbox {
    /// The next batch, if there is one.
    pub(super) fn take(&mut self) -> Option<Vec<Change>> {
        self.0.try_recv().ok()
    }
}

fn weight(change: &Change) -> usize {
    match change {
        Change::Slice(slice) => 1 + slice.endpoints.len(),
        Change::Istio(istio) => {
            let (rules, policies) = (istio.destination_rules.len(), istio.peer_authentications.len());
            1 + rules + policies + istio.service_entries.len() + istio.workload_entries.len()
        }
        Change::Pod(_)
        | Change::PodGone { .. }
        | Change::Service(_)
        | Change::ServiceGone { .. }
        | Change::SliceGone { .. }
        | Change::LookedUp(_) => 1,
    }
}
