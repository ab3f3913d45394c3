//! Names of the per-CPU counters: what the programs saw, and what they had to leave out.

macro_rules! counters {
    ($( $(#[$doc:meta])* $constant:ident = $index:literal, $name:literal; )+) => {
        $( $(#[$doc])* pub const $constant: u32 = $index; )+

        /// Stable names in the order of the indexes.
        pub const NAMES: [&str; [$( $index ),+].len()] = [$( $name ),+];

        const _: () = {
            let mut expected = 0;
            $( assert!($index == expected, "counter indexes are consecutive"); expected += 1; )+
            assert!(expected == NAMES.len());
        };
    };
}

counters! {
    /// Connection ends that began while tracing: one per connect, one per accepted connection.
    SEEN = 0, "seen";
    /// Open records that did not fit into the ring.
    LOST_OPENED = 1, "lost_opened";
    /// Records of an active connection's establishment that did not fit.
    LOST_ESTABLISHED = 2, "lost_established";
    /// Open records of accepted connections that did not fit.
    LOST_ACCEPTED = 3, "lost_accepted";
    /// End records that did not fit.
    LOST_ENDED = 4, "lost_ended";
    /// `ClientHello` segments that did not fit.
    LOST_HELLO = 5, "lost_hello";
    /// First-byte records that did not fit.
    LOST_FIRST_BYTES = 6, "lost_first_bytes";
    /// Reset records that did not fit.
    LOST_RESET = 7, "lost_reset";
    /// Listener records that did not fit.
    LOST_LISTENER = 8, "lost_listener";
    /// Packets whose first payload could not be read.
    UNREADABLE_PAYLOAD = 9, "unreadable_payload";
    /// Hellos split over segments that could not be followed because the map was full.
    UNTRACKED_HELLO = 10, "untracked_hello";
    /// Sockets whose kernel fields could not be read.
    UNREADABLE_SOCKET = 11, "unreadable_socket";
    /// Records of connects that failed at once that did not fit.
    LOST_CONNECT_FAILED = 12, "lost_connect_failed";
    /// Connection ends that the sentinel saw at their end.
    DESTROYED = 13, "destroyed";
    /// The sentinel's records that did not fit.
    LOST_DESTROYED = 14, "lost_destroyed";
}

/// How many counters there are.
#[expect(clippy::cast_possible_truncation, reason = "a dozen")]
pub const COUNT: u32 = NAMES.len() as u32;
