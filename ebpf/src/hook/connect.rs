//! `tcp_v4_connect(sk, uaddr, addr_len)` and `tcp_v6_connect`: connects that fail at once, as without a route or a free
//! port. Of those that fail before `SYN_SENT` nothing else tells.
//!
//! Seen when the function returns (`fexit`), or by a probe at either end of it. The sockets come as plain addresses, so that
//! one reader serves both: it runs for failures only.

use aya_ebpf::{
    helpers::{
        bpf_get_current_pid_tgid, bpf_get_current_uid_gid, bpf_probe_read_kernel, bpf_probe_read_kernel_buf,
    },
    programs::{FExitContext, ProbeContext, RetProbeContext},
};
use mtlsnoop_ebpf::{
    config::ABSENT,
    counter,
    record::{ConnectFailed, Endpoints, Owner, flag, kind},
};

use crate::{
    emit,
    hook::state,
    maps::{CONNECTING, Connecting},
    sock::{AF_INET, AF_INET6, mapped, offset},
};

/// Where the port is in `struct sockaddr_in` and `struct sockaddr_in6` (include/uapi/linux/in.h, in6.h).
const PORT_AT: usize = 2;
/// Where the address is in `struct sockaddr_in`.
const ADDRESS_V4_AT: usize = 4;
/// Where the address is in `struct sockaddr_in6`.
const ADDRESS_V6_AT: usize = 8;
/// How an IPv4-mapped IPv6 address begins (RFC 4291 §2.5.5.2).
const MAPPED: [u32; 3] = [0, 0, 0xffff_u32.to_be()];

/// The function returns: arguments first, then what it gives.
#[inline(always)]
pub(crate) fn exited(ctx: &FExitContext) -> i32 {
    failed(Connecting { socket: ctx.arg(0), address: ctx.arg(1) }, ctx.arg(3));
    0
}

/// The function is called. One for IPv6 calls the one for IPv4 with a mapped address: then the inner call is the one told of.
#[inline(always)]
pub(crate) fn began(ctx: &ProbeContext) -> u32 {
    if let (Some(socket), Some(address)) = (ctx.arg(0), ctx.arg(1)) {
        // What does not fit evicts the oldest, which is then not told of: as if nobody had hooked it.
        let _ = CONNECTING.insert(bpf_get_current_pid_tgid(), Connecting { socket, address }, 0);
    }
    0
}

/// The function returns.
#[inline(always)]
pub(crate) fn returned(ctx: &RetProbeContext) -> u32 {
    let thread = bpf_get_current_pid_tgid();
    // SAFETY: the entry is this thread's own, which is here.
    let connecting = unsafe { CONNECTING.get(thread) }.copied();
    if let Some(connecting) = connecting {
        let _ = CONNECTING.remove(thread);
        failed(connecting, ctx.ret());
    }
    0
}

#[inline(always)]
fn failed(connecting: Connecting, result: i32) {
    if result >= 0 || is_for_ipv4(connecting) {
        return;
    }
    emit::record::<ConnectFailed>(counter::LOST_CONNECT_FAILED, counter::UNREADABLE_SOCKET, |record| {
        let own = if state::is_tracer() { flag::OWN } else { 0 };
        // SAFETY: the record was just reserved for us; every field is written, or it is discarded.
        unsafe {
            // 0 as long as nobody asked for one.
            let cookie = read(connecting.socket, offset!(cookie)).unwrap_or(0);
            (*record).header = emit::header(kind::CONNECT_FAILED, own, cookie);
            (*record).error = -result;
            (*record).reserved = 0;
            write_owner(connecting.socket, &raw mut (*record).owner);
            write_endpoints(connecting, &raw mut (*record).endpoints).is_some()
        }
    });
}

/// The outer of two calls: the inner one, for IPv4, has told of it already.
#[inline(always)]
fn is_for_ipv4(connecting: Connecting) -> bool {
    let family: u16 = read_at(connecting.address, 0).unwrap_or(0);
    let begins: Option<[u32; 3]> = read_at(connecting.address, ADDRESS_V6_AT);
    family == AF_INET6 && begins == Some(MAPPED)
}

/// A field of a kernel object that the verifier knows nothing of.
#[inline(always)]
fn read<T>(object: u64, offset: u32) -> Option<T> {
    if offset == ABSENT { None } else { read_at(object, offset as usize) }
}

#[inline(always)]
fn at(object: u64, offset: usize) -> *const u8 {
    (object as *const u8).wrapping_add(offset)
}

#[inline(always)]
fn read_at<T>(object: u64, offset: usize) -> Option<T> {
    // SAFETY: the helper fails on what cannot be read; types here are integers and arrays of them.
    unsafe { bpf_probe_read_kernel(at(object, offset).cast()) }.ok()
}

/// # Safety
/// `to` must be writable.
#[inline(always)]
unsafe fn write_owner(socket: u64, to: *mut Owner) {
    // SAFETY: the caller vouches for `to`.
    unsafe {
        (*to).cgroup = cgroup(socket).unwrap_or(0);
        (*to).uid = read(socket, offset!(uid)).unwrap_or(0);
        (*to).pid = (bpf_get_current_pid_tgid() >> 32) as u32;
        (*to).gid = (bpf_get_current_uid_gid() >> 32) as u32;
        (*to).reserved = 0;
        (*to).process = [0; 16];
        state::write_process_name(&raw mut (*to).process);
    }
}

#[inline(always)]
fn cgroup(socket: u64) -> Option<u64> {
    let group: u64 = read(socket, offset!(cgroup))?;
    let node: u64 = read(group, offset!(cgroup_node))?;
    read(node, offset!(node_id))
}

/// The own end from the socket; the other from the address that was connected to, as the socket may not have it.
///
/// # Safety
/// `to` must be writable.
#[inline(always)]
unsafe fn write_endpoints(connecting: Connecting, to: *mut Endpoints) -> Option<()> {
    let Connecting { socket, address } = connecting;
    let net: u64 = read(socket, offset!(net))?;
    // SAFETY: the caller vouches for `to`.
    unsafe {
        (*to).netns = read(net, offset!(net_inode)).unwrap_or(0);
        (*to).local_port = u16::from_be(read(socket, offset!(local_port))?);
        (*to).remote_port = u16::from_be(read_at(address, PORT_AT)?);
        match read_at(address, 0)? {
            AF_INET => {
                mapped(read(socket, offset!(local_v4))?, &raw mut (*to).local);
                mapped(read_at(address, ADDRESS_V4_AT)?, &raw mut (*to).remote);
            }
            AF_INET6 => {
                let local = at(socket, offset!(local_v6) as usize);
                bpf_probe_read_kernel_buf(local, &mut (*to).local).ok()?;
                let remote = at(address, ADDRESS_V6_AT);
                bpf_probe_read_kernel_buf(remote, &mut (*to).remote).ok()?;
            }
            _ => return None,
        }
    }
    Some(())
}
