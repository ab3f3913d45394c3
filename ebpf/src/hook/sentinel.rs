//! `tp_btf/tcp_destroy_sock(sk)`: one record per socket at its end, and nothing per packet.

use core::ffi::c_void;

use aya_ebpf::programs::BtfTracePointContext;
use mtlsnoop_ebpf::{counter, record::flag};

use crate::{emit, hook::state, sock::Socket};

/// Every TCP socket passes here once, listeners and never-connected ones too.
#[inline(always)]
pub(crate) fn destroyed(ctx: &BtfTracePointContext) -> i32 {
    // SAFETY: argument 0 of this tracepoint is a `struct sock *`.
    if let Some(socket) = unsafe { Socket::new(ctx.arg::<*const c_void>(0)) }
        && had_peer(socket)
    {
        emit::count(counter::DESTROYED);
        let accepted = if socket.was_accepted() { flag::ACCEPTED } else { 0 };
        state::emit_ended(socket, 0, flag::SENTINEL | accepted, counter::LOST_DESTROYED);
    }
    0
}

/// It has the address of a peer, or carried data before it was disconnected (`tcp_disconnect` takes the address away).
#[inline(always)]
fn had_peer(socket: Socket) -> bool {
    socket.remote_port() != 0 || socket.tcp().is_some_and(|tcp| tcp.bytes_acked() + tcp.bytes_received() > 0)
}
