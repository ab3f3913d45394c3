//! Starting: everything can be attached here, and what is missing is named.

use anyhow::Result;
use mtlsnoop::source::kernel::{Capture, Kernel, Options};

#[test]
fn everything_is_attached_or_said_to_be_missing() -> Result<()> {
    for (capture, names) in [
        (
            Capture::Always,
            [
                "payload sent",
                "payload received",
                "resets received",
                "resets sent",
                "connects that fail at once",
                "connections",
            ]
            .as_slice(),
        ),
        (Capture::Sentinel, &["ends of sockets", "resets received", "resets sent"]),
    ] {
        let kernel = Kernel::start(&Options { capture, ..Options::default() })?;
        assert!(kernel.coverage().iter().map(|hook| hook.name).eq(names.iter().copied()));
        for hook in kernel.coverage() {
            // What this kernel lacks is told, and the tests that need it say so as well.
            eprintln!("{hook}");
            assert!(hook.program.is_some() || !hook.refused.is_empty(), "{hook}");
        }
    }
    Ok(())
}
