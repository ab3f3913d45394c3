//! The maps: for each its key and value, who inserts, who deletes, and why it stays bounded.

use aya_ebpf::{
    macros::map,
    maps::{HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use mtlsnoop_ebpf::{
    classify::LOOK_BYTES,
    config::{CONNECTING_BYTES, HELLO_BYTES, MAX_ARMED, MAX_CONNECTING, MAX_HELLOS},
    counter,
};

/// Records to user space. Programs reserve and submit without a wakeup; user space drains it on a timer. Its size is
/// set at load; a record that does not fit is counted under its name and dropped.
#[map]
pub(crate) static RECORDS: RingBuf = RingBuf::with_byte_size(8 << 20, 0);

/// Counters by [`counter`] index. Programs add, user space sums over CPUs; nothing is deleted.
#[map]
pub(crate) static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::COUNT, 0);

/// Sockets on which a `ClientHello` was seen: key is the socket cookie. Inserted at the first payload of a direction if
/// it looks like a hello; never deleted, bounded because the kernel evicts the least recently used. It is what
/// allows following a hello over segments and exporting the first bytes of its answer, and only those. Plaintext
/// connections never insert.
#[map]
pub(crate) static HELLOS: LruHashMap<u64, Hello> = LruHashMap::with_max_entries(MAX_HELLOS, 0);

/// Control groups for which the microscope is armed: key is the cgroup id. User space inserts and deletes, programs only
/// look; bounded because user space arms for few at a time.
#[map]
pub(crate) static ARMED: HashMap<u64, u8> = HashMap::with_max_entries(MAX_ARMED, 0);

/// What is known of a hello on one socket.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Hello {
    /// Stream offset at which the hello begins, as computed from the socket's counters (0 or 1).
    pub(crate) base: u32,
    /// How many bytes it has; 0 as long as its headers have not been seen whole.
    pub(crate) expected: u32,
    /// How many bytes of `head` are filled.
    pub(crate) head_length: u32,
    /// 1 when it left this socket, 0 when it reached it.
    pub(crate) sent: u32,
    /// First bytes, as long as `expected` is not known.
    pub(crate) head: [u8; LOOK_BYTES],
}

/// Connects under way in kernels where only probes can be set: key is the thread. Inserted when the function is called,
/// deleted when it returns; bounded because the kernel evicts the least recently used.
#[map]
pub(crate) static CONNECTING: LruHashMap<u64, Connecting> = LruHashMap::with_max_entries(MAX_CONNECTING, 0);

/// The arguments of a connect.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Connecting {
    /// Address of a `struct sock`.
    pub(crate) socket: u64,
    /// Address of a `struct sockaddr`, in kernel memory.
    pub(crate) address: u64,
}

const _: () = assert!(size_of::<Hello>() == HELLO_BYTES && size_of::<Connecting>() == CONNECTING_BYTES);
