//! `cargo xtask demo`: the incident and its mending, for real, on this machine. It knows the order of things, not
//! how pods are made nor how the tracer finds what it finds.
use anyhow::{Result, bail};
use mtlsnoop_tests::{interrupt, program};

use crate::{
    build,
    setup::{self, Purpose},
    workspace::Workspace,
};

mod finding;
mod screen;
mod story;

pub(crate) use mtlsnoop_tests::interrupt::Interrupted;

/// Sets up, builds, and tells the story. Succeeds only if everything in it happened.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "the demo loads programs into the kernel and makes network namespaces, which needs root; run this as root"
        );
    }
    let tools = setup::ready(workspace, Purpose::Demo)?;
    build::both(workspace, &tools.toolchain)?;
    if let Some(envoy) = tools.envoy {
        program::ENVOY.choose(envoy);
    }
    program::TRACER.choose(workspace.binary());
    interrupt::catch()?;
    story::tell()
}
