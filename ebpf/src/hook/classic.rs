//! `tracepoint/tcp:tcp_receive_reset`: the classic tracepoint, in kernels without type information. Where its fields are is
//! read from tracefs before load.

use core::ptr;

use aya_ebpf::programs::TracePointContext;
use mtlsnoop_ebpf::{
    config::ResetFields,
    counter,
    record::{Endpoints, Reset, flag, kind},
};

use crate::{emit, sock::loaded};

#[unsafe(no_mangle)]
static RESET_FIELDS: ResetFields = ResetFields::NONE;

/// A reset reached a socket.
#[inline(always)]
pub(crate) fn reset_received(ctx: &TracePointContext) -> u32 {
    emit::record::<Reset>(counter::LOST_RESET, counter::UNREADABLE_SOCKET, |record| {
        // SAFETY: the record was just reserved for us; every field is written, or it is discarded.
        unsafe { write(ctx, record).is_ok() }
    });
    0
}

/// # Safety
/// `record` must be writable.
#[inline(always)]
unsafe fn write(ctx: &TracePointContext, record: *mut Reset) -> Result<(), i32> {
    // SAFETY: the caller vouches for the record; the helper behind `read_at` fails on what cannot be read, and all types
    // here are integers and arrays of them.
    unsafe {
        let cookie = ctx.read_at(loaded(&RESET_FIELDS.cookie) as usize)?;
        let endpoints = Endpoints {
            local: ctx.read_at(loaded(&RESET_FIELDS.local) as usize)?,
            remote: ctx.read_at(loaded(&RESET_FIELDS.remote) as usize)?,
            local_port: ctx.read_at(loaded(&RESET_FIELDS.local_port) as usize)?,
            remote_port: ctx.read_at(loaded(&RESET_FIELDS.remote_port) as usize)?,
            netns: 0,
        };
        let header = emit::header(kind::RESET, flag::PUBLIC_FIELDS, cookie);
        ptr::write(record, Reset { header, endpoints, reason: 0, state: 0 });
    }
    Ok(())
}
