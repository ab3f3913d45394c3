//! `tp_btf/inet_sock_set_state(sk, oldstate, newstate)`: opens, establishments, ends and listeners.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::bpf_pidns_info,
    helpers::{
        bpf_get_current_uid_gid, bpf_probe_read_kernel, bpf_probe_read_kernel_buf,
        generated::{
            bpf_get_current_pid_tgid, bpf_get_current_task, bpf_get_ns_current_pid_tgid, bpf_jiffies64,
        },
    },
    programs::BtfTracePointContext,
};
use aya_log_ebpf::debug;
use mtlsnoop_ebpf::{
    counter,
    record::{Ended, Established, Opened, Owner, flag, kind},
};

use crate::{
    emit,
    sock::{self, Socket, TRACER, offset},
};

/// Values of `include/net/tcp_states.h`.
mod tcp_state {
    pub(super) const ESTABLISHED: i32 = 1;
    pub(super) const SYN_SENT: i32 = 2;
    pub(super) const SYN_RECV: i32 = 3;
    pub(super) const CLOSE: i32 = 7;
    pub(super) const LISTEN: i32 = 10;
}

/// Every state change of every TCP socket passes here, about ten per connection.
#[inline(always)]
pub(crate) fn changed(ctx: &BtfTracePointContext) -> i32 {
    let old: i32 = ctx.arg(1);
    let new: i32 = ctx.arg(2);
    let is_interesting =
        matches!(new, tcp_state::SYN_SENT | tcp_state::ESTABLISHED | tcp_state::CLOSE | tcp_state::LISTEN);
    if !is_interesting {
        return 0;
    }
    // SAFETY: argument 0 of this tracepoint is a `struct sock *`.
    let Some(socket) = (unsafe { Socket::new(ctx.arg::<*const c_void>(0)) }) else {
        return 0;
    };
    if sock::armed_only() && !socket.is_armed() {
        return 0;
    }
    match (old, new) {
        (_, tcp_state::SYN_SENT) => {
            emit::count(counter::SEEN);
            opened(socket, kind::OPENED, counter::LOST_OPENED, true);
        }
        (tcp_state::SYN_SENT, tcp_state::ESTABLISHED) => established(socket),
        (tcp_state::SYN_RECV, tcp_state::ESTABLISHED) => {
            emit::count(counter::SEEN);
            opened(socket, kind::ACCEPTED, counter::LOST_ACCEPTED, false);
        }
        (_, tcp_state::LISTEN) => opened(socket, kind::LISTENING, counter::LOST_LISTENER, true),
        (tcp_state::LISTEN, tcp_state::CLOSE) => {
            opened(socket, kind::LISTENER_CLOSED, counter::LOST_LISTENER, true);
        }
        // A half-open connection that was never handed to a listener is not counted as seen, so it has no end either.
        (tcp_state::SYN_RECV | tcp_state::CLOSE, tcp_state::CLOSE) => {}
        (_, tcp_state::CLOSE) => ended(ctx, socket, old),
        _ => {}
    }
    0
}

/// `by_current`: the current process is the owner; in softirq it is whoever was interrupted.
#[inline(always)]
fn opened(socket: Socket, kind: u16, lost: u32, by_current: bool) {
    let Some(tcp) = socket.tcp() else {
        emit::count(counter::UNREADABLE_SOCKET);
        return;
    };
    emit::record::<Opened>(lost, counter::UNREADABLE_SOCKET, |record| {
        let own = if by_current && is_tracer() { flag::OWN } else { 0 };
        // SAFETY: the record was just reserved for us; every field is written below.
        unsafe {
            (*record).header = emit::header(kind, own, socket.cookie());
            write_owner(socket, by_current, &raw mut (*record).owner);
            socket.endpoints(tcp.local_port(), &raw mut (*record).endpoints)
        }
    });
}

#[inline(always)]
fn established(socket: Socket) {
    let Some(tcp) = socket.tcp() else {
        emit::count(counter::UNREADABLE_SOCKET);
        return;
    };
    emit::record::<Established>(counter::LOST_ESTABLISHED, counter::UNREADABLE_SOCKET, |record| {
        // SAFETY: the record was just reserved for us; every field is written.
        unsafe {
            (*record).header = emit::header(kind::ESTABLISHED, 0, socket.cookie());
            socket.endpoints(tcp.local_port(), &raw mut (*record).endpoints)
        }
    });
}

/// # Safety
/// `to` must be writable.
#[inline(always)]
unsafe fn write_owner(socket: Socket, by_current: bool, to: *mut Owner) {
    // SAFETY: the caller vouches for `to`; the helpers take no pointers but the one to the name's 16 bytes.
    unsafe {
        (*to).cgroup = socket.cgroup();
        (*to).uid = socket.uid();
        (*to).reserved = 0;
        (*to).process = [0; 16];
        (*to).pid = 0;
        (*to).gid = 0;
        if by_current {
            (*to).pid = (bpf_get_current_pid_tgid() >> 32) as u32;
            (*to).gid = (bpf_get_current_uid_gid() >> 32) as u32;
            write_process_name(&raw mut (*to).process);
        }
    }
}

/// The name of the process: its first thread's. The current thread may have one of its own (Envoy: `wrk:worker_0`).
///
/// # Safety
/// `to` must be writable.
#[inline(always)]
pub(crate) unsafe fn write_process_name(to: *mut [u8; 16]) {
    // SAFETY: the helper gives the address of the current task; what is read from there on may fail. A name that cannot be
    // read stays empty, which means not known.
    unsafe {
        let task = bpf_get_current_task() as *const u8;
        let leader_at = task.add(offset!(task_leader) as usize).cast::<*const u8>();
        if let Ok(leader) = bpf_probe_read_kernel(leader_at) {
            let _ = bpf_probe_read_kernel_buf(leader.add(offset!(task_name) as usize), &mut *to);
        }
    }
}

/// The current process is the tracer itself, told in its own pid namespace.
#[inline(always)]
pub(crate) fn is_tracer() -> bool {
    let tracer = TRACER.load();
    if tracer.pid == 0 {
        return false;
    }
    let mut seen = bpf_pidns_info { pid: 0, tgid: 0 };
    // SAFETY: the pointer is to a local of the size that is passed.
    let result = unsafe {
        bpf_get_ns_current_pid_tgid(
            tracer.pid_namespace_device,
            tracer.pid_namespace_inode,
            &raw mut seen,
            size_of::<bpf_pidns_info>() as u32,
        )
    };
    result == 0 && seen.tgid == tracer.pid
}

#[inline(always)]
fn ended(ctx: &BtfTracePointContext, socket: Socket, state: i32) {
    emit_ended(socket, state as u32, 0, counter::LOST_ENDED);
    debug!(ctx, "socket {} ended in state {}", socket.cookie(), state);
}

/// One record with the whole story of a socket in numbers.
#[inline(always)]
pub(crate) fn emit_ended(socket: Socket, state: u32, flags: u16, lost: u32) {
    let Some(tcp) = socket.tcp() else {
        emit::count(counter::UNREADABLE_SOCKET);
        return;
    };
    emit::record::<Ended>(lost, counter::UNREADABLE_SOCKET, |record| {
        let peer_closed = if socket.peer_closed() { flag::PEER_CLOSED } else { 0 };
        // SAFETY: the record was just reserved for us; every field is written.
        unsafe {
            (*record).header = emit::header(kind::ENDED, flags | peer_closed, socket.cookie());
            (*record).cgroup = socket.cgroup();
            (*record).bytes_sent = tcp.bytes_sent();
            (*record).bytes_acked = tcp.bytes_acked();
            (*record).bytes_received = tcp.bytes_received();
            (*record).uid = socket.uid();
            (*record).error = socket.error();
            (*record).last_sent_ago_jiffies = (bpf_jiffies64() as u32).wrapping_sub(tcp.last_sent_jiffies());
            (*record).state = state;
            (*record).srtt_us = tcp.srtt_us();
            (*record).reserved = 0;
            socket.endpoints(tcp.local_port(), &raw mut (*record).endpoints)
        }
    });
}
