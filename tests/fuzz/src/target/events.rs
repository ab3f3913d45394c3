//! Reading of recordings and of the kernel's records, and the core on events that nobody would send.

use mtlsnoop::{
    engine::{Connections, Engine, Settings},
    event::Event,
    recording::Prefix,
    sink::{Sink as _, json::JsonLines},
    source::{capture::CaptureFile, kernel, replay::Replay},
};

/// A recording, from its first byte.
pub(crate) fn recording(bytes: &[u8]) {
    let Ok(mut replay) = Replay::new(bytes) else { return };
    while let Ok(Some(_)) = replay.next_event() {}
}

/// A packet capture, from its first byte; what it tells goes through the core.
pub(crate) fn capture(bytes: &[u8]) {
    let Ok(mut capture) = CaptureFile::new(bytes, "node") else { return };
    let mut engine =
        Engine::new(Settings { max_flows: 8, connections: Connections::All, ..Settings::default() });
    let mut updates = Vec::new();
    while let Ok(Some(event)) = capture.next_event() {
        engine.apply(&event, &mut updates);
    }
    engine.finish(&mut updates);
}

/// Encoded events, each after its length (2 bytes): the checksum of a recording would keep the fuzzer out.
pub(crate) fn engine(bytes: &[u8]) {
    let mut engine = Engine::new(Settings {
        max_flows: 8,
        max_destinations: 4,
        max_findings: 4,
        connections: Connections::All,
        suspects: true,
    });
    let mut updates = Vec::new();
    let mut rest = bytes;
    while let Some(event) = next_event(&mut rest) {
        engine.apply(&event, &mut updates);
    }
    engine.finish(&mut updates);
    let mut lines = JsonLines::new(Vec::new());
    for update in &updates {
        lines.update(update).expect("writing to memory does not fail");
    }
    let _summary = engine.summary();
}

fn next_event(rest: &mut &[u8]) -> Option<Event> {
    loop {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let payload;
        (payload, *rest) = after.split_at_checked(u16::from_le_bytes(*length).into())?;
        let prefix = Prefix { length: u32::try_from(payload.len()).ok()?, crc: crc32fast::hash(payload) };
        if let Some(event) = prefix.decode(payload) {
            return Some(event);
        }
    }
}

/// One record of the ring.
pub(crate) fn kernel_record(bytes: &[u8]) {
    let _event = kernel::read_record(bytes);
}
