//! A containerd of its own, in a folder of its own, that goes with its handle; knows nothing of what runs in it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result};
use mtlsnoop_tests::{
    command::Launch,
    process::{Output, Process},
    program, wait,
};
use tempfile::TempDir;

use crate::described::Described;

/// What Docker and containerd give to containers unasked (`defaultUnixCaps`, oci/spec.go of containerd).
const UNASKED: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// Everything in it that a test could see again is below its folder, but a control group for each container.
pub(crate) struct Runtime {
    folder: TempDir,
    _daemon: Process,
}

impl Runtime {
    /// Starts it. Kubernetes' own interface is left out: it wants a network.
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let below = |name: &str| folder.path().join(name);
        let configuration = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
            below("root"),
            below("state"),
            below("socket"),
        );
        fs::write(below("configuration.toml"), configuration)?;
        let mut daemon = Launch::new(&program::system("containerd")?, folder.path())
            .arg_pair("--config", below("configuration.toml"))
            .start()?;
        wait::until_true("containerd to take connections", wait::LONG, || {
            daemon.check_alive()?;
            Ok(below("socket").exists())
        })?;
        make_root(&below("rootfs"))?;
        Ok(Self { folder, _daemon: daemon })
    }

    /// Runs the tracer in a container until it ends by itself.
    pub(crate) fn run(&self, container: &Described, arguments: &[&str]) -> Result<Output> {
        self.launch(container)?.args(["/usr/bin/mtlsnoop"]).args(arguments).output(Duration::from_mins(1))
    }

    /// `ctr run`, up to what is to be run.
    fn launch(&self, container: &Described) -> Result<Launch> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mtlsnoop-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let below = |name: &str| self.folder.path().join(name);
        let mut launch = Launch::new(&program::system("ctr")?, self.folder.path())
            .arg_pair("--address", below("socket"))
            .args(["run", "--rm", "--rootfs", "--read-only", "--seccomp"])
            .arg_pair("--runc-binary", program::system("runc")?)
            .arg_pair("--runc-root", below("runc"))
            .arg_pair("--cgroup", format!("/{name}"))
            .arg_pair("--memory-limit", container.memory_limit_bytes.to_string());
        for capability in UNASKED {
            launch = launch.arg_pair("--cap-drop", format!("CAP_{capability}"));
        }
        for capability in &container.capabilities {
            launch = launch.arg_pair("--cap-add", format!("CAP_{capability}"));
        }
        for (from, to) in &container.mounts {
            launch = launch.arg_pair("--mount", format!("type=bind,src={from},dst={to},options=rbind:ro"));
        }
        Ok(launch.args([below("rootfs").as_os_str(), name.as_ref()]))
    }
}

/// The tracer, with the libraries that it names, and the folders that something is mounted on.
fn make_root(root: &Path) -> Result<()> {
    let tracer = program::TRACER.find()?;
    copy(&tracer, &root.join("usr/bin/mtlsnoop"))?;
    for library in libraries(&tracer, root)? {
        copy(&library, &root.join(library.strip_prefix("/")?))?;
    }
    for folder in ["dev", "host/sys/fs/cgroup", "proc", "run", "sys"] {
        fs::create_dir_all(root.join(folder))?;
    }
    Ok(())
}

/// ldd(1): `NAME => PATH (ADDRESS)`, or `PATH (ADDRESS)` for the loader; nothing of a static program.
fn libraries(tracer: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let said = Launch::new(&program::system("ldd")?, folder).args([tracer]).output(wait::LONG)?.stdout;
    let words = said.lines().filter(|line| line.ends_with(')')).flat_map(str::split_whitespace);
    Ok(words.filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file without a folder")?)?;
    fs::copy(from, to).with_context(|| format!("could not copy {}", from.display()))?;
    Ok(())
}
