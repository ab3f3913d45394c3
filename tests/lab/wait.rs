//! Waits for conditions, each with a deadline; it must not know what the conditions are about.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::interrupt;

/// Short enough that a wait adds nothing one could see, long enough to leave the processor to those waited for.
const PAUSE: Duration = Duration::from_millis(2);

/// How long starting, stopping and settling may take on a slow and busy machine.
pub const LONG: Duration = Duration::from_secs(30);

/// Calls `probe` until it gives a value. Fails when `probe` fails, when `within` is over, and on Ctrl-C.
pub fn until<T>(
    what: impl std::fmt::Display,
    within: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        interrupt::check()?;
        if let Some(value) = probe()? {
            return Ok(value);
        }
        if started.elapsed() >= within {
            bail!("waited {:.1} s in vain for: {what}", within.as_secs_f64());
        }
        // Between two looks at the condition.
        thread::sleep(PAUSE);
    }
}

/// [`until`] for a condition that gives nothing but its truth.
pub fn until_true(
    what: impl std::fmt::Display,
    within: Duration,
    mut probe: impl FnMut() -> Result<bool>,
) -> Result<()> {
    until(what, within, || Ok(probe()?.then_some(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_value_of_the_first_probe_that_has_one() {
        let mut left = 3;
        let value = until("three probes", LONG, || {
            left -= 1;
            Ok((left == 0).then_some("done"))
        });
        assert_eq!(value.unwrap(), "done");
    }

    #[test]
    fn says_what_it_waited_for_when_the_time_is_over() {
        let error = until_true("the moon", Duration::ZERO, || Ok(false)).unwrap_err();
        assert!(error.to_string().ends_with("for: the moon"), "{error}");
    }
}
