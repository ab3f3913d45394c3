//! How full the kernel's hash maps are with what is still needed; must not know what is made of them.

use aya::{
    Ebpf,
    maps::{HashMap, MapData, MapError},
};
use mtlsnoop_ebpf::{
    config::{CONNECTING_BYTES, HELLO_BYTES, MAX_ARMED, MAX_CONNECTING, MAX_HELLOS},
    map,
};

use crate::{
    event::{
        socket::SocketId,
        time::{SECOND_NS, Time},
    },
    source::kernel::load::take,
};

/// Counting takes a system call for each key: a full map takes some milliseconds.
const COUNT_EVERY_NS: u64 = 10 * SECOND_NS;

/// How full each map is, by its name in metrics, from 0 to 1.
pub type Fill = [(&'static str, f64); 3];

/// The maps that programs fill.
pub(super) struct Filled {
    hellos: HashMap<MapData, u64, [u8; HELLO_BYTES]>,
    connecting: HashMap<MapData, u64, [u8; CONNECTING_BYTES]>,
    counted: Option<(Time, Fill)>,
}

impl Filled {
    /// Takes them out of the object.
    pub(super) fn take(programs: &mut Ebpf) -> Result<Self, MapError> {
        Ok(Self {
            hellos: HashMap::try_from(take(programs, map::HELLOS)?)?,
            connecting: HashMap::try_from(take(programs, map::CONNECTING)?)?,
            counted: None,
        })
    }

    /// Counts again if that was a while ago. `armed`: control groups that are armed for.
    ///
    /// A hello is never deleted: a new one takes the place of the one that was used least recently. So what counts is those
    /// whose connection still waits for an answer, because these are missed when they go.
    pub(super) fn fill(&mut self, now: Time, armed: usize, awaits_answer: impl Fn(SocketId) -> bool) -> Fill {
        let is_recent = |counted: &Time| now.since_ns(*counted) < COUNT_EVERY_NS;
        if let Some((_, fill)) = self.counted.filter(|(counted, _)| is_recent(counted)) {
            return fill;
        }
        // A key that goes while it is read sends the kernel back to the first one: no end would be certain.
        let hellos = self.hellos.keys().take(MAX_HELLOS as usize).filter_map(Result::ok);
        let waiting = hellos.filter(|socket| awaits_answer(SocketId(*socket))).count();
        let connecting = self.connecting.keys().take(MAX_CONNECTING as usize).filter_map(Result::ok).count();
        let fill = [
            ("hellos", ratio(waiting, MAX_HELLOS)),
            ("connecting", ratio(connecting, MAX_CONNECTING)),
            ("armed", ratio(armed, MAX_ARMED)),
        ];
        self.counted = Some((now, fill));
        fill
    }
}

fn ratio(filled: usize, max: u32) -> f64 {
    f64::from(u32::try_from(filled).unwrap_or(u32::MAX)) / f64::from(max)
}
