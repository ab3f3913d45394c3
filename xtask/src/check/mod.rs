//! `cargo xtask check`: format, lints, and the rules of the design that no compiler knows. It changes no file.
use std::path::Path;

use anyhow::{Result, bail};

use crate::{
    build,
    setup::{self, Purpose, Toolchain},
    workspace::Workspace,
};

mod dependency;
mod length;
mod lint;
mod name;
mod opening;
mod root;
mod sleep;
mod source;
mod used;

use source::{Source, Violation};

/// Sets up, builds the eBPF object (user space does not compile without it), and checks.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let tools = setup::ready(workspace, Purpose::Test)?;
    build::ebpf(workspace, &tools.toolchain)?;
    everything(workspace, &tools.toolchain)
}

/// All checks, the quick ones first; a failure does not keep the others from running.
pub(crate) fn everything(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    let violations = violations(&workspace.root)?;
    for violation in &violations {
        eprintln!("{violation}");
    }
    let mut failed = Vec::new();
    if !violations.is_empty() {
        failed.push(format!("{} broken rules of the design, listed above", violations.len()));
    }
    let lints = [lint::format(workspace), lint::host(workspace), lint::bpf(workspace, toolchain)];
    failed.extend(lints.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")));
    if !failed.is_empty() {
        bail!("the check found:\n  - {}", failed.join("\n  - "));
    }
    Ok(())
}

fn violations(root: &Path) -> Result<Vec<Violation>> {
    let sources = source::collect(root)?;
    let mut violations = root::check(root)?;
    for rule in [dependency::check, length::check, name::check, opening::check, sleep::check] {
        violations.extend(rule(&sources));
    }
    Ok(violations)
}
