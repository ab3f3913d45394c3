//! The initial file system of a virtual machine: our own programs with the libraries they name, and a few kernel modules.
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{process, setup::Kernel};

/// What the lab's networks are made of, each after what it needs.
const MODULES: [&str; 4] = ["llc", "stp", "bridge", "veth"];

/// Puts everything below the folder into an archive that kernels can read (Documentation/driver-api/early-userspace/
/// buffer-format.rst).
const PACK: &str = r#"find . -mindepth 1 | cpio --create --format=newc --owner=0:0 --quiet >"$1""#;

/// A program and its place in the machine.
pub(super) struct Program {
    from: PathBuf,
    to: PathBuf,
}

impl Program {
    pub(super) fn new(from: &Path, to: &str) -> Self {
        Self { from: from.to_owned(), to: to.into() }
    }
}

/// What all machines get.
pub(super) struct Image {
    pub(super) programs: Vec<Program>,
}

impl Image {
    /// Packs it with the modules of a kernel, in a folder that it may clear.
    pub(super) fn pack(&self, kernel: &Kernel, folder: &Path) -> Result<PathBuf> {
        let root = folder.join("root");
        if root.exists() {
            fs::remove_dir_all(&root).with_context(|| format!("could not clear {}", root.display()))?;
        }
        for program in &self.programs {
            strip(&program.from, &place(&root, &program.to)?)?;
        }
        for library in self.libraries()? {
            copy(&library, &place(&root, &library)?)?;
        }
        fs::create_dir_all(root.join("modules"))?;
        for (nth, module) in modules(kernel)?.iter().enumerate() {
            let name = module.file_name().context("a module without a name")?.display();
            copy(module, &root.join("modules").join(format!("{nth}-{name}")))?;
        }
        let archive = folder.join("initramfs.cpio");
        let archive = std::path::absolute(archive)?;
        process::read(Command::new("sh").args(["-c", PACK, "pack"]).arg(&archive).current_dir(&root))?;
        Ok(archive)
    }

    /// The shared libraries that the programs name, as this machine finds them.
    fn libraries(&self) -> Result<BTreeSet<PathBuf>> {
        let said =
            process::read(Command::new("ldd").args(self.programs.iter().map(|program| &program.from)))?;
        ensure!(!said.contains("not found"), "libraries are missing:\n{said}");
        Ok(paths(&said))
    }
}

/// ldd(1): `NAME => PATH (ADDRESS)`, or `PATH (ADDRESS)` for the loader.
fn paths(said: &str) -> BTreeSet<PathBuf> {
    let words = said.lines().filter(|line| line.ends_with(')')).flat_map(str::split_whitespace);
    words.filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

/// Where in the machine's root, with the folders above it.
fn place(root: &Path, path: &Path) -> Result<PathBuf> {
    let to = root.join(path.strip_prefix("/").unwrap_or(path));
    fs::create_dir_all(to.parent().context("a path without a folder")?)?;
    Ok(to)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).with_context(|| format!("could not copy {}", from.display()))
}

/// Debug information is most of a program, and loading it takes a slow machine long.
fn strip(from: &Path, to: &Path) -> Result<()> {
    process::read(Command::new("strip").args(["--strip-debug", "-o"]).args([to, from])).map(drop)
}

/// The files of the modules that are not part of the kernel itself.
fn modules(kernel: &Kernel) -> Result<Vec<PathBuf>> {
    let built_in = fs::read_to_string(kernel.modules.join("modules.builtin")).unwrap_or_default();
    let mut files = Vec::new();
    list(&kernel.modules.join("kernel"), &mut files)?;
    let mut found = Vec::new();
    for module in MODULES {
        match files.iter().find(|file| is_module(file, module)) {
            Some(file) => found.push(file.clone()),
            None if built_in.contains(&format!("/{module}.ko")) => {}
            None => bail!("there is no module {module} in {}", kernel.modules.display()),
        }
    }
    Ok(found)
}

/// `NAME.ko`, or `NAME.ko.xz` and the like.
fn is_module(file: &Path, name: &str) -> bool {
    file.file_name()
        .is_some_and(|file| file.to_string_lossy().split_once(".ko").is_some_and(|(stem, _)| stem == name))
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{is_module, paths};

    #[test]
    fn libraries_are_read_from_what_ldd_says() {
        let said = "/usr/sbin/ip:\n\tlinux-vdso.so.1 (0x00007f)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let found: Vec<_> = paths(said).into_iter().collect();
        assert_eq!(found, [Path::new("/lib/x/libc.so.6"), Path::new("/lib64/ld-linux-x86-64.so.2")]);
    }

    #[test]
    fn modules_are_told_by_their_whole_names() {
        for (file, expected) in
            [("a/veth.ko", true), ("a/veth.ko.xz", true), ("a/vveth.ko", false), ("veth", false)]
        {
            assert_eq!(is_module(Path::new(file), "veth"), expected, "{file}");
        }
    }
}
