//! The tracer's kernel source inside the test, drained until what a test waits for has come; it must not know what that is.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use mtlsnoop::{
    engine::{Connections, Engine, Settings},
    event::{
        Event,
        socket::{
            Direction, Ended, Established, FirstBytes, HelloSegment, Listener, Opened, Reset, SocketId,
        },
    },
    source::kernel::{Hook, Kernel, Options},
    update::{Summary, Update},
};
use mtlsnoop_tests::wait;

use crate::ground::{Ground, Pair};

/// A running tracer with all its events, also those of other network namespaces.
pub(crate) struct Watch {
    kernel: Kernel,
    /// Only what happens there is found; none where the kernel does not tell the namespaces' inodes.
    netns: Option<u32>,
    events: Vec<Event>,
    engine: Engine,
    updates: Vec<Update>,
}

/// All that happened to one socket.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) established: Vec<Established>,
    pub(crate) hellos: Vec<HelloSegment>,
    pub(crate) first_bytes: Vec<FirstBytes>,
    pub(crate) resets: Vec<Reset>,
    pub(crate) ended: Vec<Ended>,
}

/// The sockets of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) client: SocketId,
    pub(crate) server: SocketId,
}

impl Watch {
    /// Attaches everything; what happens from now on in this namespace can be asked for.
    pub(crate) fn start(ground: &Ground) -> Result<Self> {
        // Others on this machine may make many connections meanwhile, which take space as well.
        Self::start_with(ground, &Options { ring_bytes: 64 << 20, ..Options::default() })
    }

    /// As [`Self::start`], with options.
    pub(crate) fn start_with(ground: &Ground, options: &Options) -> Result<Self> {
        let kernel = Kernel::start(options)?;
        let engine = Engine::new(Settings { connections: Connections::All, ..Settings::default() });
        Ok(Self { kernel, netns: Some(ground.inode()?), events: Vec::new(), engine, updates: Vec::new() })
    }

    /// Finds what happens in every network namespace.
    pub(crate) fn any_netns(&mut self) {
        self.netns = None;
    }

    /// The tracer, for what tests do with it.
    pub(crate) fn kernel(&mut self) -> &mut Kernel {
        &mut self.kernel
    }

    /// The kernel tells why it sends a reset.
    pub(crate) fn gives_reasons(&self) -> bool {
        let gives = self.kernel.coverage().iter().any(|hook| hook.program == Some("reset_sent"));
        if !gives {
            eprintln!(
                "this kernel gives no reasons for resets; neither they nor resets for no socket are checked"
            );
        }
        gives
    }

    /// Takes in what has happened.
    pub(crate) fn drain(&mut self) {
        let Self { kernel, events, engine, updates, .. } = self;
        kernel.drain(&mut |event| {
            engine.apply(&event, updates);
            events.push(event);
        });
    }

    /// Waits for an event.
    pub(crate) fn until<T>(&mut self, what: &str, find: impl Fn(&Event) -> Option<T>) -> Result<T> {
        let mut looked_at = 0;
        let found = wait::until(what, wait::LONG, || {
            self.drain();
            let found = self.events[looked_at..].iter().find_map(&find);
            looked_at = self.events.len();
            Ok(found)
        });
        found.with_context(|| format!("the accounting: {:?}", self.engine.summary()))
    }

    /// Waits until so many ticks more have come.
    pub(crate) fn until_ticks(&mut self, count: usize) -> Result<()> {
        let ticks = |events: &[Event]| events.iter().filter(|event| matches!(event, Event::Tick(_))).count();
        let before = ticks(&self.events);
        wait::until_true("ticks", wait::LONG, || {
            self.drain();
            Ok(ticks(&self.events) >= before + count)
        })
    }

    /// Waits until the accounting says something.
    pub(crate) fn until_accounts(&mut self, what: &str, holds: impl Fn(&Summary) -> bool) -> Result<Summary> {
        wait::until(what, wait::LONG, || {
            self.drain();
            let summary = self.engine.summary();
            Ok(holds(&summary).then_some(summary))
        })
    }

    /// Waits for a connect to this address.
    pub(crate) fn opened(&mut self, to: SocketAddr) -> Result<Opened> {
        let netns = self.netns;
        self.until(&format!("a connect to {to}"), |event| match event {
            Event::Opened(opened) if is_at(netns, opened.owner.netns) && opened.remote == to => {
                Some(opened.clone())
            }
            _ => None,
        })
    }

    /// Waits for a connection accepted between these addresses.
    pub(crate) fn accepted(&mut self, from: SocketAddr, to: SocketAddr) -> Result<Opened> {
        let netns = self.netns;
        self.until(&format!("a connection accepted from {from}"), |event| match event {
            Event::Accepted(accepted)
                if is_at(netns, accepted.owner.netns) && (accepted.local, accepted.remote) == (to, from) =>
            {
                Some(accepted.clone())
            }
            _ => None,
        })
    }

    /// Waits for the beginning of a connection at both its ends.
    pub(crate) fn ids(&mut self, pair: &Pair) -> Result<Ids> {
        let client = self.opened(pair.to)?.socket;
        let server = self.accepted(pair.from, pair.to)?.socket;
        Ok(Ids { client, server })
    }

    /// Waits for the end of a socket between these addresses, which need not have been seen before.
    pub(crate) fn ended_at(&mut self, local: SocketAddr, remote: SocketAddr) -> Result<Ended> {
        let netns = self.netns;
        self.until(&format!("the end of {local}"), |event| match event {
            Event::Ended(ended)
                if is_at(netns, ended.netns) && (ended.local, ended.remote) == (local, remote) =>
            {
                Some(ended.clone())
            }
            _ => None,
        })
    }

    /// Waits for the end of a socket.
    pub(crate) fn ended(&mut self, socket: SocketId) -> Result<Ended> {
        self.until(&format!("the end of {socket:?}"), |event| match event {
            Event::Ended(ended) if ended.socket == socket => Some(ended.clone()),
            _ => None,
        })
    }

    /// Waits for a reset of a socket.
    pub(crate) fn reset(&mut self, socket: SocketId, direction: Direction) -> Result<Reset> {
        self.until(&format!("a reset {direction:?} by {socket:?}"), |event| match event {
            Event::Reset(reset) if (reset.socket, reset.direction) == (Some(socket), direction) => {
                Some(reset.clone())
            }
            _ => None,
        })
    }

    /// Waits for the beginning or the end of a listener at this address.
    pub(crate) fn listener(
        &mut self,
        at: SocketAddr,
        of: impl Fn(&Event) -> Option<&Listener>,
    ) -> Result<Listener> {
        let netns = self.netns;
        self.until(&format!("a listener at {at}"), |event| {
            of(event).filter(|seen| is_at(netns, seen.owner.netns) && seen.local == at).cloned()
        })
    }

    /// Waits for both ends of a connection to end, and gives all that happened to each.
    pub(crate) fn stories(&mut self, ids: Ids) -> Result<(Story, Story)> {
        self.ended(ids.client)?;
        self.ended(ids.server)?;
        Ok((self.story(ids.client), self.story(ids.server)))
    }

    /// All that was told of a socket so far.
    pub(crate) fn story(&self, id: SocketId) -> Story {
        let mut story = Story::default();
        for event in &self.events {
            match event {
                Event::Established(seen) if seen.socket == id => story.established.push(seen.clone()),
                Event::Hello(seen) if seen.socket == id => story.hellos.push(seen.clone()),
                Event::FirstBytes(seen) if seen.socket == id => story.first_bytes.push(seen.clone()),
                Event::Reset(seen) if seen.socket == Some(id) => story.resets.push(seen.clone()),
                Event::Ended(seen) if seen.socket == id => story.ended.push(seen.clone()),
                _ => {}
            }
        }
        story
    }

    /// What is attached.
    pub(crate) fn coverage(&self) -> &[Hook] {
        self.kernel.coverage()
    }

    /// Everything so far.
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// All that the core had to say of it.
    pub(crate) fn updates(&self) -> &[Update] {
        &self.updates
    }
}

/// It happened where this looks.
fn is_at(netns: Option<u32>, seen: u32) -> bool {
    netns.is_none_or(|netns| netns == seen)
}

impl Story {
    /// The hello that went this way, put together; `None` when a byte is missing or told twice with another value.
    pub(crate) fn hello(&self, direction: Direction) -> Option<Vec<u8>> {
        let mut hello: Vec<u8> = Vec::new();
        for segment in self.hellos.iter().filter(|segment| segment.direction == direction) {
            // What was sent again was also seen again.
            let again = hello.get(usize::try_from(segment.offset).ok()?..)?.len().min(segment.data.len());
            if !hello.ends_with(&segment.data[..again]) {
                return None;
            }
            hello.extend_from_slice(&segment.data[again..]);
        }
        Some(hello)
    }
}
