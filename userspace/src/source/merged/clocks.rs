//! How far clocks of nodes are apart, told by connections that both ends recorded; must not know what becomes of it.
//!
//! A connect is answered before it is accepted: where it seems to be the other way round, the accepting node's clock is
//! behind, and what it recorded is taken later. Times stay as they were recorded.

use std::{net::SocketAddr, path::PathBuf};

use rustc_hash::FxHashMap;

use crate::{
    event::{Event, time::Time},
    source::input::{Format, Input},
};

/// So many connections of a file tell enough.
const LOOKED_AT_MAX: usize = 100_000;

/// Further apart than this are no clocks, but two connections between the same ends.
const APART_NS_MAX: u64 = 60_000_000_000;

/// Ends of connections by their two addresses, the connecting one first: in which file, and when.
type Ends = FxHashMap<(SocketAddr, SocketAddr), (usize, Time)>;

/// By how much later the events of each file are taken.
pub(super) fn delays_ns(paths: &[PathBuf]) -> Vec<u64> {
    let mut delays_ns = vec![0; paths.len()];
    let (mut connecting, mut accepted) = (Ends::default(), Ends::default());
    for (file, path) in paths.iter().enumerate() {
        // What cannot be read is said when it is read for its events.
        if let Ok(input) = Input::open(path) {
            look(file, input, &mut connecting, &mut accepted);
        }
    }
    for (ends, (accepting, accepted_at)) in &accepted {
        let Some((_, connected_at)) = connecting.get(ends).filter(|(file, _)| file != accepting) else {
            continue;
        };
        let behind_ns = connected_at.since_ns(*accepted_at);
        if behind_ns > 0 && behind_ns < APART_NS_MAX {
            delays_ns[*accepting] = delays_ns[*accepting].max(behind_ns + 1);
        }
    }
    delays_ns
}

fn look(file: usize, mut input: Input, connecting: &mut Ends, accepted: &mut Ends) {
    if !matches!(input.format(), Format::Recording(_)) {
        return;
    }
    let mut looked_at = 0;
    while let Ok(Some(event)) = input.next_event() {
        match event {
            Event::Established(ends) => {
                connecting.insert((ends.local, ends.remote), (file, ends.time));
            }
            Event::Accepted(ends) => {
                accepted.insert((ends.remote, ends.local), (file, ends.time));
            }
            _ => continue,
        }
        looked_at += 1;
        if looked_at >= LOOKED_AT_MAX {
            return;
        }
    }
}
