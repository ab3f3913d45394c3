//! One connection: from segments to what the connecting end's kernel would tell; must not know other connections.

use bytes::Bytes;

use crate::{
    event::{
        Event,
        loss::Loss,
        socket::{Direction, Ended, Established, Opened, Owner, Reset, SocketId, State},
        time::Time,
    },
    source::capture::{
        order::Ordered,
        other_end,
        payload::{Payloads, Piece, Told, WINDOW_BYTES},
        redirected::{self, Accepted},
        segment::{Endpoint, Segment, Undelivered, errno},
        stack::Stack,
        stream::{Fin, Stream},
        tally::Tally,
    },
};

/// SYNs of a connect that its kernel gave up: one, and 6 more (`tcp_syn_retries`, Documentation/networking/ip-sysctl.rst).
const SYNS_MAX: u32 = 7;

/// Where to what is found goes.
pub(super) struct Telling<'a> {
    /// Nothing is told for an earlier time.
    pub(super) now: Time,
    pub(super) events: &'a mut Ordered,
    pub(super) tally: &'a mut Tally,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug)]
struct End {
    time: Time,
    state: State,
    error: u32,
    /// A reset by the client ended it.
    is_cut_by_client: bool,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: SocketId,
    pub(super) client: Endpoint,
    pub(super) server: Endpoint,
    /// What the client sends.
    out: Stream,
    /// What the server sends.
    back: Stream,
    owner: Owner,
    /// Where it was redirected to, if it was.
    redirected_to: Option<Endpoint>,
    /// Its beginning is not in the capture.
    is_older: bool,
    beginning: Beginning,
    is_answered: bool,
    /// Something of the client is in the capture.
    is_client_heard: bool,
    /// When the client last sent payload.
    last_sent: Option<Time>,
    syns: u32,
    last_syn: Time,
    /// When payload was looked at last: its end is told after that.
    last_looked: Time,
    /// Gone once nothing more is to be told of payload.
    payloads: Option<Box<Payloads>>,
    life: Life,
    /// Whether its server's stack was captured.
    pub(super) stack: Stack,
}

/// Whether its beginning was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    /// What it wanted to reach is not known yet.
    Held,
    Told,
}

/// Whether it ended, and whether that was told.
#[derive(Clone, Copy, Debug)]
enum Life {
    Open,
    Ended(End),
    Told,
}

impl Connection {
    /// A connect was started.
    pub(super) fn begin(
        time: Time,
        id: SocketId,
        [client, server]: [Endpoint; 2],
        syn: u32,
        owner: Owner,
    ) -> Self {
        Self {
            id,
            client,
            server,
            owner,
            redirected_to: None,
            beginning: Beginning::Held,
            out: Stream::from_syn(syn),
            back: Stream::default(),
            is_older: false,
            is_answered: false,
            is_client_heard: false,
            last_sent: None,
            syns: 0,
            last_syn: time,
            last_looked: time,
            payloads: Some(Box::default()),
            life: Life::Open,
            stack: Stack::default(),
        }
    }

    /// A connection of which the beginning is not in the capture.
    pub(super) fn older(time: Time, id: SocketId, segment: &Segment<'_>) -> Self {
        let from_source = Stream::from_syn(segment.sequence.wrapping_sub(1));
        let mut from_destination = Stream::from_syn(segment.acknowledged.wrapping_sub(1));
        from_destination.acknowledge(1);
        // Which end connected is not known; mostly it has the higher port.
        let is_from_client = segment.source.port > segment.destination.port;
        let (client, server, out, back) = if is_from_client {
            (segment.source, segment.destination, from_source, from_destination)
        } else {
            (segment.destination, segment.source, from_destination, from_source)
        };
        Self {
            id,
            client,
            server,
            owner: redirected::nobody(),
            redirected_to: None,
            beginning: Beginning::Told,
            out,
            back,
            is_older: true,
            is_answered: true,
            is_client_heard: true,
            last_sent: None,
            syns: 1,
            last_syn: time,
            last_looked: time,
            payloads: None,
            life: Life::Open,
            stack: Stack::default(),
        }
    }

    /// Its beginning is told, where it was not yet.
    pub(super) fn open(&mut self, telling: &mut Telling<'_>) {
        if self.beginning == Beginning::Told {
            return;
        }
        self.beginning = Beginning::Told;
        telling.tally.begin();
        telling.events.push(Event::Opened(Opened {
            time: telling.now,
            socket: self.id,
            local: self.client.into(),
            remote: self.server.into(),
            owner: self.owner.clone(),
        }));
    }

    /// From which address it comes, if it is redirected.
    pub(super) fn redirected_from(&self) -> Option<u128> {
        self.redirected_to.map(|_| self.client.address)
    }

    /// The proxy's end, if it was redirected to one.
    fn accepted(&self) -> Option<Accepted> {
        let local = self.redirected_to?.into();
        Some(Accepted { socket: other_end(self.id), local, remote: self.client.into() })
    }

    /// Its answer comes from there. Where that is not what its SYN was sent to, that was not what it had wanted to reach.
    fn answered_by(&mut self, source: Endpoint) {
        if self.beginning == Beginning::Held && source != self.server {
            self.redirected_to = Some(std::mem::replace(&mut self.server, source));
        }
    }

    /// Sequence number of the client's SYN.
    pub(super) fn syn(&self) -> Option<u32> {
        self.out.first()
    }

    /// Its beginning is not in the capture.
    pub(super) fn is_older(&self) -> bool {
        self.is_older
    }

    /// Its connect has no answer yet.
    pub(super) fn is_connecting(&self) -> bool {
        !self.is_answered && !self.is_over()
    }

    /// It ended, and that was told.
    pub(super) fn is_told(&self) -> bool {
        matches!(self.life, Life::Told)
    }

    /// It ended.
    pub(super) fn is_over(&self) -> bool {
        !matches!(self.life, Life::Open)
    }

    /// The client has closed, so that sooner or later it ends, with or without more segments in the capture.
    pub(super) fn is_closing(&self) -> bool {
        !self.is_over() && (self.out.is_ended_and_acknowledged() || self.are_both_closed())
    }

    /// The SYN was sent more than once.
    pub(super) fn is_repeating(&self) -> bool {
        self.is_connecting() && self.syns > 1
    }

    /// No SYN came since then.
    pub(super) fn has_rested(&self, since: Time) -> bool {
        self.last_syn <= since
    }

    /// Takes in a segment of either end.
    pub(super) fn segment(&mut self, time: Time, segment: &Segment<'_>, telling: &mut Telling<'_>) {
        let is_from_client = segment.source == self.client;
        let flags = segment.flags;
        self.is_client_heard |= is_from_client;
        if flags.has_rst() {
            self.reset(time, segment, is_from_client, telling);
            return;
        }
        if flags.has_syn() && is_from_client {
            self.syns = self.syns.saturating_add(1);
            self.last_syn = self.last_syn.max(time);
        } else if flags.has_syn() {
            self.back.set_first(segment.sequence);
            self.answered_by(segment.source);
        } else if is_from_client && flags.has_ack() {
            // The answer to the connect is not in the capture; the client has it.
            self.back.set_first(segment.acknowledged.wrapping_sub(1));
        }
        let has_space = self.acknowledge(segment, is_from_client);
        if !self.is_answered && (is_from_client != flags.has_syn()) && flags.has_ack() {
            self.answered(time, telling);
        }
        let (own, _) = self.streams(is_from_client);
        let Some(offset) = own.offset(segment.sequence.wrapping_add(u32::from(flags.has_syn()))) else {
            return;
        };
        if segment.payload_bytes > 0 {
            self.payload(time, segment, is_from_client, offset, has_space, telling);
        }
        if flags.has_fin() {
            let after_bytes = offset + u64::from(segment.payload_bytes);
            let (own, _) = self.streams(is_from_client);
            own.end(Fin { time, after_bytes, other: has_space });
        }
        if let (Life::Open, Some(end)) = (self.life, self.ending(time)) {
            self.life = Life::Ended(end);
        }
    }

    /// The ICMP error is about its connect, and ends it.
    pub(super) fn undelivered(&mut self, time: Time, what: &Undelivered) {
        let is_connect = what.source == self.client && self.out.first() == Some(what.sequence);
        if is_connect && self.is_connecting() {
            self.life = Life::Ended(End::of(time, State::SynSent, what.error));
        }
    }

    /// Nothing more of it comes, or comes for long enough: it ends if it cannot go on.
    pub(super) fn rest(&mut self) {
        if self.is_connecting() {
            let error = if self.syns >= SYNS_MAX { errno::TIMED_OUT } else { 0 };
            self.life = Life::Ended(End::of(self.last_syn, State::SynSent, error));
        } else if self.is_closing() {
            let time = [self.out.fin, self.back.fin].into_iter().flatten().map(|fin| fin.time).max();
            if let Some(time) = time {
                self.life = Life::Ended(End::of(time, self.state(), 0));
            }
        }
    }

    /// Tells of the payload that is held, and of the end if there is one.
    pub(super) fn tell(&mut self, telling: &mut Telling<'_>) {
        self.open(telling);
        let Telling { events, tally, .. } = telling;
        if let Some(mut payloads) = self.payloads.take() {
            let mut told = Told {
                socket: self.id,
                events: &mut |event| events.push(event),
                losses: &mut |loss| tally.lose(loss),
            };
            payloads.finish(&mut told);
        }
        if self.is_told() {
            return;
        }
        if !self.is_older && (self.out.has_gap() || self.back.has_gap()) {
            tally.lose(Loss::CaptureGap);
        }
        if let Life::Ended(end) = self.life {
            self.life = Life::Told;
            let ended = self.ended(end);
            if let Some(accepted) = self.accepted() {
                let state = state_of(&self.back, &self.out);
                let error = if end.is_cut_by_client { errno::RESET } else { 0 };
                let of_app = Ended { error, ..ended.clone() };
                events.push(accepted.ended(&of_app, state, self.back.acknowledged, self.out.fin.is_some()));
            }
            events.push(Event::Ended(ended));
        }
    }

    fn streams(&mut self, is_from_client: bool) -> (&mut Stream, &mut Stream) {
        if is_from_client { (&mut self.out, &mut self.back) } else { (&mut self.back, &mut self.out) }
    }

    /// How much of the other direction's sequence space the sender has.
    fn acknowledge(&mut self, segment: &Segment<'_>, is_from_client: bool) -> u64 {
        let (_, other) = self.streams(is_from_client);
        let space = if segment.flags.has_ack() { other.space(segment.acknowledged) } else { None };
        other.acknowledge(space.unwrap_or(0));
        space.unwrap_or(0)
    }

    fn answered(&mut self, time: Time, telling: &mut Telling<'_>) {
        self.is_answered = true;
        self.open(telling);
        let (local, remote) = (self.client.into(), self.server.into());
        telling.events.push(Event::Established(Established { time, socket: self.id, local, remote }));
        self.stack.tell(time, self.id, telling.events);
        if let Some(accepted) = self.accepted() {
            telling.tally.begin();
            telling.events.push(accepted.began(time));
        }
    }

    fn payload(
        &mut self,
        time: Time,
        segment: &Segment<'_>,
        is_from_client: bool,
        offset: u64,
        has_space: u64,
        telling: &mut Telling<'_>,
    ) {
        let (own, _) = self.streams(is_from_client);
        let is_new = own.sent(offset + u64::from(segment.payload_bytes));
        if is_from_client && is_new {
            self.last_sent = self.last_sent.max(Some(time));
        }
        // What answers nobody may be the half of a connection whose other half goes another way.
        if !self.is_client_heard {
            return;
        }
        // Far beyond the beginning, which is where nearly all packets are, this is all.
        let (Some(payloads), Ok(offset)) = (self.payloads.as_mut(), u32::try_from(offset)) else { return };
        if u64::from(offset) >= WINDOW_BYTES {
            if self.out.sent_bytes > 2 * WINDOW_BYTES && self.back.sent_bytes > 2 * WINDOW_BYTES {
                self.payloads = None;
            }
            return;
        }
        let Telling { events, tally, .. } = telling;
        let mut told = Told {
            socket: self.id,
            events: &mut |event| events.push(event),
            losses: &mut |loss| tally.lose(loss),
        };
        self.last_looked = self.last_looked.max(time);
        let limit = usize::try_from(WINDOW_BYTES).unwrap_or(usize::MAX);
        let piece = Piece {
            time,
            is_from_client,
            offset,
            other_offset: u32::try_from(has_space.saturating_sub(1)).unwrap_or(u32::MAX - 1),
            bytes: segment.payload_bytes,
            data: Bytes::copy_from_slice(&segment.payload[..segment.payload.len().min(limit)]),
        };
        payloads.add(piece, &mut told);
        if payloads.is_over() {
            self.payloads = None;
        }
    }

    fn reset(&mut self, time: Time, segment: &Segment<'_>, is_from_client: bool, telling: &mut Telling<'_>) {
        if self.is_over() {
            return;
        }
        let is_connecting = self.is_connecting();
        let (own, other) = self.streams(is_from_client);
        let is_of_connect = segment.flags.has_ack() && other.space(segment.acknowledged) == Some(1);
        let is_ours = if is_connecting && !is_from_client {
            is_of_connect
        } else {
            own.offset(segment.sequence).is_some()
        };
        if !is_ours {
            return;
        }
        let (state, error) = match (is_connecting, is_from_client, self.state()) {
            (true, true, _) => (State::SynSent, 0),
            (true, false, _) => (State::SynSent, errno::REFUSED),
            (false, true, state @ (State::Established | State::CloseWait)) => (state, 0),
            // `tcp_reset` (net/ipv4/tcp_input.c).
            (false, false, State::CloseWait) => (State::CloseWait, errno::BROKEN_PIPE),
            (false, _, state) => (state, errno::RESET),
        };
        if !self.is_older {
            self.open(telling);
            let reset = Reset {
                time,
                socket: Some(self.id),
                direction: if is_from_client { Direction::Sent } else { Direction::Received },
                local: self.client.into(),
                remote: self.server.into(),
                reason: None,
                connecting: is_connecting,
            };
            if let Some(accepted) = self.accepted() {
                telling.events.push(accepted.reset(&reset));
            }
            telling.events.push(Event::Reset(reset));
        }
        self.life = Life::Ended(End { time, state, error, is_cut_by_client: is_from_client });
    }

    fn are_both_closed(&self) -> bool {
        self.out.fin.is_some() && self.back.fin.is_some()
    }

    /// The client's state now.
    fn state(&self) -> State {
        state_of(&self.out, &self.back)
    }

    /// The end, once both have closed and the client's kernel is done with it.
    fn ending(&self, time: Time) -> Option<End> {
        let peers = self.back.fin.filter(|_| self.out.is_ended_and_acknowledged())?;
        let state = self.state();
        let time = if state == State::FinWait2 { peers.time } else { time };
        Some(End::of(time, state, 0))
    }

    fn ended(&self, End { time, state, error, .. }: End) -> Ended {
        Ended {
            time: time.max(self.last_looked),
            socket: self.id,
            local: self.client.into(),
            remote: self.server.into(),
            uid: u32::MAX,
            cgroup: 0,
            netns: 0,
            state,
            error,
            bytes_sent: self.out.sent_bytes,
            bytes_acked: self.out.acknowledged,
            bytes_received: self.back.sent_bytes.max(self.back.arrived_bytes()),
            peer_closed: self.back.fin.is_some(),
            last_sent: self.last_sent,
            srtt_us: 0,
            accepted: None,
        }
    }
}

impl End {
    /// Not by a reset.
    fn of(time: Time, state: State, error: u32) -> Self {
        Self { time, state, error, is_cut_by_client: false }
    }
}

/// The state of the end that has sent `own` (RFC 9293 §3.3.2).
fn state_of(own: &Stream, peers: &Stream) -> State {
    match (own.fin, peers.fin) {
        (None, None) => State::Established,
        (None, Some(_)) => State::CloseWait,
        (Some(_), None) if own.is_ended_and_acknowledged() => State::FinWait2,
        (Some(_), None) => State::FinWait1,
        // Each FIN tells whether its sender had the other's.
        (Some(_), Some(fin)) if Some(fin.other) >= own.whole() => State::FinWait2,
        (Some(fin), Some(_)) if Some(fin.other) >= peers.whole() => State::LastAck,
        (Some(_), Some(_)) => State::Closing,
    }
}
