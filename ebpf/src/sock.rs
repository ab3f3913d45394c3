//! The only reader of kernel structs: sockets, their namespace and cgroup, at the offsets that user space looked up.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    Global,
    bindings::tcp_sock,
    helpers::{
        bpf_probe_read_kernel_buf,
        generated::{bpf_get_socket_cookie, bpf_skc_to_tcp_sock},
    },
};
use mtlsnoop_ebpf::{
    config::{ABSENT, Offsets, Tracer},
    record::Endpoints,
};

use crate::maps::ARMED;

#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::NONE;

/// Who the tracer is; set before load.
#[unsafe(no_mangle)]
pub(crate) static TRACER: Global<Tracer> = Global::new(Tracer::NONE);

/// Not 0 when only sockets of armed control groups are followed from their connects on; set before load.
#[unsafe(no_mangle)]
static ARMED_ONLY: u32 = 0;

/// Only sockets of armed control groups are followed; the verifier folds it to a constant.
#[inline(always)]
pub(crate) fn armed_only() -> bool {
    loaded(&ARMED_ONLY) != 0
}

pub(crate) const AF_INET: u16 = 2;
pub(crate) const AF_INET6: u16 = 10;
const IPPROTO_TCP: u16 = 6;
/// Bit of `SOCK_DONE` in `sk_flags`: `tcp_fin` sets it (`enum sock_flags`, include/net/sock.h).
const SOCK_DONE: u64 = 1 << 1;

/// The offset of one field; the verifier folds the load to a constant because `.rodata` is frozen.
macro_rules! offset {
    ($field:ident) => {
        $crate::sock::loaded(&$crate::sock::OFFSETS.$field)
    };
}
pub(crate) use offset;

/// A value that user space set after compilation, which the compiler must not know.
#[inline(always)]
pub(crate) fn loaded(offset: &'static u32) -> u32 {
    // SAFETY: a reference is valid for reads.
    unsafe { ptr::read_volatile(offset) }
}

/// Reads a field of up to 8 bytes through a pointer that the verifier knows the type of.
///
/// # Safety
/// `object` must be a BTF pointer that the verifier tracks (an argument of a BTF tracepoint or reached from one), and
/// `offset` must come from the kernel's BTF for a field of the size of `T`.
#[inline(always)]
pub(crate) unsafe fn field<T: Copy>(object: *const c_void, offset: u32) -> T {
    // SAFETY: see above; the verifier proves the access in bounds of the field.
    unsafe { object.byte_add(offset as usize).cast::<T>().read_volatile() }
}

/// A TCP socket, given to a BTF tracepoint.
#[derive(Clone, Copy)]
pub(crate) struct Socket {
    pointer: *const c_void,
}

impl Socket {
    /// `None` when there is no socket or it is not TCP.
    ///
    /// # Safety
    /// `pointer` must be a `struct sock *` argument of a BTF tracepoint.
    #[inline(always)]
    pub(crate) unsafe fn new(pointer: *const c_void) -> Option<Self> {
        if pointer.is_null() {
            return None;
        }
        let socket = Self { pointer };
        let family = socket.family();
        // SAFETY: the caller vouches for the pointer.
        let protocol: u16 = unsafe { field(pointer, offset!(protocol)) };
        (protocol == IPPROTO_TCP && (family == AF_INET || family == AF_INET6)).then_some(socket)
    }

    #[inline(always)]
    fn family(self) -> u16 {
        // SAFETY: `new` was given a BTF pointer to a socket.
        unsafe { field(self.pointer, offset!(family)) }
    }

    /// The socket cookie: unique on this kernel as long as it runs.
    #[inline(always)]
    pub(crate) fn cookie(self) -> u64 {
        // SAFETY: tracing programs may pass a BTF socket pointer (`bpf_get_socket_ptr_cookie`, since 5.12).
        unsafe { bpf_get_socket_cookie(self.pointer.cast_mut()) }
    }

    /// Owner's user id.
    #[inline(always)]
    pub(crate) fn uid(self) -> u32 {
        // SAFETY: as in `family`.
        unsafe { field(self.pointer, offset!(uid)) }
    }

    /// Pending error, a positive errno.
    #[inline(always)]
    pub(crate) fn error(self) -> i32 {
        // SAFETY: as in `family`.
        unsafe { field(self.pointer, offset!(error)) }
    }

    /// The peer's FIN was processed.
    #[inline(always)]
    pub(crate) fn peer_closed(self) -> bool {
        // SAFETY: as in `family`.
        let flags: u64 = unsafe { field(self.pointer, offset!(flags)) };
        flags & SOCK_DONE != 0
    }

    /// cgroup id of the socket's owner; 0 when the kernel does not tell.
    #[inline(always)]
    pub(crate) fn cgroup(self) -> u64 {
        if offset!(cgroup) == ABSENT {
            return 0;
        }
        // SAFETY: as in `family`; each step follows a pointer that the verifier knows from BTF.
        unsafe {
            let cgroup: *const c_void = field(self.pointer, offset!(cgroup));
            if cgroup.is_null() {
                return 0;
            }
            let node: *const c_void = field(cgroup, offset!(cgroup_node));
            if node.is_null() { 0 } else { field(node, offset!(node_id)) }
        }
    }

    /// The microscope is armed for its control group.
    #[inline(always)]
    pub(crate) fn is_armed(self) -> bool {
        ARMED.get_ptr(self.cgroup()).is_some()
    }

    /// State (`include/net/tcp_states.h`).
    #[inline(always)]
    pub(crate) fn state(self) -> u32 {
        // SAFETY: as in `family`.
        let state: u8 = unsafe { field(self.pointer, offset!(state)) };
        u32::from(state)
    }

    /// A listener made it. `sk_clone_lock` (net/core/sock.c) copies the length of the listener's queue, which is 0 in a
    /// socket that connected. A listener with `listen(fd, 0)` gives 0 too: what it accepts looks like a connect.
    #[inline(always)]
    pub(crate) fn was_accepted(self) -> bool {
        // SAFETY: as in `family`.
        let backlog: u32 = unsafe { field(self.pointer, offset!(backlog)) };
        backlog != 0
    }

    /// Peer's port; 0 when it never had a peer.
    #[inline(always)]
    pub(crate) fn remote_port(self) -> u16 {
        // SAFETY: as in `family`.
        u16::from_be(unsafe { field(self.pointer, offset!(remote_port)) })
    }

    /// Inode of the network namespace; 0 when not known.
    #[inline(always)]
    pub(crate) fn netns(self) -> u32 {
        // SAFETY: as in `cgroup`.
        unsafe {
            let net: *const c_void = field(self.pointer, offset!(net));
            if net.is_null() { 0 } else { field(net, offset!(net_inode)) }
        }
    }

    /// The socket as a `tcp_sock`, whose own fields can then be read.
    #[inline(always)]
    pub(crate) fn tcp(self) -> Option<Tcp> {
        // SAFETY: tracing programs may pass a BTF socket pointer; the result is null unless it is a full TCP socket.
        let pointer: *mut tcp_sock = unsafe { bpf_skc_to_tcp_sock(self.pointer.cast_mut()) };
        (!pointer.is_null()).then_some(Tcp { pointer: pointer.cast() })
    }

    /// Fills in both ends. `local_port` is left to the caller: where it is depends on the socket's age.
    ///
    /// # Safety
    /// `to` must point to an `Endpoints` that may be written.
    #[inline(always)]
    pub(crate) unsafe fn endpoints(self, local_port: u16, to: *mut Endpoints) -> bool {
        // SAFETY: the caller vouches for `to`, `new` for the socket.
        unsafe {
            (*to).local_port = local_port;
            (*to).remote_port = self.remote_port();
            (*to).netns = self.netns();
            if self.family() == AF_INET {
                mapped(field(self.pointer, offset!(local_v4)), &raw mut (*to).local);
                mapped(field(self.pointer, offset!(remote_v4)), &raw mut (*to).remote);
                return true;
            }
            let local = self.pointer.byte_add(offset!(local_v6) as usize).cast();
            let remote = self.pointer.byte_add(offset!(remote_v6) as usize).cast();
            bpf_probe_read_kernel_buf(local, &mut (*to).local).is_ok()
                && bpf_probe_read_kernel_buf(remote, &mut (*to).remote).is_ok()
        }
    }
}

/// Writes an IPv4 address (big endian) as an IPv4-mapped IPv6 address.
///
/// # Safety
/// `to` must be writable.
#[inline(always)]
pub(crate) unsafe fn mapped(address: u32, to: *mut [u8; 16]) {
    let words = to.cast::<u32>();
    // SAFETY: the caller vouches for `to`; addresses in records begin at multiples of 4.
    unsafe {
        words.write(0);
        words.add(1).write(0);
        words.add(2).write(0xffff_u32.to_be());
        words.add(3).write(address);
    }
}

/// A full TCP socket.
#[derive(Clone, Copy)]
pub(crate) struct Tcp {
    pointer: *const c_void,
}

impl Tcp {
    /// Own port in host order; 0 before one is chosen.
    #[inline(always)]
    pub(crate) fn local_port(self) -> u16 {
        // SAFETY: `Socket::tcp` got the pointer from the kernel; offsets come from its BTF.
        u16::from_be(unsafe { field(self.pointer, offset!(local_port)) })
    }

    /// Sequence space acknowledged by the peer.
    #[inline(always)]
    pub(crate) fn bytes_acked(self) -> u64 {
        // SAFETY: as in `local_port`.
        unsafe { field(self.pointer, offset!(bytes_acked)) }
    }

    /// Sequence space received from the peer.
    #[inline(always)]
    pub(crate) fn bytes_received(self) -> u64 {
        // SAFETY: as in `local_port`.
        unsafe { field(self.pointer, offset!(bytes_received)) }
    }

    /// Payload bytes sent, without retransmissions.
    #[inline(always)]
    pub(crate) fn bytes_sent(self) -> u64 {
        // SAFETY: as in `local_port`.
        let (all, again): (u64, u64) = unsafe {
            (field(self.pointer, offset!(bytes_sent)), field(self.pointer, offset!(bytes_retransmitted)))
        };
        all.saturating_sub(again)
    }

    /// Low 32 bits of jiffies when payload was last sent.
    #[inline(always)]
    pub(crate) fn last_sent_jiffies(self) -> u32 {
        // SAFETY: as in `local_port`.
        unsafe { field(self.pointer, offset!(last_sent)) }
    }

    /// Smoothed round trip time in microseconds (the kernel keeps eighths).
    #[inline(always)]
    pub(crate) fn srtt_us(self) -> u32 {
        // SAFETY: as in `local_port`.
        let eighths: u32 = unsafe { field(self.pointer, offset!(srtt)) };
        eighths >> 3
    }
}
