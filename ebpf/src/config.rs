//! What user space sets before the programs are loaded: where kernel fields are, and who the tracer is.

use crate::classify::LOOK_BYTES;

/// A field that the running kernel does not have; programs skip what needs it.
pub const ABSENT: u32 = u32::MAX;

/// Most control groups for which the microscope can be armed at a time.
pub const MAX_ARMED: u32 = 4096;

/// Most sockets of which a hello is remembered.
pub const MAX_HELLOS: u32 = 8192;

/// What is remembered of one, in bytes.
pub const HELLO_BYTES: usize = 16 + LOOK_BYTES;

/// Most connects that can be under way.
pub const MAX_CONNECTING: u32 = 4096;

/// What is remembered of one, in bytes.
pub const CONNECTING_BYTES: usize = 16;

macro_rules! offsets {
    ($( $(#[$doc:meta])* $field:ident: $container:literal . $path:literal, )+) => {
        /// Byte offsets of kernel fields, looked up in the running kernel's BTF.
        ///
        /// rustc emits no CO-RE relocations. The values land in frozen `.rodata`, so that the verifier folds them
        /// to constants and a plain load through a BTF pointer passes (verified on 6.1, 6.12 and 6.18).
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Offsets {
            $( $(#[$doc])* pub $field: u32, )+
        }

        impl Offsets {
            /// No field is known yet.
            pub const NONE: Self = Self { $( $field: ABSENT, )+ };

            /// For each field: its name here, the kernel struct, and the path of members in it.
            pub const PATHS: [(&'static str, &'static str, &'static str); [$( $container ),+].len()] =
                [$( (stringify!($field), $container, $path), )+];

            /// The fields in the order of [`Self::PATHS`].
            pub fn from_array(values: [u32; Self::PATHS.len()]) -> Self {
                let [$( $field, )+] = values;
                Self { $( $field, )+ }
            }
        }
    };
}

offsets! {
    /// `AF_INET` or `AF_INET6`, u16.
    family: "sock"."__sk_common.skc_family",
    /// IPv4 peer, big endian u32.
    remote_v4: "sock"."__sk_common.skc_daddr",
    /// IPv4 own address, big endian u32.
    local_v4: "sock"."__sk_common.skc_rcv_saddr",
    /// Peer port, big endian u16.
    remote_port: "sock"."__sk_common.skc_dport",
    /// IPv6 peer, 16 bytes.
    remote_v6: "sock"."__sk_common.skc_v6_daddr",
    /// IPv6 own address, 16 bytes.
    local_v6: "sock"."__sk_common.skc_v6_rcv_saddr",
    /// Pointer to the network namespace.
    net: "sock"."__sk_common.skc_net.net",
    /// Socket cookie, u64; 0 as long as nobody asked for it.
    cookie: "sock"."__sk_common.skc_cookie",
    /// Socket flags (`enum sock_flags`), unsigned long.
    flags: "sock"."__sk_common.skc_flags",
    /// State (`include/net/tcp_states.h`), u8.
    state: "sock"."__sk_common.skc_state",
    /// Length of a listener's queue, u32; an accepted socket has the one of its listener, one that connected has 0.
    backlog: "sock"."sk_max_ack_backlog",
    /// `IPPROTO_*`, u16.
    protocol: "sock"."sk_protocol",
    /// Owner, u32.
    uid: "sock"."sk_uid",
    /// Pending error, int.
    error: "sock"."sk_err",
    /// Pointer to the owner's cgroup; absent without `CONFIG_SOCK_CGROUP_DATA`.
    cgroup: "sock"."sk_cgrp_data.cgroup",
    /// Own port, big endian u16; still there when `skc_num` is already 0.
    local_port: "inet_sock"."inet_sport",
    /// Acknowledged sequence space, SYN and FIN included, u64.
    bytes_acked: "tcp_sock"."bytes_acked",
    /// Received sequence space, FIN included, u64.
    bytes_received: "tcp_sock"."bytes_received",
    /// Payload bytes handed to IP, retransmissions included, u64.
    bytes_sent: "tcp_sock"."bytes_sent",
    /// Payload bytes sent again, u64.
    bytes_retransmitted: "tcp_sock"."bytes_retrans",
    /// When payload was last sent, low 32 bits of jiffies.
    last_sent: "tcp_sock"."lsndtime",
    /// Smoothed round trip in eighths of a microsecond, u32.
    srtt: "tcp_sock"."srtt_us",
    /// Inode number of a network namespace, u32.
    net_inode: "net"."ns.inum",
    /// Pointer to the kernfs node of a cgroup.
    cgroup_node: "cgroup"."kn",
    /// Identity of a kernfs node, u64: the cgroup id.
    node_id: "kernfs_node"."id",
    /// Pointer to the first thread of a thread's process.
    task_leader: "task_struct"."group_leader",
    /// Command name of a thread, 16 bytes.
    task_name: "task_struct"."comm",
    /// Start of the packet buffer, pointer.
    packet_head: "sk_buff"."head",
    /// Offset of the IP header in the buffer, u16.
    packet_network: "sk_buff"."network_header",
    /// Offset of the TCP header in the buffer, u16.
    packet_transport: "sk_buff"."transport_header",
}

const _: () = assert!(size_of::<Offsets>() == 4 * Offsets::PATHS.len());

/// Who the tracer is, so that its own sockets can be left out: its pid as seen in its own pid namespace.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracer {
    /// Device number of `/proc/self/ns/pid`, in the kernel's encoding.
    pub pid_namespace_device: u64,
    /// Inode of `/proc/self/ns/pid`.
    pub pid_namespace_inode: u64,
    /// Thread group id in that namespace.
    pub pid: u32,
    /// Always 0.
    pub reserved: u32,
}

impl Tracer {
    /// Nobody: no socket is left out.
    pub const NONE: Self = Self { pid_namespace_device: 0, pid_namespace_inode: 0, pid: 0, reserved: 0 };
}

const _: () = assert!(size_of::<Tracer>() == 24);

/// Where the record of the classic tracepoint `tcp:tcp_receive_reset` has its fields, in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetFields {
    /// Own port, u16.
    pub local_port: u32,
    /// Peer's port, u16.
    pub remote_port: u32,
    /// Own address, 16 bytes; IPv4 is mapped.
    pub local: u32,
    /// Peer's address.
    pub remote: u32,
    /// Socket cookie, u64.
    pub cookie: u32,
}

impl ResetFields {
    /// Nothing is known yet.
    pub const NONE: Self =
        Self { local_port: ABSENT, remote_port: ABSENT, local: ABSENT, remote: ABSENT, cookie: ABSENT };
}

const _: () = assert!(size_of::<ResetFields>() == 20);

// SAFETY: all fields are plain integers, and the size asserts above rule out padding.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Offsets {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for ResetFields {}
// SAFETY: as above.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Tracer {}
