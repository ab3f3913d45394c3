//! Where things lie in this workspace and its target folder. It knows paths, not what is done with them.
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::process;

/// The checkout and its target folder.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

/// The two fields of `cargo metadata` that matter here.
#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

impl Workspace {
    /// Asks cargo, because the target folder can be set by the environment and by configuration files.
    pub(crate) fn find() -> Result<Self> {
        let mut command = Command::new(cargo());
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        // Set by `cargo run`; not the value at compile time, because checkouts can share a target folder.
        if let Some(package) = std::env::var_os("CARGO_MANIFEST_DIR") {
            command.current_dir(package);
        }
        let metadata: Metadata = serde_json::from_str(&process::read(&mut command)?)
            .context("cargo metadata printed something unexpected")?;
        Ok(Self { root: metadata.workspace_root, target: metadata.target_directory })
    }

    /// The cargo that runs this program, as if called by hand in the root.
    pub(crate) fn cargo(&self) -> Command {
        self.cargo_at(&cargo())
    }

    /// Another cargo, as if called by hand in the root.
    pub(crate) fn cargo_at(&self, cargo: &Path) -> Command {
        let mut command = Command::new(cargo);
        command.current_dir(&self.root);
        process::forget_outer_cargo(&mut command);
        command
    }

    /// Programs that set-up installed.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Set-up's logs and what it remembers.
    pub(crate) fn setup_state(&self) -> PathBuf {
        self.target.join("setup")
    }

    /// Kernels, file systems and consoles of virtual machines.
    pub(crate) fn virtual_machines(&self) -> PathBuf {
        self.target.join("vm")
    }

    /// The eBPF programs have a target folder of their own: another compiler, other flags.
    pub(crate) fn ebpf_target(&self) -> PathBuf {
        self.target.join("ebpf")
    }

    /// The linked eBPF object; `userspace/build.rs` looks for it under the same name.
    pub(crate) fn ebpf_object(&self) -> PathBuf {
        self.ebpf_target().join("bpfel-unknown-none/release/mtlsnoop-bpf")
    }

    /// The product.
    pub(crate) fn binary(&self) -> PathBuf {
        self.target.join("release/mtlsnoop")
    }

    /// The product without shared libraries, alone in its folder: an image is made of it.
    pub(crate) fn static_binary(&self) -> PathBuf {
        self.target.join("static/mtlsnoop")
    }

    /// A path as people see it: relative to the root where that is shorter.
    pub(crate) fn shown<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

/// The same path for a program that is started in another folder.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("could not make {} absolute", path.display()))
}

/// The cargo that runs this program, or the one in PATH.
pub(crate) fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// The first program of this name in PATH, or in the folders for administrators that a user's PATH leaves out.
pub(crate) fn in_path(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name.as_ref()))
        .find(|file| file.is_file())
}
