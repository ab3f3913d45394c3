//! Choosing the compiler for the eBPF programs: one that has `core` for the BPF target, ready made or as sources.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::program::{Lacking, needs};
use crate::{build::BPF_TARGET, process, workspace};

/// Names a rustup toolchain, or a folder with `bin/rustc`, to use and no other.
const WISH: &str = "MTLSNOOP_BPF_TOOLCHAIN";

/// Debian's compiler and a `core` for BPF that it made itself (12 has them in its security updates).
pub(crate) const DEBIAN: Lacking = needs(
    &["rustc-web", "libstd-rust-web-dev-bpf"],
    "a Rust compiler with `core` for BPF; without Debian or root: rustup toolchain install nightly --profile minimal \
     --component rust-src,clippy",
);

/// Clippy for that compiler.
pub(crate) const DEBIAN_CLIPPY: Lacking =
    needs(&["rust-web-clippy"], "clippy for the compiler of the eBPF programs");

/// The LLVM of Debian's rustc-web 1.96; only for the advice to those who do not have it yet.
pub(crate) const DEBIAN_LLVM_MAJOR: u32 = 22;

/// How a compiler comes by `core` for BPF.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Core {
    /// It is there, compiled.
    Prebuilt,
    /// Its sources are there, and cargo compiles them along.
    Sources,
}

/// A compiler that can build the eBPF programs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Compiler {
    pub(crate) rustc: PathBuf,
    pub(crate) cargo: PathBuf,
    pub(crate) core: Core,
    /// The file that shows that `core` is there.
    pub(crate) core_file: PathBuf,
    pub(crate) llvm_major: u32,
}

/// A compiler that was found, whether or not it can be used.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    rustc: PathBuf,
    cargo: PathBuf,
    minor: u32,
    llvm_major: u32,
    prebuilt: Option<PathBuf>,
    sources: Option<PathBuf>,
}

impl Core {
    /// What cargo must be told.
    pub(crate) fn cargo_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Prebuilt => &[],
            Self::Sources => &["-Z", "build-std=core"],
        }
    }
}

impl Compiler {
    /// The clippy that belongs to this compiler.
    pub(crate) fn clippy(&self) -> Option<PathBuf> {
        Some(self.rustc.with_file_name("clippy-driver")).filter(|file| file.is_file())
    }

    /// Whether this is Debian's compiler without Debian's clippy.
    pub(crate) fn lacks_debian_clippy(&self) -> bool {
        self.rustc == Path::new("/usr/bin/rustc") && self.clippy().is_none()
    }
}

/// The user's wish, if there is one.
pub(crate) fn wish() -> Option<String> {
    std::env::var(WISH).ok().filter(|wish| !wish.is_empty())
}

/// Stops at a wish that cannot be fulfilled: installing another compiler would not help.
pub(crate) fn honour_wish() -> Result<()> {
    if wish().is_some() {
        let candidates = candidates();
        if !candidates.iter().any(|candidate| candidate.usable().is_some()) {
            bail!("{}", advice(&candidates));
        }
    }
    Ok(())
}

/// Every compiler worth a look, best first: the distribution's changes least, then nightly, then the default one.
pub(crate) fn candidates() -> Vec<Candidate> {
    let sysroots = match wish() {
        Some(wish) if wish.contains('/') => vec![Some(PathBuf::from(wish))],
        Some(wish) => vec![rustup_sysroot(&wish)],
        None => vec![Some(PathBuf::from("/usr")), rustup_sysroot("nightly"), default_sysroot()],
    };
    let mut sysroots: Vec<PathBuf> = sysroots.into_iter().flatten().collect();
    sysroots.dedup();
    sysroots.iter().filter_map(|sysroot| Candidate::at(sysroot)).collect()
}

/// The first compiler that can be used, one whose linker is in reach before others.
pub(crate) fn choose(candidates: &[Candidate], is_linker_in_reach: impl Fn(u32) -> bool) -> Option<Compiler> {
    let usable: Vec<Compiler> = candidates.iter().filter_map(Candidate::usable).collect();
    usable.iter().find(|compiler| is_linker_in_reach(compiler.llvm_major)).or(usable.first()).cloned()
}

/// What to try when there is no compiler to choose.
pub(crate) fn advice(candidates: &[Candidate]) -> String {
    let seen: Vec<String> = candidates.iter().map(Candidate::shortcoming).collect();
    let seen = if seen.is_empty() { "no compiler found".to_owned() } else { seen.join("; ") };
    let chosen = wish().map(|wish| format!(" ({WISH} is {wish:?})")).unwrap_or_default();
    format!(
        "no Rust compiler here has `core` for the target {BPF_TARGET}{chosen}: {seen}.\nEither of these helps:\n  \
         rustup toolchain install nightly --profile minimal --component rust-src,clippy\n  \
         apt-get install rustc-web libstd-rust-web-dev-bpf rust-web-clippy    (Debian, as root)"
    )
}

impl Candidate {
    fn at(sysroot: &Path) -> Option<Self> {
        let rustc = Some(sysroot.join("bin/rustc")).filter(|file| file.is_file())?;
        let (minor, llvm_major) = parse_version(&process::read(Command::new(&rustc).arg("-vV")).ok()?)?;
        // `-Z build-std` wants the cargo that came with the sources; a distribution's own may be too old for the
        // manifests here.
        let cargo =
            Some(sysroot.join("bin/cargo")).filter(|file| sysroot != Path::new("/usr") && file.is_file());
        let library = sysroot.join("lib/rustlib");
        Some(Self {
            rustc,
            cargo: cargo.or_else(|| which(&workspace::cargo()))?,
            minor,
            llvm_major,
            prebuilt: prebuilt_core(&library.join(BPF_TARGET).join("lib")),
            sources: Some(library.join("src/rust/library/core/src/lib.rs")).filter(|file| file.is_file()),
        })
    }

    fn usable(&self) -> Option<Compiler> {
        let (core, core_file) = match (&self.prebuilt, &self.sources) {
            (Some(file), _) => (Core::Prebuilt, file),
            (None, Some(file)) => (Core::Sources, file),
            (None, None) => return None,
        };
        (self.minor >= oldest_minor()).then(|| Compiler {
            rustc: self.rustc.clone(),
            cargo: self.cargo.clone(),
            core,
            core_file: core_file.clone(),
            llvm_major: self.llvm_major,
        })
    }

    fn shortcoming(&self) -> String {
        let rustc = self.rustc.display();
        if self.minor < oldest_minor() {
            format!("{rustc} is 1.{}, older than 1.{}", self.minor, oldest_minor())
        } else {
            format!("{rustc} has neither a ready-made `core` for BPF nor its sources (component rust-src)")
        }
    }
}

/// The workspace's `rust-version`.
fn oldest_minor() -> u32 {
    env!("CARGO_PKG_RUST_VERSION").split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0)
}

/// Reads release and LLVM from `rustc -vV`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let minor = field("release:")?.split('.').nth(1)?.parse().ok()?;
    let llvm_major = field("LLVM version:")?.split('.').next()?.parse().ok()?;
    Some((minor, llvm_major))
}

fn prebuilt_core(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).find(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("libcore-") && path.extension().is_some_and(|extension| extension == "rlib")
    })
}

fn rustup_sysroot(toolchain: &str) -> Option<PathBuf> {
    sysroot_from(Command::new("rustup").args(["run", toolchain, "rustc", "--print", "sysroot"]))
}

fn default_sysroot() -> Option<PathBuf> {
    sysroot_from(Command::new("rustc").args(["--print", "sysroot"]))
}

fn sysroot_from(command: &mut Command) -> Option<PathBuf> {
    process::read(command).ok().map(|printed| PathBuf::from(printed.trim()))
}

fn which(program: &Path) -> Option<PathBuf> {
    if program.is_absolute() { Some(program.to_owned()) } else { workspace::in_path(program) }
}

/// A compiler for tests.
#[cfg(test)]
pub(crate) fn example() -> Compiler {
    Compiler {
        rustc: "/usr/bin/rustc".into(),
        cargo: "/usr/bin/cargo".into(),
        core: Core::Prebuilt,
        core_file: "/usr/lib/rustlib/bpfel-unknown-none/lib/libcore-1.rlib".into(),
        llvm_major: 22,
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Core, advice, choose, oldest_minor, parse_version, prebuilt_core};

    const DEBIAN: &str = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\nbinary: rustc\n\
                          host: x86_64-unknown-linux-gnu\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
    const NIGHTLY: &str =
        "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\nrelease: 1.97.0-nightly\nLLVM version: 23.1.0\n";

    /// Name, candidates, the LLVM versions whose linker is in reach, the choice.
    type Case<'a> = (&'a str, &'a [&'a Candidate], &'a [u32], Option<(&'a str, Core)>);

    fn candidate(name: &str, llvm_major: u32, prebuilt: bool, sources: bool) -> Candidate {
        Candidate {
            rustc: name.into(),
            cargo: "cargo".into(),
            minor: 96,
            llvm_major,
            prebuilt: prebuilt.then(|| "core.rlib".into()),
            sources: sources.then(|| "core.rs".into()),
        }
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version(DEBIAN), Some((96, 22)));
        assert_eq!(parse_version(NIGHTLY), Some((97, 23)));
        assert_eq!(parse_version("rustc 1.0"), None);
    }

    #[test]
    fn the_choice_is_the_first_that_has_core_and_a_linker_in_reach() {
        let debian = candidate("debian", 22, true, false);
        let nightly = candidate("nightly", 23, false, true);
        let bare = candidate("bare", 22, false, false);
        let too_old = Candidate { minor: oldest_minor() - 1, ..debian.clone() };
        let both = candidate("both", 22, true, true);
        let cases: [Case<'_>; 8] = [
            ("nothing found", &[], &[22], None),
            ("no core", &[&bare], &[22], None),
            ("too old", &[&too_old], &[22], None),
            ("ready-made core", &[&debian], &[22], Some(("debian", Core::Prebuilt))),
            ("sources", &[&bare, &nightly], &[23], Some(("nightly", Core::Sources))),
            ("ready-made before sources", &[&both], &[22], Some(("both", Core::Prebuilt))),
            ("linker decides", &[&debian, &nightly], &[23], Some(("nightly", Core::Sources))),
            ("no linker yet: the first", &[&debian, &nightly], &[], Some(("debian", Core::Prebuilt))),
        ];
        for (name, candidates, linkers, expected) in cases {
            let candidates: Vec<Candidate> = candidates.iter().copied().cloned().collect();
            let chosen = choose(&candidates, |llvm_major| linkers.contains(&llvm_major));
            let chosen = chosen.as_ref().map(|compiler| (compiler.rustc.to_str().unwrap(), compiler.core));
            assert_eq!(chosen, expected, "{name}");
        }
    }

    #[test]
    fn the_advice_says_what_each_compiler_lacks_and_both_ways_out() {
        let too_old = Candidate { minor: 80, ..candidate("/opt/rustc", 22, true, false) };
        let text = advice(&[candidate("/usr/bin/rustc", 22, false, false), too_old]);
        for part in [
            "/usr/bin/rustc has neither",
            "/opt/rustc is 1.80",
            "rustup toolchain install",
            "apt-get install",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn only_a_compiled_core_counts_as_ready_made() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["libcore-1.rmeta", "liballoc-1.rlib"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(prebuilt_core(folder.path()), None);
        std::fs::write(folder.path().join("libcore-1.rlib"), "").unwrap();
        assert_eq!(prebuilt_core(folder.path()), Some(folder.path().join("libcore-1.rlib")));
    }
}
