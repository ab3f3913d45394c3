//! The way out of the kernel: reserve, fill, submit without a wakeup, and count what did not fit.

use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use mtlsnoop_ebpf::record::Header;

use crate::maps::{COUNTERS, RECORDS};

/// Adds one to a counter.
#[inline(always)]
pub(crate) fn count(counter: u32) {
    if let Some(value) = COUNTERS.get_ptr_mut(counter) {
        // SAFETY: the pointer is into this CPU's slot of the map and lives as long as the program.
        unsafe { *value += 1 };
    }
}

/// Puts one record into the ring. `fill` must write every byte of it, or say `false` when what it tells of cannot be read.
///
/// A ring without space is counted under `lost`, what cannot be read under `unreadable`.
#[inline(always)]
pub(crate) fn record<T: 'static>(lost: u32, unreadable: u32, fill: impl FnOnce(*mut T) -> bool) {
    let Some(mut entry) = RECORDS.reserve::<T>(0) else {
        count(lost);
        return;
    };
    if fill(entry.as_mut_ptr()) {
        entry.submit(u64::from(BPF_RB_NO_WAKEUP));
    } else {
        entry.discard(u64::from(BPF_RB_NO_WAKEUP));
        count(unreadable);
    }
}

/// A header for a record of `kind` that happens now.
#[inline(always)]
pub(crate) fn header(kind: u16, flags: u16, socket: u64) -> Header {
    // SAFETY: the helper takes no arguments and reads a clock.
    let time_ns = unsafe { aya_ebpf::helpers::generated::bpf_ktime_get_ns() };
    Header { time_ns, socket, kind, flags, reserved: 0 }
}
