//! The examination of this machine agrees with what tracing attaches, and leaves nothing in the kernel.

use anyhow::{Context as _, Result};
use mtlsnoop::source::kernel::{Capture, Kernel, Options, examine::examine};

#[test]
fn it_promises_what_a_trace_attaches_and_leaves_nothing() -> Result<()> {
    let options = Options::default();
    let before = crate::leftover::Objects::held_by(std::process::id())?;
    let examination = examine(&options);
    assert_eq!(crate::leftover::Objects::held_by(std::process::id())?, before);
    for capture in Capture::ALL {
        let kernel = Kernel::start(&Options { capture, ..options.clone() })?;
        for hook in kernel.coverage() {
            let examined = examination
                .hooks
                .iter()
                .find(|examined| examined.name == hook.name)
                .with_context(|| format!("{} is not examined", hook.name))?;
            assert_eq!(examined.used().map(|used| used.program), hook.program, "{}", hook.name);
        }
    }
    Ok(())
}

#[test]
fn what_is_switched_off_is_said_to_be() -> Result<()> {
    let without = ["reset_received", "reset_received_classic", "reset_sent"].map(str::to_owned).into();
    let options = Options { without, ..Options::default() };
    let examination = examine(&options);
    let kernel = Kernel::start(&options)?;
    for (name, used) in [("resets received", None), ("resets sent", Some("reset_sent_without_reason"))] {
        let examined = examination.hooks.iter().find(|hook| hook.name == name).context(name)?;
        assert_eq!(examined.used().map(|used| used.program), used, "{name}");
        assert_eq!(examined.variants[0].refused.as_deref(), Some("switched off"));
        let hook = kernel.coverage().iter().find(|hook| hook.name == name).context(name)?;
        assert_eq!((hook.program, hook.is_lessened()), (used, true), "{name}");
    }
    Ok(())
}
