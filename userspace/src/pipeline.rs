//! Core, filter and sink in a row, the same for live and replayed events; must not know where events come from.

use std::mem;

use crate::{
    engine::{Connections, Engine, Settings},
    event::{Event, cluster::Lookup, socket::SocketId},
    filter::{Filter, Selection},
    outcome::OutputError,
    sink::Sink,
    suspicion::Suspect,
    update::{Finding, Summary, Update},
};

/// Takes events and writes what they mean.
pub struct Pipeline {
    engine: Engine,
    filter: Filter,
    sink: Box<dyn Sink>,
    /// Take everything, whatever is selected.
    observers: Vec<Box<dyn Sink>>,
    /// Kept for its memory.
    updates: Vec<Update>,
    had_finding: bool,
    /// Envoys about which there was a finding since they were taken.
    accused: Vec<u32>,
}

impl Pipeline {
    /// Everything that is selected goes to the sink.
    pub fn new(selection: Selection, sink: Box<dyn Sink>) -> Self {
        Self::with(Settings::default(), selection, sink)
    }

    /// The same, and suspects are kept for whoever arms: see [`Self::take_suspects`].
    pub fn with_suspects(selection: Selection, sink: Box<dyn Sink>) -> Self {
        Self::with(Settings { suspects: true, ..Settings::default() }, selection, sink)
    }

    /// The same, and everything goes to these too, with the connections that failed.
    pub fn with_observers(selection: Selection, sink: Box<dyn Sink>, observers: Vec<Box<dyn Sink>>) -> Self {
        let settings = Settings { suspects: true, connections: Connections::Failed, ..Settings::default() };
        Self { observers, ..Self::with(settings, selection, sink) }
    }

    fn with(settings: Settings, selection: Selection, sink: Box<dyn Sink>) -> Self {
        let connections = if selection.needs_connections() { Connections::All } else { settings.connections };
        let settings = Settings { connections, ..settings };
        Self {
            engine: Engine::new(settings),
            filter: Filter::new(selection),
            sink,
            observers: Vec::new(),
            updates: Vec::new(),
            had_finding: false,
            accused: Vec::new(),
        }
    }

    /// Takes an event.
    pub fn event(&mut self, event: &Event) -> Result<(), OutputError> {
        self.engine.apply(event, &mut self.updates);
        self.write()
    }

    /// Ends since the last call that ask for a closer look.
    pub fn take_suspects(&mut self) -> Vec<Suspect> {
        self.engine.take_suspects()
    }

    /// What is to be looked up in the cluster since the last call.
    pub fn take_lookups(&mut self) -> Vec<Lookup> {
        self.engine.take_lookups()
    }

    /// The accounting of everything so far.
    pub fn summary(&self) -> Summary {
        self.engine.summary()
    }

    /// Connection ends that are followed now.
    pub fn open(&self) -> usize {
        self.engine.open()
    }

    /// A connection that is followed has no answer yet.
    pub fn awaits_answer(&self, socket: SocketId) -> bool {
        self.engine.awaits_answer(socket)
    }

    /// Process ids of the Envoys about which findings were written since the last call.
    pub fn take_accused(&mut self) -> Vec<u32> {
        mem::take(&mut self.accused)
    }

    /// Hands on what was written so far.
    pub fn flush(&mut self) -> Result<(), OutputError> {
        for observer in &mut self.observers {
            observer.flush()?;
        }
        Ok(self.sink.flush()?)
    }

    /// No more events come: writes what is still to be said, and the accounting.
    pub fn finish(&mut self) -> Result<(), OutputError> {
        self.engine.finish(&mut self.updates);
        self.write()?;
        let summary = self.engine.summary();
        for observer in &mut self.observers {
            observer.account(&summary.clone().into())?;
        }
        self.sink.account(&self.filter.account(summary))?;
        self.flush()
    }

    /// A finding was written.
    pub fn had_finding(&self) -> bool {
        self.had_finding
    }

    fn write(&mut self) -> Result<(), OutputError> {
        for update in self.updates.drain(..) {
            for observer in &mut self.observers {
                observer.update(&update)?;
            }
            if self.filter.passes(&update) {
                if let Update::Finding(finding) = &update {
                    self.had_finding = true;
                    accuse(finding, &mut self.accused);
                }
                self.sink.update(&update)?;
            }
        }
        Ok(())
    }
}

/// The finding's client, if it is an Envoy on this node.
fn accuse(finding: &Finding, accused: &mut Vec<u32>) {
    /// Nobody may take them.
    const MAX_ACCUSED: usize = 64;

    let is_envoy = finding.client.process.as_deref() == Some("envoy");
    let pid = finding.client.pid.filter(|pid| is_envoy && !accused.contains(pid));
    accused.extend(pid.filter(|_| accused.len() < MAX_ACCUSED));
}
