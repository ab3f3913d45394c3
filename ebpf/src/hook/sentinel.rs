//! `tp_btf/tcp_destroy_sock(sk)`: one record per socket at its end, and nothing per packet.

use core::ffi::c_void;

use aya_ebpf::programs::BtfTracePointContext;

use crate::{hook::state, sock::Socket};

/// Every TCP socket passes here once, listeners and never-connected ones too.
#[inline(always)]
pub(crate) fn destroyed(ctx: &BtfTracePointContext) -> i32 {
    // SAFETY: argument 0 of this tracepoint is a `struct sock *`.
    if let Some(socket) = unsafe { Socket::new(ctx.arg::<*const c_void>(0)) } {
        let carried_data = socket.tcp().is_some_and(|tcp| tcp.bytes_acked() + tcp.bytes_received() > 0);
        if carried_data {
            state::emit_ended(socket, 0);
        }
    }
    0
}
