//! Kernels for virtual machines, unpacked from Debian's packages and installed nowhere. It boots none.
use std::{
    ffi::OsStr,
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::debian;
use crate::{process, step::step, workspace::Workspace};

/// Kernels that are tested beside the machine's own: those of Debian 12, and of Debian 13 (and 12's newer one).
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Series {
    /// Linux 6.1
    #[value(name = "6.1")]
    V6_1,
    /// Linux 6.12
    #[value(name = "6.12")]
    V6_12,
}

impl fmt::Display for Series {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
        })
    }
}

/// Kernels without drivers for real hardware: smaller, and what clouds run.
const FLAVOUR: &str = "-cloud-amd64";

/// An unpacked kernel.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Kernel {
    pub(crate) series: Series,
    /// What boots.
    pub(crate) image: PathBuf,
    /// `lib/modules/RELEASE`.
    pub(crate) modules: PathBuf,
}

/// The kernel of this series, unpacked now if it was not before.
pub(crate) fn ready(workspace: &Workspace, series: Series) -> Result<Kernel> {
    let folder = workspace.virtual_machines().join("kernels");
    if let Some(kernel) = unpacked(&folder, series)? {
        return Ok(kernel);
    }
    fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    let log = workspace.setup_state();
    let package = if let Some(package) = newest_known(series)? {
        package
    } else {
        debian::update(&log)?;
        newest_known(series)?.with_context(|| advice(series, workspace, &folder))?
    };
    step(&format!("fetching {package}"), || fetch(&package, &folder, &log))?;
    unpacked(&folder, series)?.with_context(|| format!("{package} holds no kernel"))
}

/// The newest kernel of this series that the package lists know and that can be had.
fn newest_known(series: Series) -> Result<Option<String>> {
    let names = process::read(Command::new("apt-cache").args(["pkgnames", &prefix(series)]))?;
    let mut packages: Vec<&str> = names.lines().filter(|name| belongs(name, series)).collect();
    packages.sort_by_key(|name| numbers(name));
    let unknown = debian::unknown(&packages);
    Ok(packages.into_iter().rfind(|package| !unknown.contains(package)).map(str::to_owned))
}

fn prefix(series: Series) -> String {
    format!("linux-image-{series}.")
}

/// Not those with debug symbols, real-time kernels or unsigned ones, whose names go on.
fn belongs(package: &str, series: Series) -> bool {
    package.starts_with(&prefix(series)) && package.ends_with(FLAVOUR)
}

/// All numbers in a name: among names that differ in nothing else, their order is the versions'.
fn numbers(name: &str) -> Vec<u32> {
    name.split(|letter: char| !letter.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

fn fetch(package: &str, folder: &Path, log: &Path) -> Result<()> {
    let download = || {
        let mut apt = debian::apt();
        apt.args(["download", package]).current_dir(folder);
        process::run_logged(&mut apt, &log.join("apt-download.log"))
    };
    download().or_else(|_| {
        // The lists may be older than the mirror: versions that they name are gone from it.
        debian::update(log)?;
        download()
    })?;
    let archive = entries(folder)?
        .into_iter()
        .find(|path| has_name(path, |name| name.starts_with(&format!("{package}_"))))
        .with_context(|| format!("apt-get has left no {package} in {}", folder.display()))?;
    // Renamed only when it is whole.
    let begun = folder.join("unpacking");
    if begun.exists() {
        fs::remove_dir_all(&begun)?;
    }
    process::read(Command::new("dpkg-deb").arg("--extract").args([&archive, &begun]))?;
    fs::rename(&begun, folder.join(package))?;
    Ok(fs::remove_file(archive)?)
}

/// The newest kernel of this series in `folder`.
fn unpacked(folder: &Path, series: Series) -> Result<Option<Kernel>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let mut packages = entries(folder)?;
    packages.retain(|path| path.is_dir() && has_name(path, |name| belongs(name, series)));
    packages.sort_by_key(|path| numbers(&path.to_string_lossy()));
    let Some(package) = packages.pop() else { return Ok(None) };
    let is_image = |path: &PathBuf| has_name(path, |name| name.starts_with("vmlinuz-"));
    let image = entries(&package.join("boot"))?.into_iter().find(is_image).with_context(|| {
        format!("there is no vmlinuz in {}; remove it to fetch it again", package.display())
    })?;
    // Debian 13 has everything below /usr.
    let modules = ["lib/modules", "usr/lib/modules"].map(|place| package.join(place));
    let modules = modules.into_iter().find(|place| place.is_dir()).context("a kernel without modules")?;
    let release = entries(&modules)?.pop().context("a kernel without modules")?;
    Ok(Some(Kernel { series, image, modules: release }))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?;
    listed.map(|entry| Ok(entry?.path())).collect()
}

fn has_name(path: &Path, is_it: impl FnOnce(&str) -> bool) -> bool {
    path.file_name().and_then(OsStr::to_str).is_some_and(is_it)
}

fn advice(series: Series, workspace: &Workspace, folder: &Path) -> String {
    format!(
        "no package {}*{FLAVOUR} is known here, which holds the kernel that the stage `vm` boots. Likely cause: this is \
         not Debian 12 on amd64, or apt has no source for the suite with that kernel (Debian 12 has 6.1 in its main \
         suite, 6.12 in its security suite and in its backports). Add the suite to apt's sources, or unpack such a \
         package with `dpkg-deb --extract` into {}/PACKAGE, then try again",
        prefix(series),
        workspace.shown(folder)
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Kernel, Series, belongs, numbers, unpacked};

    #[test]
    fn packages_are_told_by_series_and_flavour() {
        let cases = [
            ("linux-image-6.1.0-56-cloud-amd64", Some(Series::V6_1)),
            ("linux-image-6.12.117+deb12-cloud-amd64", Some(Series::V6_12)),
            ("linux-image-6.12-cloud-amd64", None),
            ("linux-image-6.1.0-56-cloud-amd64-dbg", None),
            ("linux-image-6.1.0-56-cloud-amd64-unsigned", None),
            ("linux-image-6.1.0-56-rt-amd64", None),
        ];
        for (package, expected) in cases {
            for series in [Series::V6_1, Series::V6_12] {
                assert_eq!(belongs(package, series), expected == Some(series), "{package} {series}");
            }
        }
    }

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        assert!(
            numbers("linux-image-6.12.9+deb12-cloud-amd64")
                < numbers("linux-image-6.12.117+deb12-cloud-amd64")
        );
        assert!(numbers("linux-image-6.1.0-9-cloud-amd64") < numbers("linux-image-6.1.0-56-cloud-amd64"));
    }

    #[test]
    fn the_newest_unpacked_kernel_is_used() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(unpacked(folder.path(), Series::V6_1).unwrap(), None);
        for release in ["6.1.0-9-cloud-amd64", "6.1.0-56-cloud-amd64", "6.12.9-cloud-amd64"] {
            let package = folder.path().join(format!("linux-image-{release}"));
            fs::create_dir_all(package.join("lib/modules").join(release)).unwrap();
            fs::create_dir_all(package.join("boot")).unwrap();
            fs::write(package.join("boot").join(format!("vmlinuz-{release}")), "").unwrap();
        }
        let package = folder.path().join("linux-image-6.1.0-56-cloud-amd64");
        let expected = Kernel {
            series: Series::V6_1,
            image: package.join("boot/vmlinuz-6.1.0-56-cloud-amd64"),
            modules: package.join("lib/modules/6.1.0-56-cloud-amd64"),
        };
        assert_eq!(unpacked(folder.path(), Series::V6_1).unwrap(), Some(expected));
    }
}
