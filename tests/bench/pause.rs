//! Time that passes while others work, cut short by Ctrl-C; it must not know who works.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use mtlsnoop_tests::interrupt;

/// How long Ctrl-C may take.
const STEP: Duration = Duration::from_millis(100);

/// Lets time pass.
pub(crate) fn pause(duration: Duration) -> Result<()> {
    let end = Instant::now() + duration;
    loop {
        interrupt::check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        // The length of a window is what is asked for; there is no condition.
        thread::sleep(left.min(STEP));
    }
}
