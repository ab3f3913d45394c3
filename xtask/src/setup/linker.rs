//! bpf-linker: finding one whose LLVM reads what the compiler writes, or installing it under `target/tools`.
use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use super::program::{Lacking, needs};
use crate::{
    process,
    step::step,
    workspace::{self, Workspace},
};

/// What is installed when none is found.
pub(crate) const VERSION: &str = "0.13.0";

/// The `llvm-NN` features of bpf-linker 0.13.0, newest first.
const LLVM_MAJORS: [u32; 3] = [23, 22, 21];

/// What bpf-linker links besides LLVM, by a file that shows that it is there.
const LIBRARIES: [(&str, Lacking); 2] = [
    ("/usr/include/zlib.h", needs(&["zlib1g-dev"], "zlib with its development files, to build bpf-linker")),
    ("/usr/include/zstd.h", needs(&["libzstd-dev"], "zstd with its development files, to build bpf-linker")),
];

/// An LLVM that bpf-linker can be built against.
#[derive(PartialEq, Eq, Debug)]
struct Llvm {
    major: u32,
    prefix: PathBuf,
}

/// A linker that is there and reads the bitcode of this LLVM.
pub(crate) fn find(workspace: &Workspace, llvm_major: u32) -> Option<PathBuf> {
    [Some(installed(workspace)), workspace::in_path("bpf-linker")]
        .into_iter()
        .flatten()
        .find(|linker| llvm_of(linker).is_some_and(|major| reads(major, llvm_major)))
}

/// Whether there is a linker for this LLVM, or an LLVM to build one against.
pub(crate) fn is_in_reach(workspace: &Workspace, llvm_major: u32) -> bool {
    find(workspace, llvm_major).is_some() || llvm_for(llvm_major).is_some()
}

/// What Debian would have to install before a linker can be built.
pub(crate) fn lacking(workspace: &Workspace, llvm_major: u32) -> Vec<Lacking> {
    if find(workspace, llvm_major).is_some() {
        return Vec::new();
    }
    let mut lacking = if llvm_for(llvm_major).is_some() { Vec::new() } else { vec![debian_llvm(llvm_major)] };
    lacking.extend(
        LIBRARIES.iter().filter(|(header, _)| !Path::new(header).exists()).map(|(_, library)| *library),
    );
    lacking
}

/// Builds bpf-linker against the LLVM on this machine.
pub(crate) fn install(workspace: &Workspace, llvm_major: u32) -> Result<PathBuf> {
    let Some(llvm) = llvm_for(llvm_major) else { bail!("{}", advice(llvm_major)) };
    let mut command = workspace.cargo();
    command
        .args([
            "install",
            "bpf-linker",
            "--version",
            VERSION,
            "--locked",
            "--no-default-features",
            "--features",
        ])
        .arg(format!("llvm-{}", llvm.major))
        .arg("--root")
        .arg(workspace.tools())
        .env("LLVM_PREFIX", &llvm.prefix)
        // The workspace's target folder and flags are not for this program.
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS");
    let what = format!("building bpf-linker {VERSION} for LLVM {}, a minute or more", llvm.major);
    let linker = installed(workspace);
    step(&what, || {
        process::run_logged(&mut command, &workspace.setup_state().join("bpf-linker.log"))?;
        match llvm_of(&linker) {
            Some(major) if reads(major, llvm_major) => Ok(()),
            said => bail!(
                "{} was built, but does not say that it has LLVM {}: {said:?}",
                linker.display(),
                llvm.major
            ),
        }
    })?;
    Ok(linker)
}

/// What Debian calls an LLVM that bpf-linker can be built against.
fn debian_llvm(llvm_major: u32) -> Lacking {
    let packages: &[&str] = match llvm_major {
        21 => &["llvm-21-dev", "libclang-common-21-dev"],
        23 => &["llvm-23-dev", "libclang-common-23-dev"],
        _ => &["llvm-22-dev", "libclang-common-22-dev"],
    };
    needs(packages, "LLVM with its development files, of the compiler's LLVM version, to build bpf-linker")
}

fn installed(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("bin/bpf-linker")
}

/// LLVM reads bitcode of its own and of older versions.
fn reads(linker_major: u32, compiler_major: u32) -> bool {
    linker_major >= compiler_major
}

/// Asks a linker for its LLVM. `--version` gives only the linker's own; LLVM's option parser, which gets what
/// `--llvm-args` holds, prints LLVM's version and ends the process before anything is linked.
fn llvm_of(linker: &Path) -> Option<u32> {
    let mut command = Command::new(linker);
    parse_llvm(&process::read(command.args(["--llvm-args=--version", "-o", "/dev/null", "/dev/null"])).ok()?)
}

/// "Debian LLVM version 22.1.8"
fn parse_llvm(text: &str) -> Option<u32> {
    text.split_once("LLVM version ")?.1.split('.').next()?.trim().parse().ok()
}

/// The LLVM to build against: the compiler's own version, else the nearest newer one.
fn llvm_for(compiler_major: u32) -> Option<Llvm> {
    let mut majors: Vec<u32> =
        LLVM_MAJORS.into_iter().filter(|&major| reads(major, compiler_major)).collect();
    majors.sort_unstable();
    majors.into_iter().find_map(|major| Some(Llvm { major, prefix: prefix_of(major)? }))
}

fn prefix_of(major: u32) -> Option<PathBuf> {
    let from_config = |name: &str| {
        let config = workspace::in_path(name)?;
        let said = process::read(Command::new(config).args(["--version", "--prefix"])).ok()?;
        parse_config(&said, major)
    };
    Some(PathBuf::from(format!("/usr/lib/llvm-{major}")))
        .filter(|prefix| is_complete(prefix))
        .or_else(|| from_config(&format!("llvm-config-{major}")))
        .or_else(|| from_config("llvm-config"))
        .filter(|prefix| is_complete(prefix))
}

/// Version and prefix, a line each.
fn parse_config(text: &str, major: u32) -> Option<PathBuf> {
    let (version, prefix) = text.trim().split_once('\n')?;
    (version.split('.').next()?.parse() == Ok(major)).then(|| PathBuf::from(prefix.trim()))
}

/// LLVM's runtime alone, without the headers, is what many machines have; it is not enough.
fn is_complete(prefix: &Path) -> bool {
    prefix.join("include/llvm-c/Core.h").is_file() && prefix.join("bin/llvm-config").exists()
}

fn advice(llvm_major: u32) -> String {
    if llvm_major > LLVM_MAJORS[0] {
        return format!(
            "the compiler for the eBPF programs uses LLVM {llvm_major}, and bpf-linker {VERSION} knows LLVM up to {}; \
             name an older one in MTLSNOOP_BPF_TOOLCHAIN, or put a newer bpf-linker in PATH",
            LLVM_MAJORS[0]
        );
    }
    format!(
        "bpf-linker is needed, and no LLVM {llvm_major} is here to build it against. Install LLVM {llvm_major} with its \
         development files (Fedora: llvm-devel; Arch: llvm; Debian and Ubuntu: llvm-{llvm_major}-dev), or put a \
         bpf-linker that was built with LLVM {llvm_major} or newer in PATH"
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{LLVM_MAJORS, advice, debian_llvm, is_complete, parse_config, parse_llvm, reads};

    #[test]
    fn llvms_version_is_read_from_what_its_option_parser_prints() {
        assert_eq!(parse_llvm("Debian LLVM version 22.1.8\n  Optimized build.\n"), Some(22));
        assert_eq!(
            parse_llvm("LLVM (http://llvm.org/):\n  LLVM version 21.1.0-rust-1.91.0-stable\n"),
            Some(21)
        );
        assert_eq!(parse_llvm("bpf-linker 0.13.0"), None);
    }

    #[test]
    fn a_newer_llvm_reads_older_bitcode_and_never_the_other_way_round() {
        assert!(reads(22, 22) && reads(23, 22));
        assert!(!reads(21, 22));
    }

    #[test]
    fn llvm_config_must_be_of_the_version_asked_for() {
        assert_eq!(parse_config("22.1.8\n/opt/llvm\n", 22), Some(PathBuf::from("/opt/llvm")));
        assert_eq!(parse_config("14.0.6\n/usr/lib/llvm-14\n", 22), None);
        assert_eq!(parse_config("", 22), None);
    }

    #[test]
    fn headers_and_llvm_config_make_an_llvm_complete() {
        let folder = tempfile::tempdir().unwrap();
        let file = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        file("bin/llvm-config");
        assert!(!is_complete(folder.path()), "no headers");
        file("include/llvm-c/Core.h");
        assert!(is_complete(folder.path()));
    }

    #[test]
    fn the_packages_are_of_the_compilers_llvm() {
        for major in LLVM_MAJORS {
            assert_eq!(debian_llvm(major).packages[0], format!("llvm-{major}-dev"));
        }
    }

    #[test]
    fn an_llvm_that_the_linker_does_not_know_gets_other_advice() {
        assert!(advice(24).contains("knows LLVM up to 23"), "{}", advice(24));
        assert!(advice(22).contains("llvm-22-dev"), "{}", advice(22));
    }
}
