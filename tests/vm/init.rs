//! The first process of a kernel that is tested in a virtual machine: makes a small node of it, runs the test programs,
//! tells how each ended, and powers off; it must not know what they test.
//!
//! `NAME=VALUE` words of the kernel's command line are its environment: `VM_CGROUP` says which cgroup hierarchies are
//! mounted (`v2`, `hybrid` or `v1`), `VM_FILTER` which tests run (all that have this in their names).

use std::{
    ffi::CString,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    kmod::{ModuleInitFlags, finit_module},
    mount::{MsFlags, mount},
    sys::{
        reboot::{RebootMode, reboot},
        wait::{WaitStatus, wait},
    },
    unistd::Pid,
};

/// Kernel modules, in the order of their names.
const MODULES: &str = "/modules";
/// Test programs, run in the order of their names.
const TESTS: &str = "/tests/run";
/// `MODULE_INIT_COMPRESSED_FILE`, include/uapi/linux/module.h.
const COMPRESSED: ModuleInitFlags = ModuleInitFlags::from_bits_retain(4);

/// What a node has mounted, beside control groups: type and place.
const MOUNTS: [(&str, &str); 6] = [
    ("devtmpfs", "/dev"),
    ("sysfs", "/sys"),
    ("bpf", "/sys/fs/bpf"),
    ("tracefs", "/sys/kernel/tracing"),
    ("tmpfs", "/tmp"),
    ("tmpfs", "/run"),
];

fn main() {
    if let Err(error) = run() {
        say(&format!("vm-failed {error:#}"));
    }
    // If even that fails, the end of process 1 is a panic of the kernel, which ends the machine too.
    let _ = reboot(RebootMode::RB_POWER_OFF);
}

fn run() -> Result<()> {
    ensure!(std::process::id() == 1, "this is the first process of a virtual machine and of use only there");
    attach("proc", Path::new("/proc"))?;
    for (kind, place) in MOUNTS {
        attach(kind, Path::new(place))?;
    }
    mount_cgroups(&std::env::var("VM_CGROUP").unwrap_or_default())?;
    for module in sorted(Path::new(MODULES))? {
        insert(&module).with_context(|| format!("could not load {}", module.display()))?;
    }
    for program in sorted(Path::new(TESTS))? {
        let code = run_tests(&program)?;
        say(&format!("vm-ended {} {code}", program.file_name().unwrap_or_default().display()));
    }
    Ok(())
}

/// A console that cannot be written has nobody who could be told.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn attach(kind: &str, place: &Path) -> Result<()> {
    fs::create_dir_all(place).with_context(|| format!("could not make {}", place.display()))?;
    mount_with(kind, place, None)
}

fn mount_with(kind: &str, place: &Path, options: Option<&str>) -> Result<()> {
    mount(Some(kind), place, Some(kind), MsFlags::empty(), options)
        .with_context(|| format!("could not mount {kind} at {}", place.display()))
}

/// As systemd mounts them (systemd(1), `systemd.unified_cgroup_hierarchy`, and src/shared/mount-setup.c).
fn mount_cgroups(layout: &str) -> Result<()> {
    let top = Path::new("/sys/fs/cgroup");
    match layout {
        "v2" | "" => return mount_with("cgroup2", top, None),
        "v1" | "hybrid" => mount_with("tmpfs", top, None)?,
        other => bail!("VM_CGROUP={other} is none of v2, hybrid and v1"),
    }
    // Newer kernels need not have the memory controller of version 1 (CONFIG_MEMCG_V1).
    for controllers in ["cpu,cpuacct", "freezer", "pids"] {
        let place = top.join(controllers);
        fs::create_dir(&place)?;
        mount_with("cgroup", &place, Some(controllers))?;
    }
    if layout == "hybrid" {
        let unified = top.join("unified");
        fs::create_dir(&unified)?;
        mount_with("cgroup2", &unified, None)?;
    }
    Ok(())
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort_unstable();
    Ok(paths)
}

/// Distributions compress modules or not; the kernel itself can undo that.
fn insert(module: &Path) -> Result<()> {
    let is_plain = module.extension().is_some_and(|extension| extension == "ko");
    let flags = if is_plain { ModuleInitFlags::empty() } else { COMPRESSED };
    Ok(finit_module(File::open(module)?, &CString::default(), flags)?)
}

/// Gives the exit code.
fn run_tests(program: &Path) -> Result<i32> {
    let filter = std::env::var("VM_FILTER").ok();
    let child = Command::new(program)
        .args(["--test-threads=1", "--color=never"])
        .args(filter)
        .env("PATH", "/usr/sbin:/usr/bin")
        .env("RUST_BACKTRACE", "0")
        .spawn()
        .with_context(|| format!("could not start {}", program.display()))?;
    wait_for(Pid::from_raw(child.id().try_into()?))
}

/// Takes in every process that has lost its parent, as the first one must, until this one has ended. A signal counts as
/// shells count it.
fn wait_for(child: Pid) -> Result<i32> {
    loop {
        match wait()? {
            WaitStatus::Exited(pid, code) if pid == child => return Ok(code),
            WaitStatus::Signaled(pid, signal, _) if pid == child => return Ok(128 + signal as i32),
            _ => {}
        }
    }
}
