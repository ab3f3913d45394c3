//! `cgroup_skb` egress and ingress: the first payload of each direction, without state per socket.
//!
//! Where a packet is in its stream is computed from the socket's own counters, so that all but the first packets leave
//! after a few loads. Only a `ClientHello` and the first bytes of its answer are exported; of anything else, a class.

use core::ptr;

use aya_ebpf::{
    bindings::{__sk_buff, bpf_tcp_sock},
    helpers::generated::{bpf_get_socket_cookie, bpf_skb_load_bytes, bpf_tcp_sock as tcp_sock_of},
    programs::SkBuffContext,
};
use mtlsnoop_ebpf::{
    classify::{Class, HELLO_HEADER_BYTES, LOOK_BYTES, hello_bytes},
    counter,
    record::{
        ANSWER_LIMIT_BYTES, FirstBytes, HELLO_LIMIT_BYTES, HELLO_SEGMENT_BYTES, HelloSegment, flag, kind,
    },
};

use crate::{
    emit,
    maps::{HELLOS, Hello},
};

/// Payload leaves a socket.
#[inline(always)]
pub(crate) fn sent(ctx: &SkBuffContext) {
    if let Some(segment) = Segment::sent(ctx.skb.skb) {
        segment.look();
    }
}

/// Payload reaches a socket.
#[inline(always)]
pub(crate) fn received(ctx: &SkBuffContext) {
    if let Some(segment) = Segment::received(ctx.skb.skb) {
        segment.look();
    }
}

/// A packet with payload from the beginning of a stream.
struct Segment {
    packet: *mut __sk_buff,
    /// Where the payload begins in the packet, from the IP header on.
    payload_at: u32,
    /// How many bytes of payload it has.
    payload_bytes: u32,
    /// Where it is in the stream; 1 too high when sent by the connecting end, whose SYN counts.
    offset: u32,
    /// How much of the other direction its sender had.
    other_offset: u32,
    /// It leaves the socket.
    is_sent: bool,
    /// Nothing of its direction went before it.
    is_first: bool,
}

const SMALL: usize = HELLO_SEGMENT_BYTES[0];
const MIDDLE: usize = HELLO_SEGMENT_BYTES[1];
const LARGE: usize = HELLO_SEGMENT_BYTES[2];

/// One packet beyond this and nothing of the stream is of interest; the 1 is the SYN.
const WINDOW_BYTES: u32 = HELLO_LIMIT_BYTES + 1;

impl Segment {
    #[inline(always)]
    fn sent(packet: *mut __sk_buff) -> Option<Self> {
        let tcp = tcp_sock(packet)?;
        // SAFETY: the kernel gave a pointer to a full TCP socket.
        let (acked, unacked_from, received, sent_segments) =
            unsafe { ((*tcp).bytes_acked, (*tcp).snd_una, (*tcp).bytes_received, (*tcp).data_segs_out) };
        if acked > u64::from(WINDOW_BYTES) {
            return None;
        }
        let header = Tcp::read(packet)?;
        let offset = (acked as u32).wrapping_add(header.sequence.wrapping_sub(unacked_from));
        // 1 is the first byte of the connecting end, and the second one of the accepting end. The socket counts the segments
        // of a packet before it hands the packet over (`__tcp_transmit_skb`, net/ipv4/tcp_output.c).
        // SAFETY: reading the context.
        let segments = unsafe { (*packet).gso_segs };
        let is_first = offset == 0 || (offset == 1 && sent_segments <= segments.max(1));
        Self::within(packet, &header, offset, received as u32, true, is_first)
    }

    #[inline(always)]
    fn received(packet: *mut __sk_buff) -> Option<Self> {
        let tcp = tcp_sock(packet)?;
        // SAFETY: as in `sent`.
        let (received, expected_next, acked, unacked_from) =
            unsafe { ((*tcp).bytes_received, (*tcp).rcv_nxt, (*tcp).bytes_acked, (*tcp).snd_una) };
        if received > u64::from(WINDOW_BYTES) {
            return None;
        }
        let header = Tcp::read(packet)?;
        let offset = (received as u32).wrapping_add(header.sequence.wrapping_sub(expected_next));
        let other_offset = (acked as u32).wrapping_add(header.acknowledged.wrapping_sub(unacked_from));
        Self::within(packet, &header, offset, other_offset, false, offset == 0)
    }

    /// `None` for a packet beyond the window; one sent again wraps around and is beyond it too.
    #[inline(always)]
    fn within(
        packet: *mut __sk_buff,
        header: &Tcp,
        offset: u32,
        other_offset: u32,
        is_sent: bool,
        is_first: bool,
    ) -> Option<Self> {
        if offset > WINDOW_BYTES {
            return None;
        }
        let Tcp { payload_at, payload_bytes, .. } = *header;
        Some(Self { packet, payload_at, payload_bytes, offset, other_offset, is_sent, is_first })
    }

    #[inline(always)]
    fn look(&self) {
        if self.is_first { self.first() } else { self.further() }
    }

    /// The first payload of a direction.
    #[inline(always)]
    fn first(&self) {
        let mut head = [0; LOOK_BYTES];
        if !load_at_most(self.packet, self.payload_at, self.payload_bytes, &mut head) {
            emit::count(counter::UNREADABLE_PAYLOAD);
            return;
        }
        let class = Class::of(&head, self.payload_bytes);
        if matches!(class, Class::ClientHello | Class::MaybeClientHello) {
            return self.begin_hello(head);
        }
        let answers_hello = self.hello().is_some_and(|hello| self.answers(hello));
        self.emit_first_bytes(class, answers_hello);
    }

    /// Payload that is not the first of its direction: only what belongs to a hello or to its answer matters.
    #[inline(always)]
    fn further(&self) {
        let Some(hello) = self.hello() else {
            return;
        };
        if self.is_of(hello) {
            self.continue_hello(hello);
        } else if self.offset < ANSWER_LIMIT_BYTES && self.answers(hello) {
            self.emit_first_bytes(Class::Other, true);
        }
    }

    /// The hello seen on this socket, in whichever direction.
    #[inline(always)]
    fn hello(&self) -> Option<*mut Hello> {
        HELLOS.get_ptr_mut(self.cookie())
    }

    /// The hello went in this packet's direction.
    #[inline(always)]
    fn is_of(&self, hello: *mut Hello) -> bool {
        // SAFETY: the pointer came from the map and is valid as long as the program runs.
        unsafe { (*hello).sent == u32::from(self.is_sent) }
    }

    /// The hello went the other way, and it is one: what only begins like one may be anything, and so may its answer.
    #[inline(always)]
    fn answers(&self, hello: *mut Hello) -> bool {
        // SAFETY: as in `is_of`.
        !self.is_of(hello) && unsafe { (*hello).expected != 0 }
    }

    #[inline(always)]
    fn begin_hello(&self, head: [u8; LOOK_BYTES]) {
        let head_length =
            if self.payload_bytes < LOOK_BYTES as u32 { self.payload_bytes } else { LOOK_BYTES as u32 };
        let is_whole = head_length as usize >= HELLO_HEADER_BYTES;
        let expected = if is_whole { hello_bytes(&head) } else { 0 };
        let hello = Hello { base: self.offset, expected, head_length, sent: u32::from(self.is_sent), head };
        if HELLOS.insert(self.cookie(), hello, 0).is_err() {
            emit::count(counter::UNTRACKED_HELLO);
        }
        self.emit_hello(0, expected, self.payload_bytes);
    }

    #[inline(always)]
    fn continue_hello(&self, hello: *mut Hello) {
        // SAFETY: as in `is_of`.
        let (base, known) = unsafe { ((*hello).base, (*hello).expected) };
        let at = self.offset.wrapping_sub(base);
        let class = if known == 0 { self.complete_head(hello, at) } else { Class::ClientHello };
        // SAFETY: as in `is_of`.
        let expected = unsafe { (*hello).expected };
        let end = match class {
            // What lies beyond the limit stays in the kernel: nothing is left to be told of it.
            Class::ClientHello if expected != 0 => expected.min(HELLO_LIMIT_BYTES),
            // Still nothing but the beginning of a header.
            Class::ClientHello | Class::MaybeClientHello => HELLO_HEADER_BYTES as u32,
            _ => return,
        };
        if at < end {
            let left = end - at;
            self.emit_hello(at, expected, if self.payload_bytes < left { self.payload_bytes } else { left });
        }
    }

    /// The hello's headers came in pieces: adds this packet's, and tells what it looks like now.
    #[inline(always)]
    fn complete_head(&self, hello: *mut Hello, at: u32) -> Class {
        let mut index: u32 = 0;
        while index < LOOK_BYTES as u32 {
            if index >= at && index - at < self.payload_bytes {
                let mut byte = 0_u8;
                // SAFETY: one byte is loaded into a local; `index` stays below the size of `head`.
                unsafe {
                    let at_packet = self.payload_at + (index - at);
                    if bpf_skb_load_bytes(self.packet.cast(), at_packet, (&raw mut byte).cast(), 1) != 0 {
                        return Class::Other;
                    }
                    // By pointer: an index would leave a call to the panic handler behind, which the verifier refuses.
                    (&raw mut (*hello).head).cast::<u8>().add(index as usize).write(byte);
                    (*hello).head_length = index + 1;
                }
            }
            index += 1;
        }
        // SAFETY: as in `is_of`.
        unsafe {
            let head = (*hello).head;
            let class = Class::of(&head, (*hello).head_length);
            if (*hello).head_length as usize >= HELLO_HEADER_BYTES && matches!(class, Class::ClientHello) {
                (*hello).expected = hello_bytes(&head);
            }
            class
        }
    }

    #[inline(always)]
    fn emit_hello(&self, at: u32, expected: u32, length: u32) {
        let limit = HELLO_LIMIT_BYTES.saturating_sub(at);
        let mut length = if length < limit { length } else { limit };
        if expected != 0 && length > expected {
            length = expected;
        }
        if length <= SMALL as u32 {
            self.emit_hello_of::<SMALL>(at, expected, length);
        } else if length <= MIDDLE as u32 {
            self.emit_hello_of::<MIDDLE>(at, expected, length);
        } else {
            self.emit_hello_of::<LARGE>(at, expected, length);
        }
    }

    #[inline(always)]
    fn emit_hello_of<const N: usize>(&self, at: u32, expected: u32, length: u32) {
        emit::record::<HelloSegment<N>>(counter::LOST_HELLO, counter::UNREADABLE_PAYLOAD, |record| {
            // SAFETY: the record was just reserved for us; every field is written, `data` as far as `length` tells.
            unsafe {
                (*record).header = emit::header(kind::HELLO, self.flags(), self.cookie());
                (*record).offset = at;
                (*record).length = length;
                (*record).expected = expected;
                (*record).reserved = 0;
                load_at_most(self.packet, self.payload_at, length, &mut (*record).data)
            }
        });
    }

    #[inline(always)]
    fn emit_first_bytes(&self, class: Class, with_data: bool) {
        const LIMIT: usize = ANSWER_LIMIT_BYTES as usize;
        if !with_data {
            return self.first_bytes_record::<0>(class, 0, |_| true);
        }
        // What came before in other packets counts.
        let left = ANSWER_LIMIT_BYTES.saturating_sub(self.offset);
        let length = if self.payload_bytes < left { self.payload_bytes } else { left };
        self.first_bytes_record::<LIMIT>(class, length, |data| {
            // SAFETY: the record was just reserved for us.
            unsafe {
                *data = [0; LIMIT];
                load_at_most(self.packet, self.payload_at, length, &mut *data)
            }
        });
    }

    #[inline(always)]
    fn first_bytes_record<const N: usize>(
        &self,
        class: Class,
        length: u32,
        fill: impl FnOnce(*mut [u8; N]) -> bool,
    ) {
        let (lost, unreadable) = (counter::LOST_FIRST_BYTES, counter::UNREADABLE_PAYLOAD);
        emit::record::<FirstBytes<N>>(lost, unreadable, |record| {
            // SAFETY: the record was just reserved for us; every field is written, the data by `fill`.
            unsafe {
                (*record).header = emit::header(kind::FIRST_BYTES, self.flags(), self.cookie());
                (*record).offset = self.offset;
                (*record).payload_bytes = self.payload_bytes;
                (*record).other_offset = self.other_offset;
                (*record).class = class as u16;
                (*record).length = length as u16;
                fill(&raw mut (*record).data)
            }
        });
    }

    #[inline(always)]
    fn flags(&self) -> u16 {
        if self.is_sent { flag::SENT } else { 0 }
    }

    #[inline(always)]
    fn cookie(&self) -> u64 {
        // SAFETY: the context is the one the program was given.
        unsafe { bpf_get_socket_cookie(self.packet.cast()) }
    }
}

/// The TCP socket of a packet; `None` for other protocols and for half-open connections.
#[inline(always)]
fn tcp_sock(packet: *mut __sk_buff) -> Option<*mut bpf_tcp_sock> {
    // SAFETY: reading the context; the helper is given what the context holds, after the check that the verifier wants.
    unsafe {
        let socket = (*packet).__bindgen_anon_2.sk;
        if socket.is_null() {
            return None;
        }
        let tcp = tcp_sock_of(socket);
        (!tcp.is_null()).then_some(tcp)
    }
}

/// What matters of a TCP header.
struct Tcp {
    sequence: u32,
    acknowledged: u32,
    payload_at: u32,
    payload_bytes: u32,
}

impl Tcp {
    /// `None` for a packet without payload, and for one whose headers are not in its linear part.
    #[inline(always)]
    fn read(packet: *mut __sk_buff) -> Option<Self> {
        const IPV6_HEADER_BYTES: usize = 40;
        const TCP_HEADER_BYTES: usize = 20;
        const IPPROTO_TCP: u8 = 6;
        // SAFETY: direct packet access; each read is behind a comparison with `data_end`.
        unsafe {
            let data = (*packet).data as usize;
            let end = (*packet).data_end as usize;
            if data + TCP_HEADER_BYTES > end {
                return None;
            }
            let ip = data as *const u8;
            let first = *ip;
            let (protocol, ip_bytes) = match first >> 4 {
                4 => (*ip.add(9), usize::from(first & 0x0f) * 4),
                6 => (*ip.add(6), IPV6_HEADER_BYTES),
                _ => return None,
            };
            if protocol != IPPROTO_TCP || data + ip_bytes + TCP_HEADER_BYTES > end {
                return None;
            }
            let tcp = (data + ip_bytes) as *const u8;
            let header_bytes = usize::from(*tcp.add(12) >> 4) * 4;
            let payload_at = (ip_bytes + header_bytes) as u32;
            let payload_bytes = (*packet).len.checked_sub(payload_at)?;
            if payload_bytes == 0 {
                return None;
            }
            let sequence = u32::from_be(tcp.add(4).cast::<u32>().read_unaligned());
            let acknowledged = u32::from_be(tcp.add(8).cast::<u32>().read_unaligned());
            Some(Self { sequence, acknowledged, payload_at, payload_bytes })
        }
    }
}

/// Loads the first `length` bytes at `at`, at most as many as fit. `N` must be a power of two.
///
/// The verifier refuses a bound made with `min` ("R4 invalid zero-sized read"); a mask it understands, and the volatile
/// reads keep the compiler from proving the mask needless and dropping it.
#[inline(always)]
fn load_at_most<const N: usize>(packet: *mut __sk_buff, at: u32, length: u32, to: &mut [u8; N]) -> bool {
    const { assert!(N.is_power_of_two()) };
    if length == 0 {
        return false;
    }
    let fitting = if length < N as u32 { length } else { N as u32 };
    // SAFETY: volatile reads of locals; the helper writes at most `N` bytes into `to`.
    unsafe {
        let masked = (ptr::read_volatile(&raw const fitting) - 1) & (N as u32 - 1);
        let count = ptr::read_volatile(&raw const masked) % N as u32 + 1;
        bpf_skb_load_bytes(packet.cast(), at, to.as_mut_ptr().cast(), count) == 0
    }
}
