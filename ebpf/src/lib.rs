//! The contract between the eBPF programs and user space: records, configuration, counters, first-byte classes and names.
//!
//! `no_std`, integers only, every size checked at compile time. It knows nothing of flows or verdicts.
#![no_std]

pub mod classify;
pub mod config;
pub mod counter;
pub mod record;

/// Names of the programs in the object, in the order of `main.rs`.
pub mod program {
    /// `tp_btf/inet_sock_set_state`: opens, establishments, ends and listeners.
    pub const SOCKET_STATE: &str = "socket_state";
    /// `tp_btf/tcp_receive_reset`.
    pub const RESET_RECEIVED: &str = "reset_received";
    /// `tp_btf/tcp_send_reset` of kernels that pass a reason (seen on 6.12 and 6.18).
    pub const RESET_SENT: &str = "reset_sent";
    /// `tp_btf/tcp_send_reset` of kernels that pass none (seen on 6.1).
    pub const RESET_SENT_WITHOUT_REASON: &str = "reset_sent_without_reason";
    /// `cgroup_skb/egress`: first payload that leaves a socket.
    pub const PAYLOAD_SENT: &str = "payload_sent";
    /// `cgroup_skb/ingress`: first payload that reaches a socket.
    pub const PAYLOAD_RECEIVED: &str = "payload_received";
    /// `tp_btf/tcp_destroy_sock`: the sentinel, one record per socket at its end.
    pub const SOCKET_DESTROYED: &str = "socket_destroyed";
    /// `fexit/tcp_v4_connect`: connects that fail at once.
    pub const CONNECT_V4_EXITED: &str = "connect_v4_exited";
    /// `fexit/tcp_v6_connect`.
    pub const CONNECT_V6_EXITED: &str = "connect_v6_exited";
    /// `kprobe` on both: remembers the arguments for [`CONNECT_RETURNED`].
    pub const CONNECT_BEGAN: &str = "connect_began";
    /// `kretprobe` on both.
    pub const CONNECT_RETURNED: &str = "connect_returned";
    /// `sock_ops`: connections in kernels without type information.
    pub const SOCKET_CALLED: &str = "socket_called";
    /// `tracepoint/tcp:tcp_receive_reset`, in kernels without type information.
    pub const RESET_RECEIVED_CLASSIC: &str = "reset_received_classic";

    /// Every program of the object.
    pub const ALL: [&str; 13] = [
        SOCKET_STATE,
        RESET_RECEIVED,
        RESET_SENT,
        RESET_SENT_WITHOUT_REASON,
        PAYLOAD_SENT,
        PAYLOAD_RECEIVED,
        SOCKET_DESTROYED,
        CONNECT_V4_EXITED,
        CONNECT_V6_EXITED,
        CONNECT_BEGAN,
        CONNECT_RETURNED,
        SOCKET_CALLED,
        RESET_RECEIVED_CLASSIC,
    ];
}

/// Names of the maps in the object.
pub mod map {
    /// Ring buffer of records, see [`crate::record`].
    pub const RECORDS: &str = "RECORDS";
    /// Per-CPU array of counters, see [`crate::counter`].
    pub const COUNTERS: &str = "COUNTERS";
    /// Sockets on which a `ClientHello` was seen, see `maps.rs`.
    pub const HELLOS: &str = "HELLOS";
    /// Connects under way, see `maps.rs`.
    pub const CONNECTING: &str = "CONNECTING";
    /// Control groups for which the microscope is armed, see `maps.rs`.
    pub const ARMED: &str = "ARMED";

    /// Every map of ours in the object (the logger of the kernel side brings its own).
    pub const ALL: [&str; 5] = [RECORDS, COUNTERS, HELLOS, CONNECTING, ARMED];
}

/// Names of the globals that user space sets before load.
pub mod global {
    /// A [`crate::config::Offsets`].
    pub const OFFSETS: &str = "OFFSETS";
    /// A [`crate::config::ResetFields`].
    pub const RESET_FIELDS: &str = "RESET_FIELDS";
    /// A [`crate::config::Tracer`].
    pub const TRACER: &str = "TRACER";
    /// A `u32`: not 0 when only the control groups in [`crate::map::ARMED`] are followed from their connects on.
    pub const ARMED_ONLY: &str = "ARMED_ONLY";
}
