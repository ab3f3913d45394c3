//! The helper `lab-listener` as a server; it must not know what the helper does with its clients.

use anyhow::Result;

use super::Probe;
use crate::container::Container;
use crate::process::Process;
use crate::program;

/// An ordinary user without an account.
const UID: u32 = 1001;

pub(super) fn start(container: &Container, port: u16, behaviour: &str) -> Result<(Process, Probe)> {
    let helper = program::for_everyone(&program::helper("lab-listener")?, container.folder())?;
    let process = container.command(helper).as_id(UID).args([behaviour, &port.to_string()]).start()?;
    Ok((process, Probe::Listens))
}
