//! SIGINT and SIGTERM: the first asks a run to end, the second ends it at once; must not know what runs.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

/// The first signal raises the flag, upon which a run ends, which may take a moment; the second one does not wait for that.
pub fn raise_then_exit() -> io::Result<Arc<AtomicBool>> {
    let is_ending = Arc::new(AtomicBool::new(false));
    for number in [SIGINT, SIGTERM] {
        // Actions run in the order of registration: the first signal finds the flag down, and raises it.
        flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&is_ending))?;
        flag::register(number, Arc::clone(&is_ending))?;
    }
    Ok(is_ending)
}
