//! `cargo xtask build`: the eBPF object, then the one binary that carries it.
use std::{fs, process::Command};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::{
    process,
    setup::{self, Purpose, Toolchain},
    workspace::Workspace,
};

/// The BPF target of little-endian machines, the only ones supported.
pub(crate) const BPF_TARGET: &str = "bpfel-unknown-none";

/// Full debug information is what the linker makes BTF from.
const BPF_RUSTFLAGS: &str = "-C debuginfo=2 -C link-arg=--btf";

/// The program header that names a loader of shared libraries (`PT_INTERP`, elf(5)).
const INTERPRETER: usize = 3;

/// Which binary.
#[derive(Args)]
pub(crate) struct Options {
    /// Build target/static/mtlsnoop: without shared libraries and without symbols
    #[arg(long = "static")]
    is_static: bool,
}

/// Sets up, builds both halves, and says where the result is.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let tools = setup::ready(workspace, Purpose::Build)?;
    let binary = if options.is_static {
        without_libraries(workspace, &tools.toolchain)?;
        workspace.static_binary()
    } else {
        both(workspace, &tools.toolchain)?;
        workspace.binary()
    };
    eprintln!("built {}", workspace.shown(&binary));
    Ok(())
}

/// The binary for an image that holds nothing else. With the C library of this machine in it: glibc links statically, and
/// since 2.34 finds hosts without the libraries that it used to load for that.
fn without_libraries(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    ebpf(workspace, toolchain)?;
    let host = host()?;
    // Named, because without a target the flags would be for procedural macros too, which cannot be static.
    process::run(
        workspace
            .cargo()
            .args(["build", "--release", "--package", "mtlsnoop", "--target", &host])
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "none")
            .env("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
    )?;
    let built = workspace.target.join(&host).join("release/mtlsnoop");
    let bytes = fs::read(&built).with_context(|| format!("could not read {}", built.display()))?;
    ensure!(
        !names_a_loader(&bytes),
        "{} is not static; has this compiler a C library for that?",
        built.display()
    );
    let binary = workspace.static_binary();
    fs::create_dir_all(binary.parent().context("a file without a folder")?)?;
    fs::copy(&built, &binary).with_context(|| format!("could not write {}", binary.display()))?;
    Ok(())
}

/// The target that this machine's compiler builds for.
fn host() -> Result<String> {
    let said = process::read(Command::new("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

/// Whether an ELF file of 64 bits and little-endian is to be started by a loader. One that cannot be read is taken for such.
fn names_a_loader(elf: &[u8]) -> bool {
    let number = |at: usize, bytes: usize| -> Option<usize> {
        let bytes = elf.get(at..at.checked_add(bytes)?)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    // e_phoff, e_phentsize and e_phnum of `Elf64_Ehdr`; p_type comes first in `Elf64_Phdr` (elf(5)).
    let Some((table, (size, count))) = number(32, 8).zip(number(54, 2).zip(number(56, 2))) else {
        return true;
    };
    (0..count).any(|nth| number(table + nth * size, 4).is_none_or(|kind| kind == INTERPRETER))
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

#[cfg(test)]
mod tests {
    use super::names_a_loader;

    /// An ELF header with one program header of this type.
    fn elf(kind: u8) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        (bytes[32], bytes[54], bytes[56], bytes[64]) = (64, 56, 1, kind);
        bytes
    }

    #[test]
    fn a_binary_with_a_loader_is_told_from_one_without() {
        assert!(!names_a_loader(&elf(1)));
        assert!(names_a_loader(&elf(3)));
        assert!(names_a_loader(&elf(1)[..64]), "a header that is not there");
        assert!(names_a_loader(b"#!/bin/sh"));
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert!(names_a_loader(&own), "the tests are built with shared libraries");
    }
}
