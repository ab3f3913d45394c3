//! Finds the programs that the lab starts; it must not know what they do.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Envoy: `MTLSNOOP_ENVOY`, or what `cargo xtask setup` has put into the target folder, or the one on the path.
pub fn envoy() -> Result<PathBuf> {
    first_of("MTLSNOOP_ENVOY", "target/tools/envoy/envoy", "envoy").context("try `cargo xtask setup`")
}

/// The tracer: `MTLSNOOP_BIN`, or what `cargo xtask build` has made.
pub fn tracer() -> Result<PathBuf> {
    first_of("MTLSNOOP_BIN", "target/release/mtlsnoop", "mtlsnoop").context("try `cargo xtask build`")
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

fn first_of(variable: &str, in_workspace: &str, name: &str) -> Result<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        let path = PathBuf::from(path);
        anyhow::ensure!(path.is_file(), "{variable} is {}, which is no file", path.display());
        return Ok(path);
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let built = workspace.join(in_workspace);
    if built.is_file() {
        return Ok(built);
    }
    on_path(name).with_context(|| format!("there is neither {} nor {name} on the path", built.display()))
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
