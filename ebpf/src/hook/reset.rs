//! `tp_btf/tcp_receive_reset(sk)` and `tp_btf/tcp_send_reset(sk, skb, reason)`: who cut a connection, and why.

use core::ffi::c_void;

use aya_ebpf::{
    helpers::{bpf_probe_read_kernel, bpf_probe_read_kernel_buf},
    programs::BtfTracePointContext,
};
use mtlsnoop_ebpf::{
    counter,
    record::{Endpoints, Reset, flag, kind},
};

use crate::{
    emit,
    sock::{Socket, field, mapped, offset},
};

/// A reset reached a socket.
#[inline(always)]
pub(crate) fn received(ctx: &BtfTracePointContext) -> i32 {
    // SAFETY: argument 0 of this tracepoint is a `struct sock *`.
    if let Some(socket) = unsafe { Socket::new(ctx.arg::<*const c_void>(0)) } {
        of_socket(socket, 0, 0);
    }
    0
}

/// A reset was sent, with the kernel's reason.
#[inline(always)]
pub(crate) fn sent(ctx: &BtfTracePointContext) -> i32 {
    sent_for(ctx, flag::SENT | flag::REASON, ctx.arg(2))
}

/// A reset was sent by a kernel that gives no reason.
#[inline(always)]
pub(crate) fn sent_without_reason(ctx: &BtfTracePointContext) -> i32 {
    sent_for(ctx, flag::SENT, 0)
}

#[inline(always)]
fn sent_for(ctx: &BtfTracePointContext, flags: u16, reason: u32) -> i32 {
    let socket: *const c_void = ctx.arg(0);
    if !socket.is_null() {
        // SAFETY: argument 0 of this tracepoint is a `struct sock *`, and it is not null.
        if let Some(socket) = unsafe { Socket::new(socket) } {
            of_socket(socket, flags, reason);
        }
        return 0;
    }
    let packet: *const c_void = ctx.arg(1);
    if !packet.is_null() {
        of_packet(packet, flags, reason);
    }
    0
}

#[inline(always)]
fn of_socket(socket: Socket, flags: u16, reason: u32) {
    let Some(tcp) = socket.tcp() else {
        return;
    };
    emit::record::<Reset>(counter::LOST_RESET, counter::UNREADABLE_SOCKET, |record| {
        // SAFETY: the record was just reserved for us; every field is written.
        unsafe {
            (*record).header = emit::header(kind::RESET, flags, socket.cookie());
            (*record).reason = reason;
            (*record).state = socket.state();
            socket.endpoints(tcp.local_port(), &raw mut (*record).endpoints)
        }
    });
}

/// No socket was there: the connection is told by the packet that is being answered.
#[inline(always)]
fn of_packet(packet: *const c_void, flags: u16, reason: u32) {
    emit::record::<Reset>(counter::LOST_RESET, counter::UNREADABLE_SOCKET, |record| {
        // SAFETY: the record was just reserved for us; every field is written.
        unsafe {
            (*record).header = emit::header(kind::RESET, flags, 0);
            (*record).reason = reason;
            (*record).state = 0;
            endpoints_of(packet, &raw mut (*record).endpoints).is_some()
        }
    });
}

/// Where addresses are in an IPv4 header (RFC 791 §3.1): source, destination.
const IPV4_ADDRESSES: (usize, usize) = (12, 16);
/// Where addresses are in an IPv6 header (RFC 8200 §3): source, destination.
const IPV6_ADDRESSES: (usize, usize) = (8, 24);

/// # Safety
/// `packet` must be a `struct sk_buff *` argument of a BTF tracepoint, `to` must be writable.
#[inline(always)]
unsafe fn endpoints_of(packet: *const c_void, to: *mut Endpoints) -> Option<()> {
    // SAFETY: the caller vouches for the pointers; what they lead to is read with helpers that may fail.
    unsafe {
        let head: *const u8 = field(packet, offset!(packet_head));
        let network: u16 = field(packet, offset!(packet_network));
        let transport: u16 = field(packet, offset!(packet_transport));
        let ip = head.add(usize::from(network));
        let ports: [u16; 2] = bpf_probe_read_kernel(head.add(usize::from(transport)).cast()).ok()?;
        let version = bpf_probe_read_kernel(ip).ok()? >> 4;
        // The answer goes the other way, so the packet's source is our peer.
        (*to).remote_port = u16::from_be(ports[0]);
        (*to).local_port = u16::from_be(ports[1]);
        (*to).netns = 0;
        if version == 4 {
            mapped(bpf_probe_read_kernel(ip.add(IPV4_ADDRESSES.0).cast()).ok()?, &raw mut (*to).remote);
            mapped(bpf_probe_read_kernel(ip.add(IPV4_ADDRESSES.1).cast()).ok()?, &raw mut (*to).local);
            return Some(());
        }
        bpf_probe_read_kernel_buf(ip.add(IPV6_ADDRESSES.0), &mut (*to).remote).ok()?;
        bpf_probe_read_kernel_buf(ip.add(IPV6_ADDRESSES.1), &mut (*to).local).ok()
    }
}
