//! `cargo xtask build`: the eBPF object, then the one binary that carries it.
use std::{fs, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::{
    process,
    setup::{self, Purpose, Toolchain},
    workspace::Workspace,
};

/// The BPF target of little-endian machines, the only ones supported.
pub(crate) const BPF_TARGET: &str = "bpfel-unknown-none";

/// Full debug information is what the linker makes BTF from.
const BPF_RUSTFLAGS: &str = "-C debuginfo=2 -C link-arg=--btf";

/// Sets up, builds both halves, and says where the result is.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let tools = setup::ready(workspace, Purpose::Build)?;
    both(workspace, &tools.toolchain)?;
    eprintln!("built {}", workspace.shown(&workspace.binary()));
    Ok(())
}

/// The eBPF object, then the binary with it inside.
pub(crate) fn both(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    ebpf(workspace, toolchain)?;
    process::run(workspace.cargo().args(["build", "--release", "--package", "mtlsnoop"]))
}

/// The eBPF object alone; everything that compiles user space needs it.
pub(crate) fn ebpf(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    if cfg!(target_endian = "big") {
        bail!("big-endian machines are not supported: the records are laid out for little-endian ones");
    }
    process::run(&mut bpf_cargo(workspace, toolchain, "build"))?;
    verify(workspace)
}

/// A cargo command on the eBPF programs, with the compiler, flags and linker that they need.
pub(crate) fn bpf_cargo(workspace: &Workspace, toolchain: &Toolchain, subcommand: &str) -> Command {
    let compiler = &toolchain.compiler;
    let mut command = workspace.cargo_at(&compiler.cargo);
    command
        .arg(subcommand)
        .args(["--release", "--package", "mtlsnoop-ebpf", "--bin", "mtlsnoop-bpf", "--features", "kernel"])
        .args(["--target", BPF_TARGET, "--target-dir"])
        .arg(workspace.ebpf_target())
        .args(compiler.core.cargo_arguments())
        .env("RUSTC", &compiler.rustc)
        // Stable compilers hold back what the BPF target needs; this opens it, as on nightly.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", BPF_RUSTFLAGS)
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &toolchain.linker)
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    command
}

/// Reads the object with the library that user space loads it with.
fn verify(workspace: &Workspace) -> Result<()> {
    let path = workspace.ebpf_object();
    let bytes = fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
    let object =
        aya_obj::Object::parse(&bytes).with_context(|| format!("{} is not a BPF object", path.display()))?;
    if object.programs.is_empty() {
        bail!("{} holds no program; does the linker drop them? Try another bpf-linker", path.display());
    }
    if object.btf.is_none() {
        bail!("{} has no BTF; the linker did not honour --btf. Try another bpf-linker", path.display());
    }
    Ok(())
}
