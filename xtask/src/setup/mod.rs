//! `cargo xtask setup`: brings the machine to where a command can run. It knows what is needed, not what for.
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::workspace::Workspace;

mod compiler;
mod debian;
mod envoy;
mod kernel;
mod linker;
mod memory;
mod program;
mod space;
mod validator;

pub(crate) use compiler::Compiler;
pub(crate) use kernel::{Kernel, Series, ready as kernel_ready};
pub(crate) use validator::{Validators, ready as validators_ready};

/// What must work afterwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub(crate) enum Purpose {
    /// `cargo xtask build`
    Build,
    /// `cargo xtask demo`: also Envoy, Redis and the network tools
    Demo,
    /// `cargo xtask test`, `check` and `vm`: all of the demo's, the servers of the end-to-end tests, QEMU and kernels for it
    Test,
    /// `cargo xtask bench`: all of the demo's, and the tracers that are measured beside this one
    Bench,
}

impl Purpose {
    /// Whether what is needed for another purpose is needed for this one.
    fn includes(self, other: Self) -> bool {
        self == other || (other < self && other != Self::Test)
    }
}

/// What builds the eBPF object.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Toolchain {
    pub(crate) compiler: Compiler,
    pub(crate) linker: PathBuf,
}

/// What set-up found or installed.
pub(crate) struct Tools {
    pub(crate) toolchain: Toolchain,
    /// There for every purpose but `Build`.
    pub(crate) envoy: Option<PathBuf>,
}

/// Finds or installs everything for this purpose.
pub(crate) fn ready(workspace: &Workspace, purpose: Purpose) -> Result<Tools> {
    space::check(workspace, purpose)?;
    let remembered = memory::recall(workspace);
    if remembered.is_none() {
        compiler::honour_wish()?;
    }
    let envoy = if purpose == Purpose::Build { None } else { envoy::find(workspace)? };
    let lacking = lacking(workspace, purpose, remembered.as_ref(), envoy.is_some());
    debian::install(workspace, &lacking)?;
    let toolchain = match remembered {
        Some(toolchain) => toolchain,
        None => find_toolchain(workspace)?,
    };
    if purpose == Purpose::Test {
        need_clippy(&toolchain.compiler)?;
        for series in Series::value_variants() {
            kernel::ready(workspace, *series)?;
        }
        validator::ready(workspace)?;
    }
    let envoy = match envoy {
        None if purpose > Purpose::Build => Some(envoy::fetch(workspace)?),
        found => found,
    };
    Ok(Tools { toolchain, envoy })
}

/// Everything that is missing and that a distribution packages, all at once, so that there is one command to type.
fn lacking(
    workspace: &Workspace,
    purpose: Purpose,
    remembered: Option<&Toolchain>,
    has_envoy: bool,
) -> Vec<program::Lacking> {
    let mut lacking = program::lacking(purpose);
    if purpose > Purpose::Build && !has_envoy && !envoy::pip_works() {
        lacking.push(program::PIP);
    }
    let compiler = match remembered {
        Some(toolchain) => Some(toolchain.compiler.clone()),
        None => choose_compiler(workspace, &compiler::candidates()),
    };
    if compiler.is_none() {
        lacking.push(compiler::DEBIAN);
    }
    if purpose == Purpose::Test && compiler.as_ref().is_none_or(Compiler::lacks_debian_clippy) {
        lacking.push(compiler::DEBIAN_CLIPPY);
    }
    if remembered.is_none() {
        let llvm_major =
            compiler.as_ref().map_or(compiler::DEBIAN_LLVM_MAJOR, |compiler| compiler.llvm_major);
        lacking.extend(linker::lacking(workspace, llvm_major));
    }
    lacking
}

fn choose_compiler(workspace: &Workspace, candidates: &[compiler::Candidate]) -> Option<Compiler> {
    compiler::choose(candidates, |llvm_major| linker::is_in_reach(workspace, llvm_major))
}

/// Chooses compiler and linker, installs the linker if need be, and remembers both.
fn find_toolchain(workspace: &Workspace) -> Result<Toolchain> {
    let candidates = compiler::candidates();
    let Some(compiler) = choose_compiler(workspace, &candidates) else {
        bail!("{}", compiler::advice(&candidates));
    };
    let linker = match linker::find(workspace, compiler.llvm_major) {
        Some(linker) => linker,
        None => linker::install(workspace, compiler.llvm_major)?,
    };
    let toolchain = Toolchain { compiler, linker };
    memory::remember(workspace, &toolchain)?;
    Ok(toolchain)
}

fn need_clippy(compiler: &Compiler) -> Result<()> {
    if compiler.clippy().is_none() {
        bail!(
            "there is no clippy-driver beside {}; `check` lints the eBPF programs with it. Try `rustup component add \
             clippy --toolchain nightly`, or install your distribution's package of clippy for that compiler",
            compiler.rustc.display()
        );
    }
    Ok(())
}
