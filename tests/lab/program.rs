//! Finds the programs that the lab starts; it must not know what they do.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};

/// A program that this workspace builds or fetches.
#[derive(Debug)]
pub struct Built {
    chosen: OnceLock<PathBuf>,
    variable: &'static str,
    in_target: &'static str,
    name: &'static str,
    made_by: &'static str,
}

/// Envoy: the chosen one, or `MTLSNOOP_ENVOY`, or what set-up has put into the target folder, or the path's.
pub static ENVOY: Built = Built {
    chosen: OnceLock::new(),
    variable: "MTLSNOOP_ENVOY",
    in_target: "tools/envoy/envoy",
    name: "envoy",
    made_by: "cargo xtask setup",
};

/// The tracer: the chosen one, or `MTLSNOOP_BIN`, or what the build has put into the target folder, or the path's.
pub static TRACER: Built = Built {
    chosen: OnceLock::new(),
    variable: "MTLSNOOP_BIN",
    in_target: "release/mtlsnoop",
    name: "mtlsnoop",
    made_by: "cargo xtask build",
};

impl Built {
    /// Uses this file from now on. The first choice stays.
    pub fn choose(&self, program: PathBuf) {
        self.chosen.get_or_init(|| program);
    }

    /// Where the program is.
    pub fn find(&self) -> Result<PathBuf> {
        if let Some(chosen) = self.chosen.get() {
            return Ok(chosen.clone());
        }
        if let Some(path) = env::var_os(self.variable).filter(|path| !path.is_empty()).map(PathBuf::from) {
            ensure!(path.is_file(), "{} names {}, which is not there", self.variable, path.display());
            return Ok(path);
        }
        let built = target_folder().join(self.in_target);
        if built.is_file() {
            return Ok(built);
        }
        on_path(self.name).with_context(|| {
            format!(
                "there is neither {} nor {} on the path; try `{}`",
                built.display(),
                self.name,
                self.made_by
            )
        })
    }
}

/// Packages lie directly below the workspace. Cargo tells which one runs; checkouts may share compiled tests.
fn target_folder() -> PathBuf {
    if let Some(folder) = env::var_os("CARGO_TARGET_DIR") {
        return PathBuf::from(folder);
    }
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).with_file_name("target")
}

/// A helper of this package, which lies beside the tests (or one folder above) in the target folder.
pub fn helper(name: &str) -> Result<PathBuf> {
    let this = env::current_exe().context("could not find this program's own file")?;
    this.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file()).with_context(
        || format!("{name} is not beside {}; try `cargo build -p mtlsnoop-tests --bins`", this.display()),
    )
}

/// A program of the system, also from the folders that an ordinary user's path lacks.
pub fn system(name: &str) -> Result<PathBuf> {
    on_path(name)
        .with_context(|| format!("{name} is not installed; try `cargo xtask setup`, which names its package"))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// A path to the same program that every user can run: itself, or a copy in `folder` when the program lies in
/// somebody's private folder, as a checkout in root's home does.
pub fn for_everyone(program: &Path, folder: &Path) -> Result<PathBuf> {
    if everyone_reaches(program) {
        return Ok(program.to_owned());
    }
    let copy = folder.join(program.file_name().context("a program without a name")?);
    if !copy.exists() {
        fs::copy(program, &copy)
            .with_context(|| format!("could not copy {} to {}", program.display(), copy.display()))?;
    }
    Ok(copy)
}

/// Whether every folder on the way lets everybody pass (and a program be run).
pub fn everyone_reaches(path: &Path) -> bool {
    path.ancestors()
        .filter(|part| !part.as_os_str().is_empty())
        .all(|part| fs::metadata(part).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0))
}
