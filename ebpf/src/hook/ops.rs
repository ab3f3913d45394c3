//! `sock_ops`: what a TCP socket calls back for, in kernels without type information: opens, establishments, ends and
//! listeners, all from fields that are the kernel's public interface. It observes: replies stay as they are.
//!
//! It knows no processes, users and errors, and is called only for sockets that began while it was attached.

use aya_ebpf::{
    helpers::generated::{bpf_get_netns_cookie, bpf_get_socket_cookie},
    programs::SockOpsContext,
};
use mtlsnoop_ebpf::{
    counter,
    record::{Ended, Endpoints, Opened, Owner, UNKNOWN_UID, flag, kind},
};

use crate::{
    emit,
    sock::{AF_INET, mapped},
};

/// Values of the anonymous enum of `BPF_SOCK_OPS_*_CB` in include/uapi/linux/bpf.h.
mod op {
    pub(super) const TCP_CONNECT: u32 = 3;
    pub(super) const ACTIVE_ESTABLISHED: u32 = 4;
    pub(super) const PASSIVE_ESTABLISHED: u32 = 5;
    pub(super) const STATE: u32 = 10;
    pub(super) const TCP_LISTEN: u32 = 11;
}

/// `BPF_SOCK_OPS_STATE_CB_FLAG`: the socket calls back when its state changes.
const STATE_CALLS: u32 = 1 << 2;

/// Values of `include/net/tcp_states.h`.
mod tcp_state {
    pub(super) const FIN_WAIT1: u32 = 4;
    pub(super) const FIN_WAIT2: u32 = 5;
    pub(super) const CLOSE: u32 = 7;
    pub(super) const CLOSE_WAIT: u32 = 8;
    pub(super) const LAST_ACK: u32 = 9;
    pub(super) const LISTEN: u32 = 10;
    pub(super) const CLOSING: u32 = 11;
}

/// A socket calls back.
#[inline(always)]
pub(crate) fn called(ctx: &SockOpsContext) {
    match ctx.op() {
        op::TCP_CONNECT => {
            follow(ctx);
            emit::count(counter::SEEN);
            opened(ctx, kind::OPENED, counter::LOST_OPENED);
        }
        op::ACTIVE_ESTABLISHED => opened(ctx, kind::ESTABLISHED, counter::LOST_ESTABLISHED),
        op::PASSIVE_ESTABLISHED => {
            follow(ctx);
            emit::count(counter::SEEN);
            opened(ctx, kind::ACCEPTED, counter::LOST_ACCEPTED);
        }
        op::TCP_LISTEN => {
            follow(ctx);
            opened(ctx, kind::LISTENING, counter::LOST_LISTENER);
        }
        op::STATE if ctx.arg(1) == tcp_state::CLOSE => match ctx.arg(0) {
            tcp_state::LISTEN => opened(ctx, kind::LISTENER_CLOSED, counter::LOST_LISTENER),
            state => ended(ctx, state),
        },
        _ => {}
    }
}

/// Asks for calls at state changes, beside what others asked for.
#[inline(always)]
fn follow(ctx: &SockOpsContext) {
    // It fails for request sockets only, which none of these calls is about.
    let _ = ctx.set_cb_flags((ctx.cb_flags() | STATE_CALLS).cast_signed());
}

#[inline(always)]
fn opened(ctx: &SockOpsContext, kind: u16, lost: u32) {
    emit::record::<Opened>(lost, counter::UNREADABLE_SOCKET, |record| {
        // SAFETY: the record was just reserved for us; every field is written.
        unsafe {
            (*record).header = emit::header(kind, flag::PUBLIC_FIELDS, cookie(ctx));
            (*record).owner =
                Owner { cgroup: 0, pid: 0, uid: UNKNOWN_UID, gid: 0, reserved: 0, process: [0; 16] };
            write_endpoints(ctx, &raw mut (*record).endpoints);
        }
        true
    });
}

#[inline(always)]
fn cookie(ctx: &SockOpsContext) -> u64 {
    // SAFETY: the helper takes this context.
    unsafe { bpf_get_socket_cookie(ctx.ops.cast()) }
}

/// Sequence space goes to user space: which end it is, and so whether a SYN counts, is known there.
#[inline(always)]
fn ended(ctx: &SockOpsContext, state: u32) {
    emit::record::<Ended>(counter::LOST_ENDED, counter::UNREADABLE_SOCKET, |record| {
        // SAFETY: the context is the kernel's, and the record was just reserved for us; every field is written.
        unsafe {
            let ops = &*ctx.ops;
            let (acked, received) = (ops.bytes_acked, ops.bytes_received);
            let in_flight = ops.snd_nxt.wrapping_sub(ops.snd_una);
            let has_data = ops.data_segs_in != 0;
            // A FIN that comes in `FIN_WAIT2` ends the socket from there; one that does not come may too.
            let peer_closed =
                matches!(state, tcp_state::CLOSE_WAIT | tcp_state::LAST_ACK | tcp_state::CLOSING)
                    || (state == tcp_state::FIN_WAIT2 && !has_data && received > 0);
            let closed = matches!(
                state,
                tcp_state::FIN_WAIT1 | tcp_state::FIN_WAIT2 | tcp_state::LAST_ACK | tcp_state::CLOSING
            );
            let peer_closed = if peer_closed { flag::PEER_CLOSED } else { 0 };
            (*record).header = emit::header(kind::ENDED, flag::PUBLIC_FIELDS | peer_closed, cookie(ctx));
            (*record).cgroup = 0;
            (*record).bytes_sent = (acked + u64::from(in_flight)).saturating_sub(u64::from(closed));
            (*record).bytes_acked = acked;
            (*record).bytes_received = received;
            (*record).uid = UNKNOWN_UID;
            (*record).error = 0;
            (*record).last_sent_ago_jiffies = 0;
            (*record).state = state;
            (*record).srtt_us = ops.srtt_us >> 3;
            (*record).reserved = 0;
            write_endpoints(ctx, &raw mut (*record).endpoints);
        }
        true
    });
}

/// # Safety
/// `to` must be writable.
#[inline(always)]
unsafe fn write_endpoints(ctx: &SockOpsContext, to: *mut Endpoints) {
    // SAFETY: the caller vouches for `to`; addresses in records begin at multiples of 4.
    unsafe {
        // Unlike the inode it is no name that others know, but it tells namespaces apart just as well.
        (*to).netns = bpf_get_netns_cookie(ctx.ops.cast()) as u32;
        (*to).local_port = ctx.local_port() as u16;
        // In network byte order, in the upper half (`sock_ops_convert_ctx_access`, net/core/filter.c).
        (*to).remote_port = u32::from_be(ctx.remote_port()) as u16;
        if ctx.family() == u32::from(AF_INET) {
            mapped(ctx.local_ip4(), &raw mut (*to).local);
            mapped(ctx.remote_ip4(), &raw mut (*to).remote);
        } else {
            copy(&raw const (*ctx.ops).local_ip6, &raw mut (*to).local);
            copy(&raw const (*ctx.ops).remote_ip6, &raw mut (*to).remote);
        }
    }
}

/// Word by word: the verifier takes no other access to this context.
///
/// # Safety
/// `from` must be a field of the context, `to` must be writable and aligned to 4.
#[inline(always)]
unsafe fn copy(from: *const [u32; 4], to: *mut [u8; 16]) {
    let (from, to) = (from.cast::<u32>(), to.cast::<u32>());
    // SAFETY: the caller vouches for both.
    unsafe {
        to.write(from.read_volatile());
        to.add(1).write(from.add(1).read_volatile());
        to.add(2).write(from.add(2).read_volatile());
        to.add(3).write(from.add(3).read_volatile());
    }
}
