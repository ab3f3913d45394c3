//! All connections of a capture: segments in, events out in the order of their time; must not know packets or files.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use crate::{
    event::{
        Began, Capture, Event,
        loss::Loss,
        socket::SocketId,
        time::{MILLISECOND_NS, SECOND_NS, Time},
    },
    source::capture::{
        CAPTURED,
        connection::{Connection, Telling},
        link::Way,
        order::Ordered,
        redirected::{self, Redirections},
        segment::{Content, Endpoint, Segment, Undelivered},
        table::{Ends, Slot, Table},
        tally::Tally,
    },
};

/// Most connections that are followed at a time, as many as the core keeps flows.
const CONNECTIONS_MAX: usize = 262_144;

/// Packets of several interfaces may come in another order than they were sent: an end is told this much later.
const LATE_NS: u64 = 100 * MILLISECOND_NS;

/// No state of TCP lasts longer without a packet, but an open connection: the longest is the wait after the last SYN, 64 s.
const REST_NS: u64 = 70 * SECOND_NS;

/// Losses are told at most this often, and counts at least this often.
const COUNT_NS: (u64, u64) = (10 * MILLISECOND_NS, SECOND_NS);

/// Connections, and what is to be told of them.
#[derive(Debug)]
pub(super) struct Tracker {
    node: Box<str>,
    limit: usize,
    table: Table,
    /// Ended, and to be told from then on.
    ending: VecDeque<(Time, Slot)>,
    /// To be looked at then: nothing more of them may come.
    resting: VecDeque<(Time, Slot)>,
    /// Told, and forgotten then; until then late segments are known to be theirs.
    over: VecDeque<(Time, Slot)>,
    /// What pods redirect to their sidecars now.
    redirections: Redirections,
    /// Which way the packet went that is taken in; known where all interfaces are captured.
    way: Way,
    events: Ordered,
    tally: Tally,
    /// None before the first packet.
    now: Option<Time>,
    /// The beginning, which goes before everything.
    began: Option<Event>,
    /// Of the first packet.
    first: Time,
    counted_at: Time,
    is_finished: bool,
}

impl Tracker {
    /// Nothing came yet.
    pub(super) fn new(node: &str) -> Self {
        Self {
            node: node.into(),
            limit: CONNECTIONS_MAX,
            table: Table::default(),
            ending: VecDeque::new(),
            resting: VecDeque::new(),
            over: VecDeque::new(),
            redirections: Redirections::default(),
            way: Way::NotKnown,
            events: Ordered::default(),
            tally: Tally::default(),
            now: None,
            began: None,
            first: Time::default(),
            counted_at: Time::default(),
            is_finished: false,
        }
    }

    /// The same with another bound.
    pub(super) fn with_limit(self, limit: usize) -> Self {
        Self { limit: limit.max(1), ..self }
    }

    /// The next event that is due.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        if self.began.is_some() {
            return self.began.take();
        }
        let until = if self.is_finished { Time(u64::MAX) } else { self.told_until()? };
        self.events.next_until(until)
    }

    /// Until then everything is told; none before the first packet.
    pub(super) fn told_until(&self) -> Option<Time> {
        Some((self.now? - LATE_NS).max(self.first))
    }

    /// Something of the capture is lost.
    pub(super) fn lose(&mut self, loss: Loss, count: u64) {
        self.tally.lose_many(loss, count);
    }

    /// Takes in what was in a packet, which went this way.
    pub(super) fn take(&mut self, time: Time, way: Way, content: &Content<'_>) {
        self.way = way;
        self.pass(time);
        match content {
            Content::Segment(segment) => self.segment(time, segment),
            Content::Undelivered(what) => self.undelivered(time, what),
            Content::Lost(loss) => self.tally.lose(*loss),
            Content::Other => {}
        }
    }

    /// The capture is over. What is still open stays so, unless it cannot go on.
    pub(super) fn finish(&mut self) {
        if self.is_finished {
            return;
        }
        self.is_finished = true;
        for slot in self.table.all() {
            let Some(connection) = self.table.get_mut(slot) else { continue };
            if connection.is_closing() {
                connection.rest();
            }
            let now = self.now.unwrap_or_default();
            connection.tell(&mut Telling { now, events: &mut self.events, tally: &mut self.tally });
        }
        if self.now.is_some() || self.tally.has_news() {
            self.count(self.now.unwrap_or_default());
        }
    }

    fn segment(&mut self, time: Time, segment: &Segment<'_>) {
        let ends = Ends::of(segment.source, segment.destination);
        let slot = match self.table.find(ends) {
            Some(slot) if !self.is_used_again(slot, segment) => slot,
            Some(slot) => {
                self.replace(slot);
                let Some(slot) = self.begin(time, ends, segment) else { return };
                slot
            }
            None => {
                let known = self.translated(ends, segment);
                let Some(slot) = known.or_else(|| self.begin(time, ends, segment)) else { return };
                slot
            }
        };
        let Self { table, events, tally, redirections, way, .. } = self;
        let Some(connection) = table.get_mut(slot) else { return };
        connection.stack.saw(*way, segment.source == connection.client);
        if connection.is_told() {
            return;
        }
        let (was_over, was_closing) = (connection.is_over(), connection.is_closing());
        let was_redirected = connection.redirected_from().is_some();
        connection.segment(time, segment, &mut Telling { now: time, events, tally });
        if let Some(address) = connection.redirected_from().filter(|_| !was_redirected) {
            redirections.add(address);
        }
        if connection.is_over() {
            if !was_over {
                self.end(time, slot);
            }
        } else if (connection.is_closing() && !was_closing)
            || (connection.is_repeating() && segment.flags.has_syn())
        {
            self.resting.push_back((time + REST_NS, slot));
        }
    }

    fn undelivered(&mut self, time: Time, what: &Undelivered) {
        let Some(slot) = self.table.find(Ends::of(what.source, what.destination)) else { return };
        let Some(connection) = self.table.get_mut(slot) else { return };
        let was_over = connection.is_over();
        connection.undelivered(time, what);
        if connection.is_over() && !was_over {
            self.end(time, slot);
        }
    }

    fn end(&mut self, time: Time, slot: Slot) {
        let now = self.now.unwrap_or(time);
        self.ending.push_back((now + LATE_NS, slot));
    }

    /// The segment begins another connection between the same ends.
    fn is_used_again(&mut self, slot: Slot, segment: &Segment<'_>) -> bool {
        let Some(connection) = self.table.get_mut(slot) else { return false };
        if !segment.flags.has_syn() {
            return false;
        }
        if !segment.flags.has_ack() {
            return segment.source != connection.client
                || connection.syn() != Some(segment.sequence)
                || connection.is_older();
        }
        let is_of_this = segment.destination == connection.client
            && connection.syn() == Some(segment.acknowledged.wrapping_sub(1));
        !is_of_this && (connection.is_over() || connection.is_older())
    }

    /// A SYN or its answer is of a connection that was seen between other ends: its other end is translated on its way, as by
    /// a Service's address or the redirection to a sidecar, where answers have the address that was wanted.
    fn translated(&mut self, ends: Ends, segment: &Segment<'_>) -> Option<Slot> {
        let (client, syn) = match (segment.flags.has_syn(), segment.flags.has_ack()) {
            (true, false) => (segment.source, segment.sequence),
            (true, true) => (segment.destination, segment.acknowledged.wrapping_sub(1)),
            (false, _) => return None,
        };
        let slot = self.table.of_beginning(client, syn)?;
        self.table.translate(slot, ends).then_some(slot)
    }

    /// The connection is over, because its ends are used by another one.
    fn replace(&mut self, slot: Slot) {
        let Some(mut connection) = self.table.remove(slot) else { return };
        if connection.is_connecting() || connection.is_closing() {
            connection.rest();
        }
        self.let_go(connection);
    }

    /// A connection is forgotten. If its end was not seen, that is lost.
    fn let_go(&mut self, mut connection: Connection) {
        let now = self.now.unwrap_or_default();
        let Self { events, tally, redirections, .. } = self;
        if !connection.is_over() && !connection.is_older() {
            tally.lose(Loss::Ended);
        }
        if let Some(address) = connection.redirected_from().filter(|_| !connection.is_told()) {
            redirections.remove(address);
        }
        connection.tell(&mut Telling { now, events, tally });
    }

    /// A connection that was not known; none when the segment is of none.
    fn begin(&mut self, time: Time, ends: Ends, segment: &Segment<'_>) -> Option<Slot> {
        if segment.flags.has_rst() || segment.source == segment.destination {
            return None;
        }
        self.make_room();
        let connection = match (segment.flags.has_syn(), segment.flags.has_ack()) {
            (true, false) => self.begun(time, [segment.source, segment.destination], segment.sequence),
            // The SYN is not in the capture, but all that follows is.
            (true, true) => {
                let syn = segment.acknowledged.wrapping_sub(1);
                self.begun(time, [segment.destination, segment.source], syn)
            }
            (false, _) => {
                let both = [segment.source, segment.destination];
                Connection::older(time, id_of(both, segment.sequence), segment)
            }
        };
        Some(self.table.insert(ends, connection))
    }

    /// A connection from its SYN on. What may be redirected is told once its answer shows what it wanted to reach: that all of it is seen,
    /// what the sidecar makes of it too, is known where all interfaces are captured.
    fn begun(&mut self, time: Time, [client, server]: [Endpoint; 2], syn: u32) -> Connection {
        let owner = self.redirections.owner(client.address);
        let mut connection =
            Connection::begin(time, id_of([client, server], syn), [client, server], syn, owner);
        if self.way == Way::NotKnown || !redirected::may_be(client, server) {
            connection.open(&mut Telling { now: time, events: &mut self.events, tally: &mut self.tally });
        }
        connection
    }

    fn make_room(&mut self) {
        while self.table.len() >= self.limit {
            if let Some((_, slot)) = self.over.pop_front() {
                self.table.remove(slot);
            } else if let Some(oldest) = self.table.remove_oldest() {
                self.let_go(oldest);
            } else {
                return;
            }
        }
    }

    /// Time passes: connections that ended are told, those that were told are forgotten.
    fn pass(&mut self, time: Time) {
        let now = match self.now {
            None => {
                let (node, capture) = (self.node.clone(), Capture::Always);
                self.began = Some(Event::Began(Began { time, node, capture, looks_up: false }));
                self.counted_at = time;
                self.first = time;
                time
            }
            Some(now) => now.max(time),
        };
        self.now = Some(now);
        while let Some(slot) = due(&mut self.resting, now) {
            self.rest(slot, now);
        }
        while let Some(slot) = due(&mut self.ending, now) {
            let Self { table, events, tally, redirections, .. } = self;
            if let Some(connection) = table.get_mut(slot) {
                if let Some(address) = connection.redirected_from().filter(|_| !connection.is_told()) {
                    redirections.remove(address);
                }
                connection.tell(&mut Telling { now, events, tally });
                self.over.push_back((now + REST_NS, slot));
            }
        }
        while let Some(slot) = due(&mut self.over, now) {
            self.table.remove(slot);
        }
        let since = now.since_ns(self.counted_at);
        if since >= COUNT_NS.1 || (self.tally.has_news() && since >= COUNT_NS.0) {
            self.count(now);
        }
    }

    fn rest(&mut self, slot: Slot, now: Time) {
        let Some(connection) = self.table.get_mut(slot) else { return };
        if connection.is_closing() || (connection.is_repeating() && connection.has_rested(now - REST_NS)) {
            connection.rest();
            self.end(now, slot);
        }
    }

    fn count(&mut self, now: Time) {
        self.counted_at = now;
        self.events.push(Event::Counted(self.tally.counters(now)));
    }
}

/// What is due first, if it is.
fn due(queue: &mut VecDeque<(Time, Slot)>, now: Time) -> Option<Slot> {
    let (time, slot) = *queue.front()?;
    if time > now {
        return None;
    }
    queue.pop_front();
    Some(slot)
}

/// The same connection has the same number in every capture, and another one than any kernel's socket has.
fn id_of(ends: [Endpoint; 2], sequence: u32) -> SocketId {
    let mut hasher = DefaultHasher::new();
    (ends, sequence).hash(&mut hasher);
    SocketId(hasher.finish() | CAPTURED)
}
