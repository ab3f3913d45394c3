//! Format and lints: rustfmt and clippy, on the host's code and on the eBPF programs. It knows no rule of its own.
use anyhow::{Context as _, Result};

use crate::{build, process, setup::Toolchain, workspace::Workspace};

/// rustfmt on every package.
pub(crate) fn format(workspace: &Workspace) -> Result<()> {
    process::run(workspace.cargo().args(["fmt", "--all", "--check"]))
        .context("`cargo fmt --all` mends the format")
}

/// Clippy on every package and target that runs on this machine; `--workspace`, because the root's default is one
/// package only.
pub(crate) fn host(workspace: &Workspace) -> Result<()> {
    process::run(workspace.cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))
}

/// Clippy on the programs, for the target that they are built for, by the clippy of their own compiler: another
/// compiler's does not read its `core`.
pub(crate) fn bpf(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    let clippy =
        toolchain.compiler.clippy().context("no clippy for the eBPF programs; try `cargo xtask setup`")?;
    let mut command = build::bpf_cargo(workspace, toolchain, "check");
    command
        // What `cargo clippy` does, which a compiler outside of rustup need not come with.
        .env("RUSTC_WORKSPACE_WRAPPER", clippy)
        .env("CLIPPY_ARGS", "--deny__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__")
        .env("CLIPPY_CONF_DIR", &workspace.root);
    process::run(&mut command).context("clippy on the eBPF programs")
}
