//! The smallest set of capabilities of each mode: with it tracing starts, and without one of it the error names that one.

use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use caps::{CapSet, CapsHashSet};
use mtlsnoop::source::kernel::{
    Capture, Kernel, Options, StartError,
    capability::{Capability, Held},
};

/// Starts in a thread of its own that has these capabilities alone: the kernel keeps them for each thread.
fn start_with(held: &[Capability], capture: Capture) -> Result<Result<(), StartError>> {
    let names = held.iter().map(|capability| format!("CAP_{capability}").parse());
    let names: CapsHashSet = names.collect::<Result<_, _>>()?;
    let trial = thread::spawn(move || -> Result<_> {
        caps::set(None, CapSet::Effective, &names)?;
        Ok(Kernel::start(&Options { capture, ..Options::default() }).map(drop))
    });
    trial.join().ok().context("the trial panicked")?
}

#[test]
fn each_mode_starts_with_its_smallest_set() -> Result<()> {
    for capture in Capture::ALL {
        start_with(&capture.needs(), capture)?
            .with_context(|| format!("{} with {:?}", capture.name(), capture.needs()))?;
    }
    Ok(())
}

#[test]
fn one_that_is_missing_is_named_and_no_other() -> Result<()> {
    for capture in Capture::ALL {
        for lacking in capture.needs() {
            let held: Vec<_> = capture.needs().into_iter().filter(|held| *held != lacking).collect();
            match start_with(&held, capture)? {
                Err(StartError::NotPermitted(denied)) => {
                    ensure!(denied.missing == [lacking], "{} without {lacking}: {denied}", capture.name());
                    let named = format!("lacks the capability {lacking}.");
                    ensure!(denied.to_string().contains(&named), "{denied}");
                }
                other => bail!("{} without {lacking}: {other:?}", capture.name()),
            }
        }
    }
    Ok(())
}

#[test]
fn without_any_all_are_named() -> Result<()> {
    for capture in Capture::ALL {
        let Err(StartError::NotPermitted(denied)) = start_with(&[], capture)? else {
            bail!("{} starts without any capability", capture.name());
        };
        ensure!(denied.missing == capture.needs(), "{denied}");
    }
    // Only the trials went without.
    ensure!(Held::by_this_thread().missing(&Capability::ALL).is_empty());
    Ok(())
}
