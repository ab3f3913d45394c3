//! The helper `lab-listener` as a server; it must not know what the helper does with its clients.

use anyhow::Result;

use super::Probe;
use crate::container::Container;
use crate::process::Process;
use crate::program;

/// An ordinary user without an account.
const UID: u32 = 1001;

pub(super) fn start(container: &Container, port: u16, behaviour: &str) -> Result<(Process, Probe)> {
    Ok((launch(container, &[behaviour, &port.to_string()])?, Probe::Listens))
}

/// In front of the server that listens on `to`.
pub(super) fn start_before(
    container: &Container,
    port: u16,
    behaviour: &str,
    to: u16,
) -> Result<(Process, Probe)> {
    let probe = if behaviour == "smtp" { Probe::Greets } else { Probe::Listens };
    Ok((launch(container, &[behaviour, &port.to_string(), &to.to_string()])?, probe))
}

fn launch(container: &Container, arguments: &[&str]) -> Result<Process> {
    let helper = program::for_everyone(&program::helper("lab-listener")?, container.folder())?;
    container.command(helper).as_id(UID).args(arguments).start()
}
